//! `/api/leads/{id}/history`, and the contact of a lead.

use serde_json::{Value, json};

use super::resource::{at_noon, ids};
use crate::helpers::{TestApp, TestTenant};

async fn create(app: &TestApp, tenant: &TestTenant, path: &str, body: Value) -> Value {
    app.post(path).by(tenant).json(&body).await.expect(201).json()
}

fn path_of(lead: &Value) -> String {
    format!("/api/leads/{}", lead["id"].as_str().expect("an id"))
}

#[tokio::test]
async fn each_stage_and_assignment_is_kept_with_who_and_when() {
    let (app, tenant) = at_noon("cars").await;
    let owner = app.owner_of(&tenant).await.to_string();
    let agent = app.add_user(&tenant, "agent").await.to_string();
    let token = app.session_of(&tenant, agent.parse().unwrap()).await;
    let lead = create(
        &app,
        &tenant,
        "/api/leads",
        json!({"name": "Ana", "assigned_to": owner}),
    )
    .await;
    let path = path_of(&lead);
    let change = async |body: Value| {
        app.test.clock.advance(chrono::TimeDelta::minutes(1));
        let call = app.patch(&path).of(&tenant).bearer(&token);
        call.json(&body).await
    };
    change(json!({"stage": "contacted", "notes": "Ligou"}))
        .await
        .expect(200);
    // Nothing of it changes, or nothing was done.
    change(json!({"stage": "contacted", "assigned_to": owner.to_uppercase()}))
        .await
        .expect(200);
    change(json!({"name": "Ana Lúcia"})).await.expect(200);
    change(json!({"stage": "won", "version": 1}))
        .await
        .problem(409, "stale_version");
    change(json!({"stage": "never_heard_of"}))
        .await
        .refused_fields(&[("stage", "unknown_value")]);
    change(json!({"stage": "won", "assigned_to": agent}))
        .await
        .expect(200);
    change(json!({"assigned_to": null})).await.expect(200);

    let list = app
        .get(&format!("{path}/history"))
        .by(&tenant)
        .await
        .expect(200)
        .json();
    let kept: Vec<Value> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|item| {
            json!([
                item["at"],
                item["by"]["kind"],
                item["field"],
                item["from"],
                item["to"]
            ])
        })
        .collect();
    let key = "api_key";
    assert_eq!(
        json!(kept),
        json!([
            ["2026-03-10T12:00:00Z", key, "stage", null, "new"],
            ["2026-03-10T12:00:00Z", key, "assigned_to", null, owner],
            ["2026-03-10T12:01:00Z", "user", "stage", "new", "contacted"],
            ["2026-03-10T12:06:00Z", "user", "stage", "contacted", "won"],
            ["2026-03-10T12:06:00Z", "user", "assigned_to", owner, agent],
            ["2026-03-10T12:07:00Z", "user", "assigned_to", agent, null],
        ])
    );
    let by = &list["items"][0]["by"];
    assert_eq!(
        *by,
        json!({"kind": "user", "id": agent, "name": "agent of tenant-one"})
    );
    assert_eq!(list["items"][5]["by"]["name"], Value::Null);

    let first = app
        .get(&format!("{path}/history?limit=4"))
        .by(&tenant)
        .await
        .expect(200)
        .json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = app
        .get(&format!("{path}/history?limit=4&cursor={cursor}"))
        .by(&tenant)
        .await;
    let second = second.expect(200).json();
    assert_eq!([ids(&first), ids(&second)].concat(), ids(&list));
    assert_eq!(second["next_cursor"], Value::Null);

    // It goes with the lead.
    app.delete(&path).by(&tenant).await.expect(204);
    app.get(&format!("{path}/history"))
        .by(&tenant)
        .await
        .problem(404, "not_found");
    app.get("/api/leads/nobody/history")
        .by(&tenant)
        .await
        .problem(404, "not_found");
}

/// Of two that change the stage at once, both are kept, each from where the other left it.
#[tokio::test]
async fn the_past_of_a_lead_is_a_chain() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage-alpha", "cars").await;
    let lead = create(&app, &tenant, "/api/leads", json!({"name": "Ana"})).await;
    let path = path_of(&lead);
    let stages = [
        "contacted",
        "qualified",
        "proposal",
        "won",
        "lost",
        "contacted",
        "qualified",
        "won",
    ];
    let calls = stages.map(|stage| {
        let call = app.patch(&path).by(&tenant).json(&json!({"stage": stage}));
        async move { call.await.expect(200).json() }
    });
    futures_util::future::join_all(calls).await;
    let list = app
        .get(&format!("{path}/history"))
        .by(&tenant)
        .await
        .expect(200)
        .json();
    let changes: Vec<(Value, Value)> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["from"].clone(), item["to"].clone()))
        .collect();
    assert_eq!(changes.last(), Some(&(Value::Null, json!("new"))));
    assert!(changes.iter().all(|(from, to)| from != to), "{changes:?}");
    let now = app.get(&path).by(&tenant).await.expect(200).json()["stage"].clone();
    let entered = |stage: &str| changes.iter().filter(|(_, to)| to == stage).count();
    let left = |stage: &str| changes.iter().filter(|(from, _)| from == stage).count();
    for stage in ["new", "contacted", "qualified", "proposal", "won", "lost"] {
        // What was entered was left again, but for where it is.
        assert_eq!(
            entered(stage),
            left(stage) + usize::from(now == stage),
            "{stage}: {changes:?}"
        );
    }
}

#[tokio::test]
async fn a_lead_is_linked_to_its_contact() {
    let (app, tenant) = at_noon("cars").await;
    let contact = async |id: &Value| {
        let path = format!("/api/contacts/{}", id.as_str().expect("a contact"));
        app.get(&path).by(&tenant).await.expect(200).json()
    };
    // Made with the lead.
    let lead = create(
        &app,
        &tenant,
        "/api/leads",
        json!({"name": "Ana", "phone": "11 8765-4321", "email": "ana@example.com"}),
    )
    .await;
    let ana = contact(&lead["contact_id"]).await;
    assert_eq!(
        (&ana["name"], &ana["phone"], &ana["email"]),
        (&json!("Ana"), &json!("+5511987654321"), &json!("ana@example.com"))
    );
    // Found, in whatever form the number is written; what is known of the contact stays.
    let again = create(
        &app,
        &tenant,
        "/api/leads",
        json!({"name": "Ana de novo", "phone": "+55 11 98765-4321"}),
    )
    .await;
    assert_eq!(again["contact_id"], ana["id"]);
    assert_eq!(contact(&ana["id"]).await, ana);
    // Without a number there is none, until there is one.
    let bia = create(&app, &tenant, "/api/leads", json!({"name": "Bia"})).await;
    assert_eq!(bia["contact_id"], Value::Null);
    let patch = async |lead: &Value, body: Value| app.patch(&path_of(lead)).by(&tenant).json(&body).await;
    let called = patch(&bia, json!({"phone": "21 98765-0000"}))
        .await
        .expect(200)
        .json();
    assert_eq!(contact(&called["contact_id"]).await["name"], "Bia");
    // Said outright.
    let linked = create(
        &app,
        &tenant,
        "/api/leads",
        json!({"name": "Por Ana", "contact_id": ana["id"]}),
    )
    .await;
    assert_eq!(linked["contact_id"], ana["id"]);
    let moved = patch(&bia, json!({"contact_id": ana["id"], "phone": "31 98765-0000"}))
        .await
        .expect(200)
        .json();
    assert_eq!(moved["contact_id"], ana["id"]);
    let nobody = json!({"contact_id": "0190163d-8694-739b-aea5-966c26f8ad91"});
    patch(&bia, nobody.clone())
        .await
        .refused_fields(&[("contact_id", "unknown_value")]);
    let mut body = nobody;
    body["name"] = json!("Caio");
    let post = app.post("/api/leads").by(&tenant).json(&body).await;
    post.refused_fields(&[("contact_id", "unknown_value")]);
    let ana_path = format!("/api/leads?contact_id={}", ana["id"].as_str().unwrap());
    let of_ana = app.get(&ana_path).by(&tenant).await.expect(200).json();
    assert_eq!(of_ana["items"].as_array().map(Vec::len), Some(4));
    let of_ana = app
        .get(&format!("{ana_path}&q=bia"))
        .by(&tenant)
        .await
        .expect(200)
        .json();
    assert_eq!(ids(&of_ana), [bia["id"].as_str().unwrap()]);
    // A contact that goes leaves its leads.
    let path = format!("/api/contacts/{}", ana["id"].as_str().unwrap());
    app.delete(&path).by(&tenant).await.expect(204);
    assert_eq!(
        app.get(&path_of(&lead)).by(&tenant).await.expect(200).json()["contact_id"],
        Value::Null
    );
}

#[tokio::test]
async fn leads_of_one_person_at_once_share_a_contact() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage-alpha", "cars").await;
    let spellings = ["+5511987654321", "1187654321", "(11) 98765-4321"];
    let calls = (0..18).map(|number| {
        let body = json!({"name": format!("Ana {number}"), "phone": spellings[number % spellings.len()]});
        let call = app.post("/api/leads").by(&tenant).json(&body);
        async move { call.await.expect(201).json()["contact_id"].clone() }
    });
    let contacts = futures_util::future::join_all(calls).await;
    assert!(contacts[0].is_string());
    assert!(
        contacts.iter().all(|contact| *contact == contacts[0]),
        "{contacts:?}"
    );
    let list = app.get("/api/contacts").by(&tenant).await.expect(200).json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
}
