//! Whoever has no business at a route gets the same refusal there, whatever is sent, and nothing of anybody.

use futures_util::StreamExt as _;
use futures_util::stream;
use helixai::db::shard::template::Template;
use serde_json::Value;

use super::bodies;
use super::document::{Document, Operation, Plane};
use super::rows::{Rows, filled_with_strangers};
use crate::helpers::{Answer, Call, TestApp, TestTenant};

/// A way to present oneself, and the refusal that it must earn.
struct Stranger {
    who: &'static str,
    present: Box<dyn Fn(Call) -> Call>,
    status: u16,
    code: &'static str,
}

fn stranger(
    who: &'static str,
    (status, code): (u16, &'static str),
    present: impl Fn(Call) -> Call + 'static,
) -> Stranger {
    Stranger {
        who,
        present: Box::new(present),
        status,
        code,
    }
}

const UNAUTHORIZED: (u16, &str) = (401, "unauthorized");

/// Sends everything that could be sent to an operation and expects one and the same refusal.
async fn refused_whatever_is_sent(
    app: &TestApp,
    document: &Document,
    operation: &Operation,
    paths: &[String],
    stranger: &Stranger,
    secrets: &[String],
) {
    let mut calls = Vec::new();
    for path in paths {
        let call = || (stranger.present)(app.call(operation.method.clone(), path));
        calls.push(call());
        if let Some(body) = bodies::valid(document, operation, "nobody") {
            calls.push(call().json(&body));
            calls.extend(bodies::invalid().map(|(kind, text)| call().bytes(kind, text.as_bytes())));
        }
        let query = format!("{path}?no_such_parameter=1&limit=-1&cursor=%00");
        calls.push((stranger.present)(app.call(operation.method.clone(), &query)));
    }
    let mut first: Option<Value> = None;
    for call in calls {
        let answer = call.await;
        let told = format!("{} at {}: {}", stranger.who, operation.id, answer.describe());
        assert_eq!(answer.status, stranger.status, "{told}");
        let mut body = answer.json();
        assert_eq!(body["code"], stranger.code, "{told}");
        keeps(&answer, secrets, &told);
        body["request_id"] = Value::Null;
        match &first {
            None => first = Some(body),
            Some(first) => assert_eq!(body, *first, "{told}"),
        }
    }
}

/// Nothing of another tenant is in the answer.
fn keeps(answer: &Answer, secrets: &[String], told: &str) {
    let mut text = answer.text();
    for value in answer.headers.values() {
        text.push_str(&String::from_utf8_lossy(value.as_bytes()));
    }
    for secret in secrets {
        assert!(
            !text.contains(secret.as_str()),
            "{secret} of another tenant: {told}"
        );
    }
}

/// Paths to a row of the tenant, to nothing, and to what is no id.
fn paths(operation: &Operation, rows: &Rows) -> Vec<String> {
    let mut paths = vec![filled_with_strangers(&operation.path)];
    paths.extend(rows.fill(&operation.path));
    paths.push(super::rows::filled(&operation.path, std::iter::repeat("%00'--")));
    paths.dedup();
    paths
}

#[tokio::test]
async fn a_strangers_credentials_open_no_route_of_a_tenant() {
    let app = TestApp::start().await;
    let document = Document::read();
    let quartz = Rows::make(&app, &document, app.onboard("quartz-motors", "cars").await).await;
    let zebra = Rows::make(&app, &document, app.onboard("zebra-cars", "cars").await).await;
    let owner = app.owner_of(&quartz.tenant).await;
    let expired = app.expired_session_of(&quartz.tenant, owner).await;
    let revoked = app.revoked_api_key(&quartz.tenant).await;
    let at = |tenant: &TestTenant| {
        let tenant = tenant.clone();
        move |call: Call| call.of(&tenant)
    };
    let with = |token: &str| {
        let (at, token) = (at(&quartz.tenant), token.to_owned());
        move |call: Call| at(call).bearer(&token)
    };
    let header = |name: &'static str, value: String| {
        let at = at(&quartz.tenant);
        move |call: Call| at(call).header(name, &value)
    };
    let (own, own_key) = (quartz.owner.clone(), quartz.tenant.api_key.clone());
    let forged: String = own.chars().take(own.len() - 3).chain("AAA".chars()).collect();
    let (foreign, foreign_key) = (zebra.owner.clone(), zebra.tenant.api_key.clone());
    let (by_quartz, by_zebra) = (quartz.tenant.clone(), zebra.tenant.clone());

    let strangers = [
        stranger("nobody", UNAUTHORIZED, at(&quartz.tenant)),
        stranger("an empty bearer", UNAUTHORIZED, with("")),
        stranger("a malformed bearer", UNAUTHORIZED, with("hxs_short")),
        stranger(
            "a bearer of quotes",
            UNAUTHORIZED,
            with("hxk_'--_'; drop table leads;"),
        ),
        stranger(
            "another scheme",
            UNAUTHORIZED,
            header("authorization", format!("Basic {own}")),
        ),
        stranger("no scheme", UNAUTHORIZED, header("authorization", own.clone())),
        stranger("a forged session", UNAUTHORIZED, with(&forged)),
        stranger("a session of another tenant", UNAUTHORIZED, with(&foreign)),
        stranger("an API key of another tenant", UNAUTHORIZED, with(&foreign_key)),
        stranger("an administrator", UNAUTHORIZED, with(&app.admin.token)),
        stranger("an expired session", UNAUTHORIZED, with(&expired)),
        stranger("a revoked API key", UNAUTHORIZED, with(&revoked)),
        stranger("a cookie of another tenant", UNAUTHORIZED, {
            let (at, foreign) = (at(&quartz.tenant), foreign.clone());
            move |call| {
                at(call)
                    .cookie(&foreign)
                    .header("origin", "http://quartz-motors.helixai.test")
            }
        }),
        stranger("another tenant's session by header", UNAUTHORIZED, {
            let (tenant, foreign) = (by_quartz.clone(), foreign.clone());
            move |call| call.key_header(&tenant).bearer(&foreign)
        }),
        stranger("one's own session at another's host", UNAUTHORIZED, {
            let (tenant, own) = (by_zebra.clone(), own.clone());
            move |call| call.of(&tenant).bearer(&own)
        }),
        stranger("one's own API key under another's key", UNAUTHORIZED, {
            let (tenant, own_key) = (by_zebra.clone(), own_key.clone());
            move |call| call.key_header(&tenant).bearer(&own_key)
        }),
        stranger("another's key at one's own host", (400, "tenant_mismatch"), {
            let (here, there, own) = (by_quartz.clone(), by_zebra.clone(), own.clone());
            move |call| call.of(&here).key_header(&there).bearer(&own)
        }),
        stranger("no tenant at all", (404, "tenant_not_named"), {
            let own = own.clone();
            move |call| call.bearer(&own)
        }),
        stranger("a tenant that is not", (404, "tenant_not_found"), {
            let own = own.clone();
            move |call| call.host("nobody-here.helixai.test").bearer(&own)
        }),
        stranger("a key that is none", (404, "tenant_not_found"), {
            let own = own.clone();
            move |call| call.header("x-tenant-key", "../quartz-motors").bearer(&own)
        }),
        stranger("a host that is nobody's", (404, "tenant_not_found"), {
            let own = own.clone();
            move |call| call.host("quartz-motors.example.com").bearer(&own)
        }),
    ];
    let secrets: Vec<String> = quartz.secrets().into_iter().chain(zebra.secrets()).collect();
    for operation in document.protected(Plane::Tenant) {
        let paths = paths(operation, &quartz);
        let refusals = strangers
            .iter()
            .map(|stranger| refused_whatever_is_sent(&app, &document, operation, &paths, stranger, &secrets));
        stream::iter(refusals).buffer_unordered(4).collect::<()>().await;
    }
    // Whoever was refused everywhere had credentials that are good in their place.
    app.get("/api/me")
        .of(&quartz.tenant)
        .bearer(&own)
        .await
        .expect(200);
    app.get("/api/me")
        .of(&quartz.tenant)
        .bearer(&own_key)
        .await
        .expect(200);
    app.get("/api/me")
        .of(&zebra.tenant)
        .bearer(&foreign)
        .await
        .expect(200);
    app.get("/api/admin/tenants")
        .bearer(&app.admin.token)
        .await
        .expect(200);
}

#[tokio::test]
async fn a_strangers_credentials_open_no_route_of_the_administration() {
    let app = TestApp::start().await;
    let document = Document::read();
    let quartz = Rows::make(&app, &document, app.onboard("quartz-motors", "cars").await).await;
    let ended = app.log_in_admin().await;
    app.delete("/api/admin/sessions/current")
        .bearer(&ended)
        .await
        .expect(204);
    let expired = app.expired_admin_session().await;
    let bearer = |token: &str| {
        let token = token.to_owned();
        move |call: Call| call.bearer(&token)
    };
    let hosted = |host: &str, token: &str| {
        let (host, token) = (host.to_owned(), token.to_owned());
        move |call: Call| call.host(&host).bearer(&token)
    };
    let admin = app.admin.token.clone();
    let not_found = (404, "not_found");
    let strangers = [
        stranger("nobody", UNAUTHORIZED, |call| call),
        stranger("a malformed bearer", UNAUTHORIZED, bearer("hxa_short")),
        stranger("a tenant's owner", UNAUTHORIZED, bearer(&quartz.owner)),
        stranger("a tenant's API key", UNAUTHORIZED, bearer(&quartz.tenant.api_key)),
        stranger("a tenant's owner with its key", UNAUTHORIZED, {
            let (tenant, owner) = (quartz.tenant.clone(), quartz.owner.clone());
            move |call| call.key_header(&tenant).bearer(&owner)
        }),
        stranger("a session that has ended", UNAUTHORIZED, bearer(&ended)),
        stranger("a session that has expired", UNAUTHORIZED, bearer(&expired)),
        stranger("an administrator's cookie", UNAUTHORIZED, {
            let admin = admin.clone();
            move |call| call.cookie(&admin)
        }),
        stranger(
            "an administrator at a tenant",
            not_found,
            hosted(&quartz.tenant.host(), &admin),
        ),
        stranger(
            "an administrator elsewhere",
            not_found,
            hosted("helixai.example", &admin),
        ),
        stranger("nobody at a tenant", not_found, hosted(&quartz.tenant.host(), "")),
    ];
    let secrets = quartz.secrets();
    for operation in document.protected(Plane::Admin) {
        for stranger in &strangers {
            let paths = paths(operation, &quartz);
            refused_whatever_is_sent(&app, &document, operation, &paths, stranger, &secrets).await;
        }
    }
    app.get("/api/me")
        .of(&quartz.tenant)
        .bearer(&quartz.owner)
        .await
        .expect(200);
    app.get("/api/admin/tenants").bearer(&admin).await.expect(200);
}

#[tokio::test]
async fn a_suspended_tenant_is_refused_at_every_route() {
    let app = TestApp::start().await;
    let document = Document::read();
    let quartz = Rows::make(&app, &document, app.onboard("quartz-motors", "cars").await).await;
    let suspend = app
        .post("/api/admin/tenants/quartz-motors/suspend")
        .bearer(&app.admin.token);
    suspend.await.expect(200);
    let suspended = (403, "tenant_suspended");
    let as_who = |token: Option<String>| {
        let tenant = quartz.tenant.clone();
        move |call: Call| match &token {
            None => call.of(&tenant),
            Some(token) => call.key_header(&tenant).bearer(token),
        }
    };
    let strangers = [
        stranger("nobody", suspended, as_who(None)),
        stranger("the owner", suspended, as_who(Some(quartz.owner.clone()))),
        stranger(
            "the API key",
            suspended,
            as_who(Some(quartz.tenant.api_key.clone())),
        ),
        stranger(
            "an administrator",
            suspended,
            as_who(Some(app.admin.token.clone())),
        ),
    ];
    for operation in document.of(Plane::Tenant) {
        for stranger in &strangers {
            let paths = paths(operation, &quartz);
            refused_whatever_is_sent(&app, &document, operation, &paths, stranger, &quartz.secrets()).await;
        }
    }
    let activate = app
        .post("/api/admin/tenants/quartz-motors/activate")
        .bearer(&app.admin.token);
    activate.await.expect(200);
    app.get("/api/me")
        .of(&quartz.tenant)
        .bearer(&quartz.owner)
        .await
        .expect(200);
}

/// The rows of another tenant are nowhere to be found, in any niche, and are untouched afterwards.
#[tokio::test]
async fn another_tenants_rows_do_not_exist() {
    let app = TestApp::start().await;
    let document = Document::read();
    let niches = Template::embedded().expect("a template").niches();
    let mut covered: Vec<String> = Vec::new();
    for niche in niches {
        let here = format!("quartz-{}", niche.replace('_', "-"));
        let there = format!("zebra-{}", niche.replace('_', "-"));
        let quartz = Rows::make(&app, &document, app.onboard(&here, niche).await).await;
        let zebra = Rows::make(&app, &document, app.onboard(&there, niche).await).await;
        let before = all_that_is_read(&app, &document, &zebra).await;
        for operation in document.of(Plane::Tenant) {
            let Some(path) = zebra.fill(&operation.path) else {
                continue; // Not of this niche.
            };
            covered.push(operation.id.clone());
            if operation.path_params().is_empty() {
                if operation.reads() {
                    let answer = app.get(&path).of(&quartz.tenant).bearer(&quartz.owner).await;
                    keeps(&answer, &zebra.secrets(), &answer.describe());
                }
                continue;
            }
            for token in [&quartz.owner, &quartz.tenant.api_key] {
                let call = app
                    .call(operation.method.clone(), &path)
                    .of(&quartz.tenant)
                    .bearer(token);
                let call = match bodies::valid(&document, operation, &quartz.word) {
                    Some(body) => call.json(&body),
                    None => call,
                };
                let answer = call.await;
                let told = format!("{}: {}", operation.id, answer.describe());
                // An API key that may not manage is refused before anything is looked for.
                let no_right = answer.status == 403 && token == &quartz.tenant.api_key;
                assert!(answer.status == 404 || no_right, "{told}");
                keeps(&answer, &zebra.secrets(), &told);
            }
        }
        assert_eq!(
            all_that_is_read(&app, &document, &zebra).await,
            before,
            "in {niche}"
        );
    }
    for operation in document.protected(Plane::Tenant) {
        assert!(
            covered.contains(&operation.id),
            "{} belongs to no niche?",
            operation.id
        );
    }
}

/// Whatever the owner can read.
async fn all_that_is_read(app: &TestApp, document: &Document, rows: &Rows) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for operation in document
        .protected(Plane::Tenant)
        .filter(|operation| operation.reads())
    {
        let Some(path) = rows.fill(&operation.path) else {
            continue;
        };
        let answer = app.get(&path).of(&rows.tenant).bearer(&rows.owner).await;
        assert!(
            answer.status == 200
                || (answer.status == 404 && operation.path_params().is_empty())
                // Nobody was asked to pay by PIX.
                || (answer.status == 404 && operation.id.starts_with("get_invoice_pix"))
                || (answer.status == 404 && operation.id.starts_with("get_due_pix"))
                || (answer.status == 404 && operation.id == "get_due_charge")
                // What was said here came without a file.
                || (answer.status == 404 && operation.id == "get_message_media")
                // A bot that nobody links shows no code.
                || (answer.status == 409 && answer.json()["code"] == "no_code")
                // A page that is no socket.
                || (answer.status == 426 && operation.id == "open_socket")
                // The session is named by a parameter.
                || (answer.status == 422 && ["/qr", "/status"].contains(&operation.path.as_str())),
            "{}: {}",
            operation.id,
            answer.describe()
        );
        // A zip is never the same twice.
        let is_json = answer.header("content-type") == Some("application/json");
        if answer.status == 200 && is_json {
            all.push((path, answer.json()));
        }
    }
    assert!(all.len() > 2, "{all:?}");
    all
}

/// What a body refers to must be the tenant's own.
#[tokio::test]
async fn another_tenants_rows_cannot_be_referred_to() {
    let app = TestApp::start().await;
    let document = Document::read();
    for niche in Template::embedded().expect("a template").niches() {
        let here = format!("quartz-{}", niche.replace('_', "-"));
        let there = format!("zebra-{}", niche.replace('_', "-"));
        let quartz = Rows::make(&app, &document, app.onboard(&here, niche).await).await;
        let zebra = Rows::make(&app, &document, app.onboard(&there, niche).await).await;
        for operation in document.protected(Plane::Tenant) {
            let (Some(schema), Some(path)) = (&operation.body, quartz.fill(&operation.path)) else {
                continue;
            };
            for field in document.properties(schema).keys() {
                let Some(collection) = referred(field) else {
                    continue;
                };
                let owner = app.owner_of(&zebra.tenant).await.to_string();
                let foreign = match collection {
                    "/api/users" => owner,
                    _ => match zebra.fill(&format!("{collection}/{{id}}")) {
                        Some(path) => path.rsplit('/').next().expect("an id").to_owned(),
                        None => continue, // Of another niche.
                    },
                };
                let mut body = bodies::valid(&document, operation, &quartz.word).expect("a body");
                body[field] = Value::String(foreign);
                let call = app.call(operation.method.clone(), &path).of(&quartz.tenant);
                let answer = call.bearer(&quartz.owner).json(&body).await;
                let told = format!("{} with {field}: {}", operation.id, answer.describe());
                assert!(matches!(answer.status, 404 | 422), "{told}");
                keeps(&answer, &zebra.secrets(), &told);
            }
        }
    }
}

/// The collection that a field of a body refers to.
fn referred(field: &str) -> Option<&'static str> {
    match field {
        "assigned_to" | "user_id" => Some("/api/users"),
        "contact_id" => Some("/api/contacts"),
        "lead_id" => Some("/api/leads"),
        "conversation_id" => Some("/api/conversations"),
        "instance_id" => Some("/api/bots"),
        "vehicle_id" => Some("/api/vehicles"),
        "property_id" => Some("/api/properties"),
        "customer_id" => Some("/api/customers"),
        "customer_plan_id" => Some("/api/customer-plans"),
        "template_id" => Some("/api/message-templates"),
        // An id of the caller's own choosing, or of the outside world.
        "external_id" | "phone_number_id" => None,
        _ => {
            assert!(
                !field.ends_with("_id") && !field.ends_with("_ids"),
                "{field}: say in tests/isolation/routes.rs which collection it refers to"
            );
            None
        }
    }
}
