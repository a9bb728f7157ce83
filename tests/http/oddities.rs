//! Odd values in every field, parameter and path of the API: a client may be told off, but nothing ever fails.

use reqwest::Method;
use serde_json::{Value, json};

use crate::helpers::{Call, TestApp};
use crate::isolation::bodies;
use crate::isolation::document::{Document, Operation, Plane};
use crate::isolation::rows::{Rows, filled};

fn odd_values() -> Vec<Value> {
    vec![
        json!("\u{0}"),
        json!("a\u{0}b"),
        json!(""),
        json!(" "),
        json!("😀 \u{202e} \u{feff}"),
        json!("'; drop table leads; --"),
        json!("%_\\"),
        json!("x".repeat(100_000)),
        json!(-1),
        json!(0),
        json!(1.5),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1e300),
        json!(true),
        json!(null),
        json!([]),
        json!({}),
        json!({"$ne": null}),
        json!(["\u{0}"]),
    ]
}

const ODD_TEXTS: [&str; 10] = [
    "%00",
    "a%00b",
    "%ff%fe",
    "%F0%9F%98%80",
    "..%2f..%2fetc%2fpasswd",
    "'%20or%201=1--",
    "-1",
    "99999999999999999999",
    "%25_%5C",
    "%E2%80%AE",
];

struct Sender<'a> {
    app: &'a TestApp,
    rows: &'a Rows,
}

impl Sender<'_> {
    fn call(&self, operation: &Operation, path: &str) -> Call {
        let call = self.app.call(operation.method.clone(), path);
        match operation.plane {
            Plane::Tenant => call.of(&self.rows.tenant).bearer(&self.rows.owner),
            Plane::Admin => call.bearer(&self.app.admin.token),
            Plane::Platform => call,
        }
    }

    async fn is_answered(&self, call: Call, told: &str) {
        let answer = call.await;
        assert!(answer.status < 500, "{told}: {}", answer.describe());
    }
}

#[tokio::test]
async fn no_value_of_any_field_fails_the_server() {
    let app = TestApp::start().await;
    let document = Document::read();
    let rows = Rows::make(&app, &document, app.onboard("quartz-motors", "cars").await).await;
    let sender = Sender {
        app: &app,
        rows: &rows,
    };
    // Administrators last: they can suspend the tenant.
    let operations = document.of(Plane::Tenant).chain(document.of(Plane::Admin));
    for operation in operations.filter(|operation| !operation.ends_the_session()) {
        let (Some(schema), Some(path)) = (&operation.body, rows.fill(&operation.path)) else {
            continue;
        };
        for field in document.properties(schema).keys() {
            for odd in odd_values() {
                let mut body = bodies::valid(&document, operation, "odd").expect("a body");
                body[field] = odd.clone();
                let told = format!("{} with {field}: {:.60}", operation.id, odd.to_string());
                sender
                    .is_answered(sender.call(operation, &path).json(&body), &told)
                    .await;
            }
        }
        for whole in odd_values() {
            sender
                .is_answered(sender.call(operation, &path).json(&whole), &operation.id)
                .await;
        }
    }
}

#[tokio::test]
async fn no_parameter_and_no_path_fails_the_server() {
    let app = TestApp::start().await;
    let document = Document::read();
    let rows = Rows::make(&app, &document, app.onboard("quartz-motors", "cars").await).await;
    let sender = Sender {
        app: &app,
        rows: &rows,
    };
    let long = "x".repeat(5000);
    let odd_texts = || ODD_TEXTS.into_iter().chain(["", &long]);
    for operation in &document.operations {
        let paths = rows.fill(&operation.path).into_iter();
        for path in paths.filter(|_| operation.method == Method::GET) {
            for parameter in operation
                .query
                .iter()
                .map(String::as_str)
                .chain(["%00", "no_such"])
            {
                for odd in odd_texts() {
                    let path = format!("{path}?{parameter}={odd}");
                    sender
                        .is_answered(sender.call(operation, &path), &operation.id)
                        .await;
                }
            }
        }
        if operation.path_params().is_empty() {
            continue;
        }
        for odd in odd_texts().filter(|odd| !odd.is_empty()) {
            let path = filled(&operation.path, std::iter::repeat(odd));
            let call = sender.call(operation, &path);
            let call = match bodies::valid(&document, operation, "odd") {
                Some(body) => call.json(&body),
                None => call,
            };
            call.await.problem(404, "not_found");
        }
    }
}
