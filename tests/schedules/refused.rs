//! What cannot be planned says why, and templates are tried before.

use serde_json::{Value, json};

use super::Shop;
use crate::http::customers::made;

#[tokio::test]
async fn what_cannot_be_said_is_refused_when_it_is_planned() {
    let shop = Shop::at("2026-03-10T12:00:00Z").await;
    let refused = async |body: Value, expected: &[(&str, &str)]| {
        let mut plan =
            json!({"conversation_id": shop.conversation, "body": "Oi", "send_at": "2026-03-10T13:00:00Z"});
        for (field, value) in body.as_object().unwrap() {
            match value {
                Value::String(word) if word == "-" => drop(plan.as_object_mut().unwrap().remove(field)),
                value => plan[field] = value.clone(),
            }
        }
        let call = shop.app.post("/api/scheduled-messages").by(&shop.tenant);
        call.json(&plan).await.refused_fields(expected);
    };
    refused(json!({"body": "-"}), &[("body", "required")]).await;
    refused(json!({"body": "Oi {{quem}}"}), &[("body", "unknown_placeholder")]).await;
    refused(
        json!({"body": "{{var.cupom}}", "variables": {"outro": "x"}}),
        &[
            ("variables.cupom", "required"),
            ("variables.outro", "unknown_variable"),
        ],
    )
    .await;
    refused(
        json!({"send_at": "2026-03-10T12:00:00Z"}),
        &[("send_at", "in_the_past")],
    )
    .await;
    refused(json!({"send_at": "-"}), &[("send_at", "required")]).await;
    refused(json!({"at": "2026-03-11T09:00"}), &[("send_at", "not_allowed")]).await;
    refused(json!({"time_zone": "Brasil"}), &[("time_zone", "unknown_value")]).await;
    refused(
        json!({"recurrence": {"every": "week", "time": "09:00"}}),
        &[("recurrence.weekdays", "required")],
    )
    .await;
    refused(
        json!({"recurrence": {"every": "day", "time": "09:00", "until": "2026-03-09"}}),
        &[("recurrence.until", "in_the_past")],
    )
    .await;
    let nobody = uuid::Uuid::now_v7();
    refused(
        json!({"conversation_id": nobody}),
        &[("conversation_id", "unknown_value")],
    )
    .await;
    refused(
        json!({"conversation_id": "-"}),
        &[("conversation_id", "required")],
    )
    .await;
    refused(
        json!({"conversation_id": "-", "contact_id": nobody, "instance_id": shop.bot}),
        &[("contact_id", "no_conversation")],
    )
    .await;
    refused(
        json!({"body": "-", "template_id": nobody}),
        &[("template_id", "unknown_value")],
    )
    .await;
    assert_eq!(shop.count("{}.scheduled_messages").await, 0);
    assert_eq!(shop.count("{}.jobs where kind = 'schedules'").await, 0);
}

#[tokio::test]
async fn a_template_is_tried_and_then_said_as_it_was() {
    let shop = Shop::at("2026-03-10T12:00:00Z").await;
    let words = "Oi {{primeiro_nome}}, use {{var.cupom}} até {{vencimento}}.\nAtt, {{empresa}}";
    let template = made(
        &shop.app,
        &shop.tenant,
        "/api/message-templates",
        json!({"name": "Cupom", "body": words}),
    )
    .await;
    let path = format!(
        "/api/message-templates/{}/preview",
        template["id"].as_str().unwrap()
    );
    let preview = async |body: Value| shop.app.post(&path).by(&shop.tenant).json(&body).await;
    preview(json!({"variables": {"cupom": "VEM10", "dia": "x"}}))
        .await
        .refused_fields(&[
            ("variables.vencimento", "required"),
            ("variables.dia", "unknown_variable"),
        ]);
    let values = json!({"cupom": "VEM10", "vencimento": "sexta"});
    let shown = preview(json!({ "variables": values })).await.expect(200).json();
    let company = &shop.tenant.name;
    assert_eq!(
        shown["body"],
        format!("Oi Maria, use VEM10 até sexta.\nAtt, {company}")
    );
    let ana = shop.rows("select contact_id from {}.conversations").await;
    let body = json!({
        "contact_id": ana[0][0], "instance_id": shop.bot, "template_id": template["id"], "variables": values,
        "send_at": "2026-03-10T13:00:00Z",
    });
    let plan = || {
        let call = shop.app.post("/api/scheduled-messages").by(&shop.tenant);
        call.idempotency_key("one").json(&body)
    };
    let planned = plan().await.expect(201).json();
    // Other words later are for others; repeated, it is the same plan, also when the template is gone.
    let template = format!("/api/message-templates/{}", template["id"].as_str().unwrap());
    shop.app.delete(&template).by(&shop.tenant).await.expect(204);
    assert_eq!(plan().await.expect(201).json(), planned);
    assert_eq!(shop.count("{}.scheduled_messages").await, 1);
    shop.set("2026-03-10T13:00:00Z");
    shop.work().await;
    assert_eq!(
        shop.said().await,
        json!([[format!("Oi Ana, use VEM10 até sexta.\nAtt, {company}")]])
    );
}

#[tokio::test]
async fn what_is_planned_for_a_person_is_theirs() {
    let shop = Shop::at("2026-03-10T12:00:00Z").await;
    shop.plan(json!({"send_at": "2026-03-10T13:00:00Z", "body": "Segredo"}))
        .await;
    let owner = shop.app.log_in(&shop.tenant).await;
    let ana = shop.rows("select contact_id from {}.conversations").await;
    let contact = format!("/api/contacts/{}", ana[0][0].as_str().unwrap());
    let export = shop
        .app
        .get(&format!("{contact}/export"))
        .of(&shop.tenant)
        .bearer(&owner);
    let export = export.await.expect(200).json();
    assert_eq!(
        export["conversations"][0]["scheduled_messages"][0]["body"],
        "Segredo"
    );
    let erase = shop
        .app
        .post(&format!("{contact}/erase"))
        .of(&shop.tenant)
        .bearer(&owner);
    let erased = erase.await.expect(200).json();
    assert_eq!(erased["conversations"], 1);
    shop.set("2026-03-10T13:00:00Z");
    shop.work().await;
    assert_eq!(shop.count("{}.messages").await, 0);
    assert_eq!(shop.count("{}.scheduled_messages").await, 0);
}
