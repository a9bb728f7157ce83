//! The API's description and its pages: complete, sound, and served without anybody else's server.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::helpers::TestApp;
use crate::isolation::document::Document;

/// Every `$ref` of a value.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(reference) if name == "$ref" => found.push(reference),
                    _ => references(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn the_document_is_sound() {
    let document = Document::read();
    let json = &document.json;
    assert!(
        json["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.1")),
        "{}",
        json["openapi"]
    );
    let mut found = Vec::new();
    references(json, &mut found);
    assert!(found.len() > 20, "{found:?}");
    for reference in found {
        let pointer = reference
            .strip_prefix('#')
            .expect("a reference inside the document");
        assert!(json.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let mut ids = BTreeSet::new();
    for operation in &document.operations {
        assert!(
            ids.insert(operation.id.clone()),
            "{} is there twice",
            operation.id
        );
    }
}

#[test]
fn every_operation_says_what_it_takes_and_answers() {
    let document = Document::read();
    let schemes = document.json["components"]["securitySchemes"]
        .as_object()
        .expect("schemes");
    for operation in &document.operations {
        let (id, entry) = (&operation.id, &operation.entry);
        assert!(
            entry["summary"].as_str().is_some_and(|text| !text.is_empty()),
            "{id} has no summary"
        );
        assert!(
            entry["tags"].as_array().is_some_and(|tags| tags.len() == 1),
            "{id} has no tag"
        );
        for scheme in entry["security"].as_array().into_iter().flatten() {
            let mut names = scheme.as_object().expect("a requirement").keys();
            assert!(names.all(|name| schemes.contains_key(name)), "{id}: {scheme}");
        }
        let responses = entry["responses"].as_object().expect("responses");
        assert!(
            responses.keys().any(|status| status.starts_with(['1', '2'])),
            "{id} never succeeds"
        );
        for (status, response) in responses {
            let content = response["content"].as_object();
            if status.starts_with(['4', '5']) {
                let body = content.and_then(|content| content.get("application/problem+json"));
                let schema = body.map(|body| body["schema"]["$ref"].as_str().unwrap_or_default());
                assert!(
                    schema.is_some_and(|schema| schema.ends_with("/ProblemBody")),
                    "{id} {status}"
                );
            } else if !["101", "204", "304"].contains(&status.as_str()) && !id.ends_with("password_reset") {
                assert!(content.is_some(), "{id} {status} says nothing");
            }
        }
        if operation.protected {
            let refusal = responses.keys().any(|status| status.starts_with('4'));
            assert!(refusal, "{id} is protected and documents no 4XX");
        }
        let documented: BTreeSet<&str> = entry["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "path")
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        assert_eq!(documented, operation.path_params().into_iter().collect(), "{id}");
    }
}

#[tokio::test]
async fn the_document_is_served_as_it_is() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    for call in [
        app.get("/api/openapi.json"),
        app.get("/api/openapi.json").of(&garage),
    ] {
        let answer = call.await;
        assert_eq!(
            answer.expect(200).header("content-type"),
            Some("application/json")
        );
        assert_eq!(answer.json(), Document::read().json);
    }
}

#[tokio::test]
async fn the_pages_need_no_other_server() {
    let app = TestApp::start().await;
    let redirect = app.get("/docs").await;
    assert_eq!(
        redirect.header("location"),
        Some("/docs/"),
        "{}",
        redirect.describe()
    );
    let page = app.get("/docs/").await;
    assert!(
        page.expect(200)
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/html"))
    );
    let mut assets = 0;
    for attribute in page.text().split(['"', '\'']).collect::<Vec<_>>().windows(2) {
        let [before, value] = attribute else { continue };
        if !(before.ends_with("src=") || before.ends_with("href=")) {
            continue;
        }
        assert!(!value.contains("//"), "{value} is on another server");
        let path = format!("/docs/{}", value.trim_start_matches("./"));
        let asset = app.get(&path).await;
        assert!(!asset.expect(200).body.is_empty(), "{path}");
        assets += 1;
    }
    assert!(assets >= 3, "{}", page.text());
    let start = app.get("/docs/swagger-initializer.js").await;
    assert!(
        start.expect(200).text().contains("/api/openapi.json"),
        "{}",
        start.text()
    );
    assert!(!start.text().contains("https://"), "{}", start.text());
    app.get("/docs/no-such-file").await.expect(404);
    app.get("/docs/..%2f..%2fCargo.toml").await.expect(404);
}
