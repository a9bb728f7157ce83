//! `/api/reminder-rules`.

use serde_json::{Value, json};

use super::{id, made};
use crate::http::resource::{at_noon, ids};

const PATH: &str = "/api/reminder-rules";

#[tokio::test]
async fn there_is_one_rule_for_each_day() {
    let (app, tenant) = at_noon("cars").await;
    let template = made(
        &app,
        &tenant,
        "/api/message-templates",
        json!({"name": "Lembrete", "body": "Olá {{nome}}"}),
    )
    .await;
    let rule = |days: i64| json!({"days": days, "template_id": template["id"]});
    let after = made(&app, &tenant, PATH, rule(7)).await;
    let before = made(&app, &tenant, PATH, rule(-3)).await;
    assert_eq!(
        before,
        json!({
            "id": before["id"], "days": -3, "template_id": template["id"], "active": true, "version": 1,
            "created_at": "2026-03-10T12:00:00Z", "updated_at": "2026-03-10T12:00:00Z",
        })
    );
    let list = app.get(PATH).by(&tenant).await.expect(200).json();
    assert_eq!(
        ids(&list),
        [id(&before), id(&after)],
        "in the order of their days"
    );
    let second = app.post(PATH).by(&tenant).json(&rule(7)).await;
    assert_eq!(
        second.problem(409, "reminder_rule_exists")["existing_id"],
        after["id"]
    );

    let path = format!("{PATH}/{}", id(&before));
    let patch = |body: Value| app.patch(&path).by(&tenant).json(&body);
    let taken = patch(json!({"days": 7}))
        .await
        .problem(409, "reminder_rule_exists");
    assert_eq!(taken["existing_id"], after["id"]);
    let changed = patch(json!({"days": 0, "active": false, "version": 1}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&changed["days"], &changed["active"], &changed["version"]),
        (&json!(0), &json!(false), &json!(2))
    );
    patch(json!({"version": 1})).await.problem(409, "stale_version");
    assert_eq!(app.get(&path).by(&tenant).await.expect(200).json(), changed);
    let nobody = "0190163d-8694-739b-aea5-966c26f8ad91";
    patch(json!({"template_id": nobody}))
        .await
        .refused_fields(&[("template_id", "unknown_value")]);
    for (body, field, code) in [
        (
            json!({"days": 3, "template_id": nobody}),
            "template_id",
            "unknown_value",
        ),
        // A template that is not there is told before a rule that is.
        (
            json!({"days": 7, "template_id": nobody}),
            "template_id",
            "unknown_value",
        ),
        (
            json!({"days": 91, "template_id": template["id"]}),
            "days",
            "out_of_range",
        ),
        (
            json!({"days": -11, "template_id": template["id"]}),
            "days",
            "out_of_range",
        ),
        (json!({"template_id": template["id"]}), "days", "required"),
        (json!({"days": 1}), "template_id", "required"),
    ] {
        let answer = app.post(PATH).by(&tenant).json(&body).await;
        answer.refused_fields(&[(field, code)]);
    }
    app.delete(&path).by(&tenant).await.expect(204);
    app.delete(&path).by(&tenant).await.problem(404, "not_found");
    app.get(&path).by(&tenant).await.problem(404, "not_found");
}
