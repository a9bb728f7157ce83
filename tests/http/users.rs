//! `/api/users`: who may manage whom, the last owner, the seats of the plan, and passwords that are shown once.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::resource::{at_noon, ids, texts};
use crate::helpers::{Call, TestApp, TestTenant};

const PATH: &str = "/api/users";

/// A garage, and its owner's token.
async fn start() -> (TestApp, TestTenant, String) {
    let (app, garage) = at_noon("cars").await;
    let token = app.log_in(&garage).await;
    (app, garage, token)
}

fn new(name: &str, role: &str) -> Value {
    let address = format!("{}@garage.example", name.to_lowercase());
    json!({"email": address, "name": name, "role": role})
}

fn item(user: &Value) -> String {
    format!("{PATH}/{}", user["id"].as_str().unwrap())
}

async fn make(app: &TestApp, garage: &TestTenant, token: &str, body: Value) -> Value {
    let call = app.post(PATH).of(garage).bearer(token).json(&body);
    call.await.expect(201).json()
}

async fn audit_of(app: &TestApp, garage: &TestTenant, user: &Value) -> Vec<String> {
    let select = format!(
        "select action from {}.audit_log where entity = 'users' and entity_id = $1 and actor_kind = 'user'
         order by id",
        garage.schema
    );
    let admin = app.test.admin().await;
    let rows = admin.query(&select, &[&user["id"].as_str()]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn a_user_is_added_changed_and_removed() {
    let (app, garage, token) = start().await;
    let owner = |call: Call| call.of(&garage).bearer(&token);
    let made = make(&app, &garage, &token, new("Ana", "agent")).await;
    let password = made["temporary_password"].as_str().unwrap().to_owned();
    let mut shown = made.clone();
    shown.as_object_mut().unwrap().remove("temporary_password");
    assert_eq!(
        shown,
        json!({
            "id": made["id"], "email": "ana@garage.example", "name": "Ana", "role": "agent", "status": "active",
            "version": 1, "created_at": "2026-03-10T12:00:00Z", "updated_at": "2026-03-10T12:00:00Z",
        })
    );
    let read = owner(app.get(&item(&made))).await;
    assert_eq!(read.expect(200).json(), shown, "not the password");
    let ana = app.log_in_user(&garage, "ana@garage.example", &password).await;
    let hers = |call: Call| call.of(&garage).bearer(&ana);
    hers(app.get("/api/leads")).await.expect(200);
    hers(app.get(PATH)).await.problem(403, "insufficient_rights");

    let patch = |body: Value| owner(app.patch(&item(&made)).json(&body));
    let changed = patch(json!({"role": "manager", "name": "Ana Maria", "version": 1})).await;
    let changed = changed.expect(200).json();
    assert_eq!(
        (&changed["role"], &changed["name"], &changed["version"]),
        (&json!("manager"), &json!("Ana Maria"), &json!(2))
    );
    hers(app.get(PATH)).await.expect(200);
    patch(json!({"name": "x", "version": 1}))
        .await
        .problem(409, "stale_version");
    patch(json!({"role": "agent"})).await.expect(200);
    hers(app.get(PATH)).await.problem(403, "insufficient_rights");

    patch(json!({"status": "disabled"})).await.expect(200);
    hers(app.get("/api/me")).await.problem(401, "unauthorized");
    let log_in = || {
        let body = json!({"email": "ana@garage.example", "password": password});
        app.post("/api/sessions").of(&garage).json(&body)
    };
    log_in().await.problem(401, "wrong_credentials");
    patch(json!({"status": "active"})).await.expect(200);
    hers(app.get("/api/me")).await.problem(401, "unauthorized");
    log_in().await.expect(201);

    owner(app.delete(&item(&made))).await.expect(204);
    owner(app.get(&item(&made))).await.problem(404, "not_found");
    owner(app.delete(&item(&made))).await.problem(404, "not_found");
    log_in().await.problem(401, "wrong_credentials");
    assert_eq!(
        audit_of(&app, &garage, &made).await,
        [
            "user.create",
            "user.update",
            "user.update",
            "user.update",
            "user.update",
            "user.delete"
        ]
    );
}

#[tokio::test]
async fn managers_manage_agents_and_nobody_else() {
    let (app, garage, _) = start().await;
    let ids_of = |role: &'static str| app.add_user(&garage, role);
    let (manager, other, agent) = (
        ids_of("manager").await,
        ids_of("manager").await,
        ids_of("agent").await,
    );
    let owner = app.owner_of(&garage).await;
    let set = "update master.subscriptions set plan_version_id = '01900000-0000-7000-8000-000000000102'";
    app.test.admin().await.batch_execute(set).await.unwrap();
    app.test.platform.resolver.changed(&garage.key);
    let token = app.session_of(&garage, manager).await;
    let by = |call: Call| call.of(&garage).bearer(&token);
    for role in ["owner", "manager"] {
        by(app.post(PATH).json(&new("Bia", role)))
            .await
            .problem(403, "insufficient_rights");
    }
    make(&app, &garage, &token, new("Bia", "agent")).await;
    for user in [owner, other, manager] {
        let path = format!("{PATH}/{user}");
        for call in [
            app.patch(&path).json(&json!({"name": "x"})),
            app.patch(&path).json(&json!({"role": "agent"})),
            app.patch(&path).json(&json!({"status": "disabled"})),
            app.delete(&path),
        ] {
            by(call).await.problem(403, "insufficient_rights");
        }
        by(app.get(&path)).await.expect(200);
    }
    let path = format!("{PATH}/{agent}");
    let patch = |body: Value| by(app.patch(&path).json(&body));
    for role in ["owner", "manager"] {
        patch(json!({"role": role}))
            .await
            .problem(403, "insufficient_rights");
    }
    by(app.post(&format!("{path}/reset-password")))
        .await
        .problem(403, "insufficient_rights");
    patch(json!({"name": "Novo", "status": "disabled"}))
        .await
        .expect(200);
    by(app.delete(&path)).await.expect(204);
    app.get(PATH)
        .by(&garage)
        .await
        .problem(403, "insufficient_rights");
    app.get(PATH).of(&garage).await.problem(401, "unauthorized");
}

#[tokio::test]
async fn the_last_owner_stays() {
    let (app, garage, token) = start().await;
    let owner = app.owner_of(&garage).await;
    let path = format!("{PATH}/{owner}");
    let by = |call: Call| call.of(&garage).bearer(&token);
    for call in [
        app.patch(&path).json(&json!({"role": "manager"})),
        app.patch(&path).json(&json!({"status": "disabled"})),
        app.delete(&path),
    ] {
        by(call).await.problem(409, "last_owner");
    }
    let invited = json!({"email": "bia@garage.example", "name": "Bia", "role": "owner", "invited": true});
    make(&app, &garage, &token, invited).await;
    by(app.delete(&path)).await.problem(409, "last_owner");
    make(&app, &garage, &token, new("Caio", "owner")).await;
    by(app.delete(&path)).await.expect(204);
    by(app.get("/api/me")).await.problem(401, "unauthorized");
    let select = format!(
        "select actor_id::text from {}.audit_log where action = 'user.delete'",
        garage.schema
    );
    let line = app.test.admin().await.query_one(&select, &[]).await.unwrap();
    assert_eq!(line.get::<_, String>(0), owner.to_string(), "who went is known");
}

/// Each of several owners tries to be rid of the others, and all at once.
#[tokio::test]
async fn owners_who_remove_each_other_leave_one() {
    let (app, garage, _) = start().await;
    let first = app.owner_of(&garage).await;
    for round in 0..4 {
        let mut owners = vec![first];
        for _ in 0..3 {
            owners.push(app.add_user(&garage, "owner").await);
        }
        let count = format!(
            "select count(*) from {}.users where role = 'owner' and status = 'active'",
            garage.schema
        );
        let mut calls = Vec::new();
        for by in &owners {
            let token = app.session_of(&garage, *by).await;
            for other in &owners {
                let path = format!("{PATH}/{other}");
                let call = match (round + calls.len()) % 3 {
                    0 => app.delete(&path),
                    1 => app.patch(&path).json(&json!({"role": "agent"})),
                    _ => app.patch(&path).json(&json!({"status": "disabled"})),
                };
                calls.push(call.of(&garage).bearer(&token));
            }
        }
        let answers = join_all(calls.into_iter().map(Call::into_future)).await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert!(
            statuses
                .iter()
                .all(|status| [200, 204, 401, 403, 404, 409].contains(status)),
            "{statuses:?}"
        );
        let admin = app.test.admin().await;
        let left: i64 = admin.query_one(&count, &[]).await.unwrap().get(0);
        assert_eq!(left, 1, "{statuses:?}");
        let reset = format!(
            "update {0}.users set role = 'owner', status = 'active';
             insert into {0}.users (id, email, name, password_hash, role, status, created_at, updated_at)
             values ('{first}', 'first{round}@x.example', 'First', '$argon2id$none', 'owner', 'active', now(), now())
             on conflict (id) do nothing;
             delete from {0}.users where id <> '{first}'",
            garage.schema
        );
        admin.batch_execute(&reset).await.unwrap();
    }
}

#[tokio::test]
async fn the_plan_has_so_many_seats() {
    let (app, garage, token) = start().await;
    let post = |name: &str| {
        app.post(PATH)
            .of(&garage)
            .bearer(&token)
            .json(&new(name, "agent"))
    };
    // The smallest plan includes three users, of whom the owner is one.
    let names: Vec<String> = (0..8).map(|number| format!("user{number}")).collect();
    let answers = join_all(names.iter().map(|name| post(name).into_future())).await;
    let (added, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!(added.len(), 2);
    for answer in refused {
        let problem = answer.problem(402, "limit_exceeded");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("3 users, and 3 are in use"), "{detail}");
        assert_eq!(problem["plan"], "pro", "the cheapest that includes more");
    }
    let one = added[0].json();
    let patch = |body: Value| app.patch(&item(&one)).of(&garage).bearer(&token).json(&body);
    patch(json!({"status": "active", "name": "Same"}))
        .await
        .expect(200);
    patch(json!({"status": "disabled"})).await.expect(200);
    post("another").await.expect(201);
    patch(json!({"status": "active"}))
        .await
        .problem(402, "limit_exceeded");
    patch(json!({"name": "Still here"})).await.expect(200);
    app.delete(&item(&added[1].json()))
        .of(&garage)
        .bearer(&token)
        .await
        .expect(204);
    patch(json!({"status": "active"})).await.expect(200);
}

#[tokio::test]
async fn who_is_invited_has_no_password_until_an_owner_gives_one() {
    let (app, garage, token) = start().await;
    let by = |call: Call| call.of(&garage).bearer(&token);
    let invite = json!({"email": "ana@garage.example", "name": "Ana", "role": "agent", "invited": true});
    let made = make(&app, &garage, &token, invite).await;
    assert_eq!(
        (&made["status"], made.get("temporary_password")),
        (&json!("invited"), None)
    );
    let patch = |body: Value| by(app.patch(&item(&made)).json(&body));
    patch(json!({"status": "disabled"})).await.expect(200);
    let back = patch(json!({"status": "active"})).await.expect(200).json();
    assert_eq!(back["status"], "invited", "nobody is active without a password");
    let log_in = |password: &str| {
        let body = json!({"email": "ana@garage.example", "password": password});
        app.post("/api/sessions").of(&garage).json(&body)
    };
    log_in("").await.problem(401, "wrong_credentials");

    let reset = || by(app.post(&format!("{}/reset-password", item(&made)))).idempotency_key("once");
    let first = reset().await.expect(201).json();
    assert_eq!(first["status"], "active");
    assert_eq!(reset().await.expect(201).json(), first);
    let password = first["temporary_password"].as_str().unwrap();
    let ana = log_in(password).await.expect(201).json();
    let other = by(app.post(&format!("{PATH}/{}/reset-password", app.owner_of(&garage).await)));
    other
        .idempotency_key("once")
        .await
        .problem(422, "idempotency_key_reused");
    // Another password ends what the former one began.
    let again = by(app.post(&format!("{}/reset-password", item(&made)))).await;
    let again = again.expect(201).json();
    assert_ne!(again["temporary_password"], first["temporary_password"]);
    let me = app
        .get("/api/me")
        .of(&garage)
        .bearer(ana["token"].as_str().unwrap());
    me.await.problem(401, "unauthorized");
    log_in(password).await.problem(401, "wrong_credentials");
}

#[tokio::test]
async fn a_repeated_request_answers_the_same_password() {
    let (app, garage, token) = start().await;
    let post = |name: &str| {
        let call = app.post(PATH).of(&garage).bearer(&token).idempotency_key("once");
        call.json(&new(name, "agent"))
    };
    let first = post("Ana").await.expect(201).json();
    assert_eq!(post("Ana").await.expect(201).json(), first);
    post("Bia").await.problem(422, "idempotency_key_reused");
    let password = first["temporary_password"].as_str().unwrap();
    app.log_in_user(&garage, "ana@garage.example", password).await;
    let select = format!("select count(*) from {}.users", garage.schema);
    let count: i64 = app
        .test
        .admin()
        .await
        .query_one(&select, &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(count, 2);
    let kept = format!("select response_sealed from {}.idempotency_keys", garage.schema);
    let sealed: Vec<u8> = app.test.admin().await.query_one(&kept, &[]).await.unwrap().get(0);
    assert!(!String::from_utf8_lossy(&sealed).contains(password));
}

#[tokio::test]
async fn bad_requests_are_refused_and_lists_are_narrowed() {
    let (app, garage, token) = start().await;
    let by = |call: Call| call.of(&garage).bearer(&token);
    let post = |body: Value| by(app.post(PATH).json(&body));
    post(json!({})).await.refused_fields(&[
        ("email", "required"),
        ("name", "required"),
        ("role", "required"),
    ]);
    post(json!({"email": "x", "name": "n".repeat(201), "role": "king", "password": "short"}))
        .await
        .refused_fields(&[
            ("email", "invalid_format"),
            ("name", "too_long"),
            ("role", "unknown_value"),
            ("password", "too_short"),
        ]);
    let both = json!({"email": "a@b.example", "name": "A", "role": "agent", "password": "long enough", "invited": true});
    post(both).await.refused_fields(&[("password", "not_allowed")]);
    let given = json!({"email": "JOAO@garage.example", "name": "João Ávila", "role": "agent", "password": "long enough"});
    let made = post(given).await.expect(201).json();
    assert_eq!(made.get("temporary_password"), None, "it was given");
    app.log_in_user(&garage, "joao@garage.example", "long enough")
        .await;
    post(new("Joao", "agent")).await.problem(409, "email_taken");

    let patch = |body: Value| by(app.patch(&item(&made)).json(&body));
    patch(json!({"status": "invited", "role": null}))
        .await
        .refused_fields(&[("role", "required"), ("status", "not_allowed")]);
    patch(json!({"email": "x@y.example"}))
        .await
        .refused_fields(&[("email", "unknown_field")]);

    let list = |query: &str| by(app.get(&format!("{PATH}?{query}")));
    let found = async |query: &str| ids(&list(query).await.expect(200).json());
    let joao = vec![made["id"].as_str().unwrap().to_owned()];
    for query in [
        "q=joao",
        "q=avila",
        "q=JOAO%40garage",
        "role=agent",
        "role=agent&status=active",
    ] {
        assert_eq!(found(query).await, joao, "{query}");
    }
    for query in [
        "q=%25",
        "q=nobody",
        "role=manager",
        "status=disabled",
        "role=owner&q=joao",
    ] {
        assert_eq!(found(query).await, [""; 0], "{query}");
    }
    list("role=king&status=x&q=").await.refused_fields(&[
        ("role", "unknown_value"),
        ("status", "unknown_value"),
        ("q", "required"),
    ]);
    let first = list("limit=1").await.expect(200).json();
    let next = format!("limit=1&cursor={}", first["next_cursor"].as_str().unwrap());
    let second = list(&next).await.expect(200).json();
    assert_eq!(second["next_cursor"], Value::Null);
    assert_eq!(
        [texts(&first, "role"), texts(&second, "role")].concat(),
        ["agent", "owner"]
    );
}
