//! Noise on the line: headers, JSON and forms that are nearly right, from a generator that makes the same ones in every
//! run. A client may be told off; nothing fails, and nothing is half done.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::json;

use crate::helpers::{TestApp, pictures, send_raw};

/// So many values, the same in every run.
fn some<S: Strategy>(count: usize, strategy: S) -> Vec<S::Value> {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let value = |_| strategy.new_tree(&mut runner).expect("a value").current();
    (0..count).map(value).collect()
}

/// What may happen to bytes on their way.
#[derive(Debug, Clone)]
enum Damage {
    Cut(Index),
    Change(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        at().prop_map(Damage::Cut),
        (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Change(at, byte)),
        (at(), vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (at(), select(&b"\r\n\0\"{}[]:,\\-"[..])).prop_map(|(at, byte)| Damage::Insert(at, vec![byte])),
        (at(), 1..40usize).prop_map(|(at, length)| Damage::Remove(at, length)),
        (at(), 1..200usize).prop_map(|(at, length)| Damage::Repeat(at, length)),
    ]
}

fn damaged(bytes: &[u8], damages: &[Damage]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for damage in damages {
        if bytes.is_empty() {
            break;
        }
        let end = bytes.len();
        match damage {
            Damage::Cut(at) => bytes.truncate(at.index(end)),
            Damage::Change(at, byte) => bytes[at.index(end)] = *byte,
            Damage::Insert(at, more) => drop(bytes.splice(at.index(end)..at.index(end), more.clone())),
            Damage::Remove(at, length) => drop(bytes.drain(at.index(end)..end.min(at.index(end) + length))),
            Damage::Repeat(at, length) => {
                let part = bytes[at.index(end)..end.min(at.index(end) + length)].to_vec();
                drop(bytes.splice(at.index(end)..at.index(end), part));
            }
        }
    }
    bytes
}

#[tokio::test]
async fn no_header_fails_the_server() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let names = [
        "host",
        "x-tenant-key",
        "authorization",
        "cookie",
        "origin",
        "idempotency-key",
        "content-type",
        "content-length",
        "transfer-encoding",
        "expect",
        "accept",
        "accept-encoding",
        "if-none-match",
        "range",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-http-method-override",
        "upgrade",
        "x-request-id",
    ];
    let near = [
        format!("Bearer {}", garage.api_key),
        garage.host(),
        garage.key.clone(),
        "helixai_session=hxs_x; helixai_session=hxs_y".to_owned(),
        "multipart/form-data; boundary=\"x".to_owned(),
        "application/json; charset=\"utf-7\"".to_owned(),
        "W/\"1\", \"2\", *".to_owned(),
        "gzip;q=2, br;q=-1, *;q=0".to_owned(),
        "::ffff:127.0.0.1, unknown, _hidden".to_owned(),
        "chunked, identity".to_owned(),
        "18446744073709551616".to_owned(),
    ];
    let value = prop_oneof![
        (select(near.to_vec()), vec(damage(), 0..4))
            .prop_map(|(text, damages)| damaged(text.as_bytes(), &damages)),
        vec(any::<u8>(), 0..60),
    ];
    let header = (select(names.to_vec()), value);
    let mut statuses = std::collections::BTreeSet::new();
    for headers in some(400, vec(header, 1..4)) {
        for first in [
            "GET /api/leads HTTP/1.1",
            "POST /api/leads HTTP/1.1",
            "GET /photos/0190163d-8694-739b-aea5-966c26f8ad91 HTTP/1.1",
        ] {
            let mut request = format!("{first}\r\n").into_bytes();
            if !headers.iter().any(|(name, _)| *name == "host") {
                request.extend(format!("host: {}\r\n", garage.host()).bytes());
            }
            for (name, value) in &headers {
                // A line break would begin another header.
                let value = value.iter().filter(|byte| !b"\r\n".contains(byte));
                request.extend(name.bytes().chain(*b": ").chain(value.copied()).chain(*b"\r\n"));
            }
            request.extend(b"connection: close\r\n\r\n");
            // The server would wait for a body that does not come.
            let waits = headers
                .iter()
                .any(|(name, _)| ["content-length", "transfer-encoding", "expect"].contains(name));
            if waits && first.starts_with("POST") {
                continue;
            }
            let answer = send_raw(app.address, &request).await;
            assert!(
                answer.status < 500,
                "{}: {}",
                String::from_utf8_lossy(&request),
                answer.text
            );
            statuses.insert(answer.status);
        }
    }
    for status in [400, 401, 404, 415] {
        assert!(
            statuses.contains(&status),
            "{statuses:?} are too few: nothing was tried"
        );
    }
}

#[tokio::test]
async fn no_damaged_json_fails_the_server() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let lead = json!({"name": "João", "phone": "(11) 98765-4321", "email": "joao@example.com", "notes": "a\nb", "stage": "new"});
    let text = lead.to_string();
    let mut made = 0;
    let mut refused = std::collections::BTreeSet::new();
    for damages in some(600, vec(damage(), 1..4)) {
        let body = damaged(text.as_bytes(), &damages);
        let answer = app
            .post("/api/leads")
            .by(&garage)
            .bytes("application/json", &body)
            .await;
        let told = format!("{}: {}", String::from_utf8_lossy(&body), answer.describe());
        match answer.status {
            201 => made += 1,
            400 | 422 => drop(refused.insert(answer.status)),
            _ => panic!("{told}"),
        }
    }
    assert!(made > 5 && refused.len() == 2, "{made} {refused:?}");
    let count = format!("select count(*) from {}.leads", garage.schema);
    let rows: i64 = app
        .test
        .admin()
        .await
        .query_one(&count, &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(rows, made, "what was refused left nothing");
}

#[tokio::test]
async fn no_damaged_form_fails_the_server_or_leaves_a_file() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let photo = pictures::photo();
    let (kind, form) = pictures::form(&[("photos", "a.jpg", &photo), ("photos", "b.jpg", &photo)]);
    let mut statuses = std::collections::BTreeSet::new();
    let kinds = [
        kind.clone(),
        kind.clone(),
        kind.clone(),
        kind.replace("----", "--"),
        format!("{kind}; charset=x"),
    ];
    let mut path = String::new();
    let cases = some(300, (select(kinds.to_vec()), vec(damage(), 0..3)));
    for (index, (kind, damages)) in cases.into_iter().enumerate() {
        if index % 10 == 0 {
            // Before the last one is full.
            let vehicle = json!({"title": "Uno", "make": "Fiat", "model": "Uno"});
            let made = app
                .post("/api/vehicles")
                .by(&garage)
                .json(&vehicle)
                .await
                .expect(201)
                .json();
            path = format!("/api/vehicles/{}/photos", made["id"].as_str().unwrap());
        }
        let body = damaged(&form, &damages);
        let answer = app.post(&path).by(&garage).bytes(&kind, &body).await;
        assert!(
            [201, 400, 415, 422].contains(&answer.status),
            "{damages:?}: {}",
            answer.describe()
        );
        statuses.insert(answer.status);
    }
    assert_eq!(statuses.into_iter().collect::<Vec<_>>(), [201, 400, 422]);
    let count = format!("select count(*) from {}.vehicle_photos", garage.schema);
    let rows: i64 = app
        .test
        .admin()
        .await
        .query_one(&count, &[])
        .await
        .unwrap()
        .get(0);
    let folder = app.test.settings.storage.folder.join(&garage.id);
    let files = std::fs::read_dir(folder).expect("a folder").count();
    assert_eq!(
        i64::try_from(files),
        Ok(2 * rows),
        "a picture and a thumbnail for each row"
    );
}
