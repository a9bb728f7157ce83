//! What the program writes about its clients: enough to find a request again, never who they are or what they know.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use helixai::config::Loader;
use helixai::telemetry;
use serde_json::{Value, json};

use crate::helpers::{Answer, TestApp, TestTenant};

/// Lines as they would go to standard error.
#[derive(Clone, Default)]
struct Console(Arc<Mutex<Vec<u8>>>);

impl Write for Console {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Personal data and secrets of the story below; each is in a request or an answer.
const PRIVATE: [&str; 14] = [
    "Fulana",
    "de Tal",
    "fulana@particular.example",
    "991234567",
    "wants the red one",
    "a-search-for-somebody",
    "correct horse battery",
    "a wrong guess",
    "a newer password",
    "52998224725",
    "529.982.247-25",
    "dono@",
    "Dono da Silva",
    "not json, but secret",
];

/// A day at a tenant: everything that works and much that does not. Answers the ids of its requests.
async fn a_story(app: &TestApp, tenant: &TestTenant) -> (Vec<Answer>, Vec<String>) {
    let person = json!({
        "name": "Fulana de Tal", "phone": "+55 11 991234567", "email": "fulana@particular.example",
        "notes": "wants the red one",
    });
    let mut answers = Vec::new();
    let login = |password: &str| {
        let body = json!({"email": tenant.owner_email, "password": password});
        app.post("/api/sessions").of(tenant).json(&body)
    };
    answers.push(login("a wrong guess").await);
    let session = login(&tenant.owner_password).await;
    let token = session.expect(201).json()["token"]
        .as_str()
        .expect("a token")
        .to_owned();
    answers.push(session);
    let created = app.post("/api/leads").by(tenant).json(&person).await;
    let lead = created.expect(201).json();
    answers.push(created);
    let path = format!("/api/leads/{}", lead["id"].as_str().expect("an id"));
    let change = json!({"notes": "wants the red one", "version": 77});
    let origin = format!("http://{}", tenant.host());
    let password = json!({"current_password": tenant.owner_password, "new_password": "a newer password"});
    for call in [
        app.get("/api/leads?q=a-search-for-somebody").by(tenant),
        app.get("/api/leads?q=fulana%40particular.example")
            .cookie(&token)
            .of(tenant),
        app.patch(&path).by(tenant).json(&change),
        app.patch(&path)
            .of(tenant)
            .cookie(&token)
            .header("origin", &origin)
            .json(&json!({"name": "Fulana"})),
        app.post("/api/leads")
            .by(tenant)
            .json(&json!({"name": 1, "email": "fulana@particular.example"})),
        app.post("/api/leads").by(tenant).text("not json, but secret"),
        app.post("/api/leads")
            .by(tenant)
            .json(&json!({"fulana@particular.example": 1})),
        app.get("/api/leads/fulana@particular.example").by(tenant),
        app.get("/fulana@particular.example/de%20Tal").by(tenant),
        app.get("/api/leads")
            .of(tenant)
            .bearer("hxs_fulana@particular.example"),
        app.put("/api/me/password")
            .of(tenant)
            .bearer(&token)
            .json(&password),
        app.delete(&path).by(tenant),
        app.delete("/api/sessions/current").of(tenant).bearer(&token),
    ] {
        answers.push(call.await);
    }
    assert!(answers.iter().any(|answer| answer.status == 409));
    (answers, vec![token])
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a JSON object per line"))
        .collect()
}

fn ids_of(answers: &[Answer]) -> BTreeSet<String> {
    let ids = answers
        .iter()
        .map(|answer| answer.header("x-request-id").expect("an id").to_owned());
    ids.collect()
}

#[tokio::test]
async fn logs_tell_of_requests_and_never_of_people() {
    let dir = tempfile::tempdir().expect("a folder");
    // As much as anybody could ask for.
    let logging = Loader::new()
        .set("logging.level", "trace")
        .set("logging.format", "json")
        .set("logging.dir", dir.path().display())
        .load()
        .expect("settings")
        .logging;
    let console = Console::default();
    let (subscriber, guard) = telemetry::subscriber(&logging, console.clone()).expect("logging starts");
    tracing::subscriber::set_global_default(subscriber).expect("the only test that logs");
    // As `telemetry::init` does: what libraries write by the `log` crate.
    tracing_log::LogTracer::init().expect("the only test that logs");

    let app = TestApp::start().await;
    let mut wanted = TestApp::onboarding("logged-garage", "cars");
    wanted["document"] = json!("529.982.247-25");
    let call = app
        .post("/api/admin/tenants")
        .bearer(&app.admin.token)
        .json(&wanted);
    call.await.expect(201);
    let garage = app.onboard("logged-motors", "cars").await;
    let sales = app.onboard("logged-sales", "cars").await;
    let (first, mut secrets) = a_story(&app, &garage).await;
    let (second, tokens) = a_story(&app, &sales).await;
    let foreign = app.get("/api/me").of(&garage).bearer(&sales.api_key).await;
    foreign.problem(401, "unauthorized");
    // A failure that is ours: its cause is in the log, and only there.
    let broken = format!("drop table {}.leads cascade", garage.schema);
    app.test
        .admin()
        .await
        .batch_execute(&broken)
        .await
        .expect("dropped");
    let failed = app
        .post("/api/leads")
        .by(&garage)
        .json(&json!({"name": "Fulana de Tal"}))
        .await;
    failed.problem(500, "internal_error");
    let failed_id = failed.header("x-request-id").expect("an id").to_owned();
    assert!(!failed.text().contains("leads"), "{}", failed.text());

    log::trace!(target: "a_library", "heard");
    drop(guard);
    let console = String::from_utf8(console.0.lock().unwrap().clone()).expect("UTF-8");
    assert!(console.contains("a_library"), "the log crate is not heard");
    let files = dir.path().join("tenants");
    let own = lines(&files.join("logged-motors.log"));
    let others = lines(&files.join("logged-sales.log"));

    secrets.extend(tokens);
    for tenant in [&garage, &sales] {
        secrets.extend([tenant.api_key.clone(), tenant.owner_password.clone()]);
    }
    let settings = &app.test.settings;
    secrets.extend([
        app.admin.password.clone(),
        app.admin.token.clone(),
        app.admin.email.clone(),
        secrecy::ExposeSecret::expose_secret(settings.database.url().expect("an address")).to_owned(),
    ]);
    let written = [
        console.as_str(),
        &json!(own).to_string(),
        &json!(others).to_string(),
    ]
    .concat();
    for private in PRIVATE.into_iter().chain(secrets.iter().map(String::as_str)) {
        let at = written.to_lowercase().find(&private.to_lowercase());
        let around = at.map(|at| {
            written
                .chars()
                .skip(at.saturating_sub(300))
                .take(600)
                .collect::<String>()
        });
        assert_eq!(around, None, "{private} is in a log");
    }

    // Every request is found again by its id, in the file of its tenant only.
    let found = |lines: &[Value]| -> BTreeSet<String> {
        let ids = lines.iter().filter_map(|line| line["request_id"].as_str());
        ids.map(str::to_owned).collect()
    };
    for id in ids_of(&first).union(&ids_of(&second)) {
        assert!(console.contains(id.as_str()), "{id} is not on the console");
    }
    let matched = |answers: &[Answer]| -> BTreeSet<String> {
        let unrouted = |answer: &&Answer| !answer.describe().contains("/de%20Tal");
        ids_of(&answers.iter().filter(unrouted).cloned().collect::<Vec<_>>())
    };
    assert!(matched(&first).is_subset(&found(&own)), "{own:?}");
    assert!(matched(&second).is_subset(&found(&others)), "{others:?}");
    assert!(found(&own).is_disjoint(&ids_of(&second)) && found(&others).is_disjoint(&ids_of(&first)));
    let text = json!(own).to_string();
    for other in [&sales.key, &sales.id, &sales.schema] {
        assert!(
            !text.contains(other.as_str()),
            "{other} is in another tenant's file"
        );
    }
    let cause = own
        .iter()
        .find(|line| line["request_id"] == failed_id.as_str() && line["level"] == "ERROR");
    assert!(
        cause.is_some_and(|line| line.to_string().contains("42P01")),
        "{own:?}"
    );
}
