//! Notes about conversations, canned replies, and handing a conversation back.

use serde_json::{Value, json};

use crate::helpers::{TestApp, TestTenant};

async fn conversation(app: &TestApp, tenant: &TestTenant) -> (String, String) {
    let contact = json!({"name": "Ana Souza", "phone": "+5511987654321"});
    let contact = app
        .post("/api/contacts")
        .by(tenant)
        .json(&contact)
        .await
        .expect(201)
        .json();
    let begun = app.post("/api/conversations").by(tenant);
    let begun = begun
        .json(&json!({"contact_id": contact["id"]}))
        .await
        .expect(201)
        .json();
    let text = |value: &Value| value["id"].as_str().expect("an id").to_owned();
    (text(&begun), text(&contact))
}

#[tokio::test]
async fn people_note_things_for_each_other() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let (id, contact) = conversation(&app, &garage).await;
    let owner = app.log_in(&garage).await;
    let mut agents = Vec::new();
    for _ in 0..2 {
        let user = app.add_user(&garage, "agent").await;
        agents.push((user, app.session_of(&garage, user).await));
    }
    let path = format!("/api/conversations/{id}/notes");
    let write = async |token: &str, body: &str| {
        let call = app.post(&path).of(&garage).bearer(token).idempotency_key("once");
        call.json(&json!({ "body": body })).await
    };
    let first = write(&agents[0].1, "Prefere à tarde").await.expect(201).json();
    assert_eq!(first["user_id"], json!(agents[0].0));
    assert_eq!(first["conversation_id"], id);
    let again = write(&agents[0].1, "Prefere à tarde").await.expect(201).json();
    assert_eq!(again, first, "the same request is one note");
    let by_program = app
        .post(&path)
        .by(&garage)
        .idempotency_key("program")
        .json(&json!({"body": "Do robô"}))
        .await
        .expect(201)
        .json();
    assert_eq!(by_program["user_id"], Value::Null);
    let list = app
        .get(&path)
        .of(&garage)
        .bearer(&agents[1].1)
        .await
        .expect(200)
        .json();
    assert_eq!(list["items"], json!([by_program, first]));
    let page = app
        .get(&format!("{path}?limit=1"))
        .by(&garage)
        .await
        .expect(200)
        .json();
    let cursor = page["next_cursor"].as_str().expect("another page");
    let page = app
        .get(&format!("{path}?limit=1&cursor={cursor}"))
        .by(&garage)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&page["items"], &page["next_cursor"]),
        (&json!([first]), &Value::Null)
    );

    let note = format!("{path}/{}", first["id"].as_str().expect("an id"));
    let change =
        async |token: &str, body: Value| app.patch(&note).of(&garage).bearer(token).json(&body).await;
    let foreign = change(&agents[1].1, json!({"body": "x"})).await;
    foreign.problem(403, "insufficient_rights");
    app.delete(&note)
        .of(&garage)
        .bearer(&agents[1].1)
        .await
        .problem(403, "insufficient_rights");
    let changed = change(&agents[0].1, json!({"body": "De manhã", "version": 1}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&changed["body"], &changed["version"]),
        (&json!("De manhã"), &json!(2))
    );
    change(&agents[0].1, json!({"body": "x", "version": 1}))
        .await
        .problem(409, "stale_version");
    let untouched = change(&owner, json!({})).await.expect(200).json();
    assert_eq!(untouched["body"], "De manhã");
    for refused in [json!({"body": " "}), json!({"body": null}), json!({"words": "x"})] {
        assert_eq!(change(&owner, refused.clone()).await.status, 422, "{refused}");
    }
    assert_eq!(write(&owner, "").await.status, 422);

    // By the path of another conversation it does not exist.
    let elsewhere = note.replace(&id, &uuid::Uuid::now_v7().to_string());
    app.delete(&elsewhere)
        .of(&garage)
        .bearer(&owner)
        .await
        .problem(404, "not_found");
    app.delete(&note).of(&garage).bearer(&owner).await.expect(204);
    let list = app.get(&path).by(&garage).await.expect(200).json();
    assert_eq!(list["items"], json!([by_program]));

    // Whoever asks for all that is known of them gets it, and whoever is forgotten leaves none of it.
    let export = app
        .get(&format!("/api/contacts/{contact}/export"))
        .of(&garage)
        .bearer(&owner);
    let export = export.await.expect(200).json();
    assert_eq!(
        export.pointer("/conversations/0/notes/0/body"),
        Some(&json!("Do robô"))
    );
    let erase = app
        .post(&format!("/api/contacts/{contact}/erase"))
        .of(&garage)
        .bearer(&owner);
    erase.await.expect(200);
    let left = format!(
        "select (select count(*) from {0}.conversation_notes)
              + (select count(*) from {0}.idempotency_keys where scope like '%create_note%')",
        garage.schema
    );
    let left: i64 = app
        .test
        .admin()
        .await
        .query_one(&left, &[])
        .await
        .expect("counted")
        .get(0);
    assert_eq!(left, 0, "nor is the note that was removed before remembered");
}

#[tokio::test]
async fn canned_replies_are_found_by_their_shortcut_and_filled() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let (id, _) = conversation(&app, &garage).await;
    let create = async |body: Value| app.post("/api/canned-replies").by(&garage).json(&body).await;
    let words = "Oi {{primeiro_nome}}, aqui é da {{empresa}}.\nAté logo!";
    let reply = create(json!({"shortcut": "/Ola", "body": words}))
        .await
        .expect(201)
        .json();
    assert_eq!(
        (&reply["shortcut"], &reply["body"]),
        (&json!("ola"), &json!(words))
    );
    let taken = create(json!({"shortcut": "ola", "body": "x"})).await;
    assert_eq!((taken.status, &taken.json()["existing_id"]), (409, &reply["id"]));
    assert_eq!(taken.json()["code"], "canned_reply_exists");
    for (field, body) in [
        ("shortcut", json!({"shortcut": "olá", "body": "x"})),
        ("body", json!({"shortcut": "x", "body": "{{valor}}"})),
        ("body", json!({"shortcut": "x", "body": ""})),
        ("body", json!({"shortcut": "x"})),
    ] {
        let refused = create(body.clone()).await;
        assert_eq!(refused.status, 422, "{body}");
        assert_eq!(refused.json()["errors"][0]["field"], field, "{body}");
    }
    let other = create(json!({"shortcut": "horario", "body": "Abrimos às 8h."}))
        .await
        .expect(201)
        .json();
    let path = format!("/api/canned-replies/{}", reply["id"].as_str().expect("an id"));
    let rename = app
        .patch(&path)
        .by(&garage)
        .json(&json!({"shortcut": "horario"}))
        .await;
    assert_eq!(
        (rename.status, &rename.json()["existing_id"]),
        (409, &other["id"])
    );
    let found = app
        .get("/api/canned-replies?q=as%208H")
        .by(&garage)
        .await
        .expect(200)
        .json();
    assert_eq!(found["items"], json!([other]));

    let filled = async |conversation: &str| {
        app.get(&format!("{path}/filled?conversation_id={conversation}"))
            .by(&garage)
            .await
    };
    let text = filled(&id).await.expect(200).json();
    assert_eq!(text["body"], "Oi Ana, aqui é da Empresa garage-alpha.\nAté logo!");
    // A line that nobody can fill is left out.
    let unnamed = format!("update {}.contacts set name = null", garage.schema);
    app.test
        .admin()
        .await
        .batch_execute(&unnamed)
        .await
        .expect("changed");
    assert_eq!(filled(&id).await.expect(200).json()["body"], "Até logo!");
    assert_eq!(filled(&uuid::Uuid::now_v7().to_string()).await.status, 422);
    assert_eq!(filled("x").await.status, 422);

    app.delete(&path).by(&garage).await.expect(204);
    app.get(&path).by(&garage).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_conversation_is_handed_back_to_its_bot() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let (id, _) = conversation(&app, &garage).await;
    let (owner, token) = (app.owner_of(&garage).await, app.log_in(&garage).await);
    let path = format!("/api/conversations/{id}");
    let take = app
        .patch(&path)
        .of(&garage)
        .bearer(&token)
        .json(&json!({ "assigned_to": owner }));
    take.await.expect(200);
    let say = app.post(&format!("{path}/messages")).of(&garage).bearer(&token);
    say.json(&json!({"body": "Sou eu"})).await.expect(201);
    let held = app.get(&path).by(&garage).await.expect(200).json();
    assert!(held["bot_paused_until"].is_string(), "{held}");
    let back = app
        .post(&format!("{path}/hand-back"))
        .of(&garage)
        .bearer(&token)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&back["bot_paused_until"], &back["assigned_to"]),
        (&Value::Null, &Value::Null)
    );
    let nobody = format!("/api/conversations/{}/hand-back", uuid::Uuid::now_v7());
    app.post(&nobody).by(&garage).await.problem(404, "not_found");
}
