//! What a client gets that asks for the impossible.

use serde_json::{Value, json};

use crate::helpers::{BASE_DOMAIN, TestApp, TestTenant, send_raw};

const MIB: usize = 1024 * 1024;

/// A lead whose JSON is exactly so long.
fn lead_of(length: usize) -> Vec<u8> {
    let mut body = br#"{"name":"Ana"}"#.to_vec();
    body.resize(length, b' ');
    body
}

fn head(tenant: &TestTenant, extra: &str) -> String {
    format!(
        "POST /api/leads HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\
         Content-Type: application/json\r\n{extra}\r\n",
        tenant.host(),
        tenant.api_key
    )
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    for chunk in body.chunks(16 * 1024) {
        encoded.extend(format!("{:x}\r\n", chunk.len()).bytes());
        encoded.extend(chunk);
        encoded.extend(b"\r\n");
    }
    encoded.extend(b"0\r\n\r\n");
    encoded
}

#[tokio::test]
async fn a_body_is_at_most_a_mebibyte() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let post = |length: usize| {
        app.post("/api/leads")
            .by(&garage)
            .bytes("application/json", &lead_of(length))
    };
    post(MIB).await.expect(201);
    post(MIB + 1).await.problem(413, "body_too_large");
    // Whoever may not even ask does not learn it.
    post(MIB + 1)
        .bearer("hxk_nobody")
        .await
        .problem(401, "unauthorized");
    for (length, status, code) in [
        (MIB, 201, None),
        (MIB + 1, 413, Some("body_too_large")),
        (3 * MIB, 413, Some("body_too_large")),
    ] {
        let mut request = head(&garage, "Transfer-Encoding: chunked\r\n").into_bytes();
        request.extend(chunked(&lead_of(length)));
        let answer = send_raw(app.address, &request).await;
        assert_eq!(answer.status, status, "{length}: {}", answer.text);
        if let Some(code) = code {
            answer.problem(status, code);
        }
    }
    // A lie about the length costs nothing: the answer does not wait for the body.
    let lie = head(&garage, "Content-Length: 1000000000000\r\n");
    send_raw(app.address, lie.as_bytes())
        .await
        .problem(413, "body_too_large");
    // On one connection the next request is served.
    let leads = app.get("/api/leads").by(&garage).await.expect(200).json();
    assert_eq!(leads["items"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_body_must_come_in_time() {
    let app = TestApp::builder()
        .set("server.request_timeout_secs", 1)
        .set("database.statement_timeout_ms", 1000)
        .set("database.lock_timeout_ms", 1000)
        .set("server.body_limit_bytes", 2048)
        .start()
        .await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let mut request = head(&garage, "Content-Length: 20\r\n").into_bytes();
    request.extend(b"{\"name\":");
    send_raw(app.address, &request)
        .await
        .problem(408, "body_too_slow");
    let large = app
        .post("/api/leads")
        .by(&garage)
        .bytes("application/json", &lead_of(2049));
    large.await.problem(413, "body_too_large");
}

#[tokio::test]
async fn a_body_must_be_json() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let post = || app.post("/api/leads").by(&garage);
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "multipart/form-data",
        "nonsense",
    ] {
        post()
            .bytes(kind, br#"{"name":"Ana"}"#)
            .await
            .problem(415, "unsupported_media_type");
    }
    post().await.problem(415, "unsupported_media_type");
    for kind in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON ;charset=UTF-8",
    ] {
        post().bytes(kind, br#"{"name":"Ana"}"#).await.expect(201);
    }
    let deep = "[".repeat(500_000);
    let deep_value = format!(r#"{{"name":{}}}"#, "[".repeat(100_000) + &"]".repeat(100_000));
    for text in [
        "",
        "{",
        "{]",
        r#"{"name":"Ana"} x"#,
        r#"{"name":"Ana",}"#,
        "{'name':'Ana'}",
        "\u{feff}{}",
        r#"{"name":"\ud800"}"#,
        r#"{"name":"\x"}"#,
        &deep,
    ] {
        let answer = post().text(text).await;
        answer.problem(400, "malformed_json");
    }
    let not_utf8 = post().bytes("application/json", b"{\"name\":\"\xff\xfe\"}").await;
    not_utf8.problem(400, "malformed_json");
    let raw_nul = post().bytes("application/json", b"{\"name\":\"a\x00b\"}").await;
    raw_nul.problem(400, "malformed_json");
    // JSON, but not what was asked for.
    post()
        .text(&deep_value)
        .await
        .refused_fields(&[("name", "invalid_type")]);
    for text in ["null", "1", "[]", r#""Ana""#, "true"] {
        post().text(text).await.problem(422, "invalid_fields");
    }
    // The values alone, in the order of the fields.
    let values = post()
        .text(r#"["Ana", null, null, null, null, null, null]"#)
        .await;
    values.refused_fields(&[(".", "invalid_type")]);
}

#[tokio::test]
async fn every_refused_field_is_named_at_once() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let post = |body: Value| app.post("/api/leads").by(&garage).json(&body);
    post(json!({})).await.refused_fields(&[("name", "required")]);
    post(json!({"name": null}))
        .await
        .refused_fields(&[("name", "required")]);
    post(json!({"name": " \t "}))
        .await
        .refused_fields(&[("name", "required")]);
    post(json!({"name": 1}))
        .await
        .refused_fields(&[("name", "invalid_type")]);
    post(json!({"name": "Ana", "colour": "red"}))
        .await
        .refused_fields(&[("colour", "unknown_field")]);
    post(json!({"name": "a\u{0}b"}))
        .await
        .refused_fields(&[("name", "invalid_format")]);
    let wrong = json!({"name": "n".repeat(201), "phone": "12", "email": "ana", "assigned_to": "me"});
    let expected = [
        ("name", "too_long"),
        ("phone", "invalid_format"),
        ("email", "invalid_format"),
        ("assigned_to", "invalid_format"),
    ];
    post(wrong).await.refused_fields(&expected);
    post(json!({"name": "Ana", "stage": "no_such"}))
        .await
        .refused_fields(&[("stage", "unknown_value")]);
    let nobody = json!({"name": "Ana", "assigned_to": uuid::Uuid::now_v7()});
    post(nobody)
        .await
        .refused_fields(&[("assigned_to", "unknown_value")]);
    let twice = app
        .post("/api/leads")
        .by(&garage)
        .text(r#"{"name":"Ana","name":"Bia"}"#);
    assert!(matches!(twice.await.status, 400 | 422));
}

#[tokio::test]
async fn a_query_is_checked_like_a_body() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let list = |query: &str| app.get(&format!("/api/leads?{query}")).by(&garage);
    for limit in [
        "0",
        "201",
        "-1",
        "1.5",
        "ten",
        "",
        "99999999999999999999999",
        "%00",
    ] {
        let answer = list(&format!("limit={limit}")).await;
        answer.problem(422, "invalid_fields");
    }
    for limit in ["1", "200"] {
        list(&format!("limit={limit}")).await.expect(200);
    }
    for cursor in ["x", "%00", "../..", "AAAA", "%ff"] {
        list(&format!("cursor={cursor}")).await.expect(422);
    }
    list("colour=red")
        .await
        .refused_fields(&[("colour", "unknown_field")]);
    list("limit=1&limit=2")
        .await
        .refused_fields(&[("limit", "repeated")]);
    list("q=a%00b").await.refused_fields(&[("q", "invalid_format")]);
    for odd in [
        "q=%ff%fe",
        "q=%",
        "q=%zz",
        "&&&",
        "=",
        "q",
        "q=%27%3B--",
        "q=%25_%5C",
        "%00=1",
    ] {
        let answer = list(odd).await;
        assert!(matches!(answer.status, 200 | 400 | 422), "{}", answer.describe());
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    for path in [
        "/nothing",
        "/api",
        "/api/",
        "/api/leads/",
        "/api/nothing/at/all",
        "/api//leads",
        "/%00",
        "/%ff",
        "/api/leads%2f",
    ] {
        for call in [
            app.get(path),
            app.get(path).by(&garage),
            app.post(path).by(&garage).text("{"),
        ] {
            call.await.problem(404, "not_found");
        }
    }
    for id in [
        "1",
        "%00",
        "%ff%fe",
        "not-an-id",
        "..%2f..%2fetc",
        "00000000-0000-0000-0000-00000000000g",
        "'%20or%201=1--",
    ] {
        app.get(&format!("/api/leads/{id}"))
            .by(&garage)
            .await
            .problem(404, "not_found");
    }
    let nil = app
        .get("/api/leads/00000000-0000-0000-0000-000000000000")
        .by(&garage);
    nil.await.problem(404, "not_found");
}

#[tokio::test]
async fn another_method_is_told_which_there_are() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let id = uuid::Uuid::now_v7();
    for (method, path, allowed) in [
        ("PUT", "/api/leads".to_owned(), "GET, HEAD, POST"),
        ("DELETE", "/api/leads".to_owned(), "GET, HEAD, POST"),
        ("POST", format!("/api/leads/{id}"), "DELETE, GET, HEAD, PATCH"),
        ("GET", "/api/sessions".to_owned(), "POST"),
        ("TRACE", "/api/me".to_owned(), "GET, HEAD"),
        ("BREW", "/api/me".to_owned(), "GET, HEAD"),
    ] {
        let answer = app
            .call(method.parse().expect("a method"), &path)
            .by(&garage)
            .await;
        answer.problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
    }
}

#[tokio::test]
async fn head_is_get_without_its_body() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    for path in [
        "/healthz",
        "/readyz",
        "/api/leads",
        "/api/me",
        "/api/openapi.json",
    ] {
        let head = app.call(reqwest::Method::HEAD, path).by(&garage).await;
        assert!(head.expect(200).body.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn odd_headers_are_refused_like_any_others() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let send = |headers: Vec<u8>| {
        let mut request = b"GET /api/leads HTTP/1.1\r\nConnection: close\r\n".to_vec();
        request.extend(headers);
        request.extend(b"\r\n");
        async move { send_raw(app.address, &request).await }
    };
    let key = format!("Authorization: Bearer {}\r\n", garage.api_key);
    let here = format!("Host: {}\r\n", garage.host());
    let base = format!("Host: {BASE_DOMAIN}\r\n");
    let all = |parts: &[&[u8]]| parts.concat();
    let served = send(all(&[here.as_bytes(), key.as_bytes()])).await;
    assert_eq!(served.status, 200, "{}", served.text);
    let nowhere = send(all(&[b"Host: \xff\xfe\r\n", key.as_bytes()])).await;
    nowhere.problem(404, "tenant_not_found");
    let odd_key = all(&[base.as_bytes(), key.as_bytes(), b"X-Tenant-Key: \xff\r\n"]);
    send(odd_key).await.problem(404, "tenant_not_found");
    let odd_token = all(&[here.as_bytes(), b"Authorization: Bearer \xff\r\n"]);
    send(odd_token).await.problem(401, "unauthorized");
    let odd_cookie = all(&[here.as_bytes(), b"Cookie: helixai_session=\xff; \xfe\r\n"]);
    send(odd_cookie).await.problem(401, "unauthorized");
    let long = format!("X-Tenant-Key: {}\r\n", "a".repeat(8000));
    send(all(&[base.as_bytes(), key.as_bytes(), long.as_bytes()]))
        .await
        .problem(404, "tenant_not_found");
    // Two hosts, or two keys: nobody knows which one a proxy before us has looked at.
    let hosts = all(&[
        here.as_bytes(),
        b"Host: sales-beta.helixai.test\r\n",
        key.as_bytes(),
    ]);
    let answer = send(hosts).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    let keys = all(&[
        base.as_bytes(),
        key.as_bytes(),
        b"X-Tenant-Key: garage-alpha\r\nX-Tenant-Key: sales-beta\r\n",
    ]);
    let answer = send(keys).await;
    assert_eq!(answer.status, 400, "{}", answer.text);

    // What is no HTTP at all is refused, too, and does not disturb the next one.
    for nonsense in [
        &b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ] {
        let answer = send_raw(app.address, nonsense).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
    }
    app.get("/api/leads").by(&garage).await.expect(200);
}

#[tokio::test]
async fn a_request_id_is_ours_and_new() {
    let app = TestApp::start().await;
    let first = app.get("/healthz").header("x-request-id", "0; drop table").await;
    let second = app.get("/healthz").header("x-request-id", "0; drop table").await;
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
    assert_ne!(first.header("x-request-id"), Some("0; drop table"));
}

#[tokio::test]
async fn answers_are_compressed_for_whom_they_may_be() {
    let app = TestApp::start().await;
    for (accepted, used) in [
        ("gzip", Some("gzip")),
        ("br, gzip;q=0.5", Some("br")),
        ("identity", None),
        ("nonsense", None),
    ] {
        let answer = app
            .get("/api/openapi.json")
            .header("accept-encoding", accepted)
            .await;
        assert_eq!(answer.expect(200).header("content-encoding"), used, "{accepted}");
    }
    let none = app
        .get("/healthz")
        .header("accept-encoding", "identity;q=0, *;q=0")
        .await;
    assert!(matches!(none.status, 200 | 406), "{}", none.describe());
}
