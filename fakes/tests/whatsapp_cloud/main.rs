//! The fake Graph API, spoken to over HTTP as by any client.

#![expect(
    clippy::disallowed_methods,
    reason = "a test's own clients, with nothing to set"
)]

use std::sync::{Arc, Mutex};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use helixai_fakes::whatsapp_cloud::{Failure, FakeCloud, Limits, Signing, envelope, signature};
use serde_json::{Value, json};

const NUMBER: &str = "106540352242922";
const TOKEN: &str = "EAAJB-a-token";
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const ANA: &str = "5511987654321";

async fn cloud() -> FakeCloud {
    let cloud = FakeCloud::start().await.unwrap();
    cloud.add_number(NUMBER, TOKEN, SECRET);
    cloud
}

async fn say(cloud: &FakeCloud, token: &str, body: &Value) -> (u16, Value) {
    let url = format!("{}/v24.0/{NUMBER}/messages", cloud.url());
    let call = reqwest::Client::new().post(url).bearer_auth(token).json(body);
    let answer = call.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

fn text(to: &str, words: &str) -> Value {
    json!({"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": words}, "biz_opaque_callback_data": "ours"})
}

fn code(answer: &(u16, Value)) -> (u16, i64) {
    (answer.0, answer.1["error"]["code"].as_i64().unwrap_or_default())
}

/// Signature and body of what came.
type Came = Arc<Mutex<Vec<(String, String)>>>;

/// A webhook that says challenges back when it is shown `token`.
fn receiver() -> (Came, String) {
    let came = Came::default();
    let data = web::Data::from(Arc::clone(&came));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let take = async |http: HttpRequest, body: String, came: web::Data<Mutex<Vec<(String, String)>>>| {
        if http.method() == "GET" {
            let query = http.query_string();
            let challenge = query
                .split('&')
                .find_map(|pair| pair.strip_prefix("hub.challenge="));
            return match query.contains("hub.verify_token=token") {
                true => HttpResponse::Ok().body(challenge.unwrap_or_default().to_owned()),
                false => HttpResponse::Forbidden().finish(),
            };
        }
        let signature = http.headers().get("X-Hub-Signature-256");
        let signature = signature.map_or(String::new(), |value| value.to_str().unwrap().to_owned());
        came.lock().unwrap().push((signature, body));
        HttpResponse::Ok().finish()
    };
    let server = HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(take)));
    let server = server
        .workers(1)
        .disable_signals()
        .listen(listener)
        .unwrap()
        .run();
    tokio::spawn(server);
    (came, url)
}

#[tokio::test]
async fn only_who_has_the_token_speaks_for_a_number() {
    let cloud = cloud().await;
    assert_eq!(code(&say(&cloud, "another", &text(ANA, "Oi")).await), (401, 190));
    cloud.add_number("106540352242999", "EAAJB-another", SECRET);
    assert_eq!(
        code(&say(&cloud, "EAAJB-another", &text(ANA, "Oi")).await),
        (400, 100)
    );
    let url = format!("{}/v24.0/{NUMBER}?fields=display_phone_number", cloud.url());
    let ask = async || {
        let call = reqwest::Client::new().get(&url).bearer_auth(TOKEN);
        let answer = call.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    assert_eq!(ask().await.1["display_phone_number"], "+55 11 4000-2922");
    cloud.revoke(NUMBER);
    assert_eq!(code(&ask().await), (401, 190));
    cloud.renew(NUMBER, "EAAJB-a-new-one");
    assert_eq!(code(&ask().await), (401, 190), "the former is worth nothing");
}

#[tokio::test]
async fn who_has_not_written_is_not_written_to() {
    let cloud = cloud().await;
    let (_, url) = receiver();
    assert!(cloud.subscribe(NUMBER, &url, "token").await);
    assert_eq!(code(&say(&cloud, TOKEN, &text(ANA, "Oi")).await), (400, 131_047));
    cloud.person_writes(NUMBER, ANA, "Bom dia").await;
    let (status, said) = say(&cloud, TOKEN, &text(ANA, "Oi")).await;
    assert_eq!(status, 200);
    assert_eq!(
        said["contacts"][0],
        json!({"input": ANA, "wa_id": "551187654321"})
    );
    assert_eq!(
        cloud.said(NUMBER)[0].wamid.as_deref(),
        said["messages"][0]["id"].as_str()
    );
    assert_eq!(
        say(&cloud, TOKEN, &text("551187654321", "Oi")).await.0,
        200,
        "the same person"
    );
    cloud.close_window(NUMBER, ANA);
    assert_eq!(code(&say(&cloud, TOKEN, &text(ANA, "Oi")).await), (400, 131_047));
    cloud.forget_person(NUMBER, ANA);
    assert_eq!(code(&say(&cloud, TOKEN, &text(ANA, "Oi")).await), (400, 131_026));
    let refused: Vec<Option<i64>> = cloud.asked(NUMBER).iter().map(|said| said.refused).collect();
    assert_eq!(refused, [Some(131_047), None, None, Some(131_047), Some(131_026)]);
}

#[tokio::test]
async fn what_meta_would_not_take_is_refused() {
    let cloud = cloud().await;
    let (_, url) = receiver();
    cloud.subscribe(NUMBER, &url, "token").await;
    cloud.person_writes(NUMBER, ANA, "Bom dia").await;
    let button = |title: &str| {
        json!({"messaging_product": "whatsapp", "to": ANA, "type": "interactive", "interactive": {
            "type": "cta_url", "body": {"text": "Oi"},
            "action": {"name": "cta_url", "parameters": {"display_text": title, "url": "https://loja.example"}}}})
    };
    assert_eq!(say(&cloud, TOKEN, &button("Entrar")).await.0, 200);
    assert_eq!(
        cloud.said(NUMBER)[0].button(),
        Some(("Entrar", "https://loja.example"))
    );
    for (body, expected) in [
        (button("Um título comprido demais"), 100),
        (text(ANA, ""), 100),
        (text(ANA, &"a".repeat(4097)), 100),
        (json!({"to": ANA, "type": "text", "text": {"body": "Oi"}}), 100),
        (
            json!({"messaging_product": "whatsapp", "to": ANA, "type": "dance"}),
            131_051,
        ),
    ] {
        assert_eq!(code(&say(&cloud, TOKEN, &body).await), (400, expected), "{body}");
    }
    cloud.limit(Limits {
        per_second: 80,
        per_person: 2,
    });
    assert_eq!(say(&cloud, TOKEN, &text(ANA, "2")).await.0, 200);
    assert_eq!(code(&say(&cloud, TOKEN, &text(ANA, "3")).await), (400, 131_056));
}

#[tokio::test]
async fn failures_come_when_they_are_told_to() {
    let cloud = cloud().await;
    let (_, url) = receiver();
    cloud.subscribe(NUMBER, &url, "token").await;
    cloud.person_writes(NUMBER, ANA, "Bom dia").await;
    cloud.fail(Failure::Code(400, 130_429));
    cloud.fail(Failure::Html(502));
    assert_eq!(code(&say(&cloud, TOKEN, &text(ANA, "Oi")).await), (400, 130_429));
    assert_eq!(say(&cloud, TOKEN, &text(ANA, "Oi")).await, (502, Value::Null));
    for (failure, said) in [(Failure::Drop, 0), (Failure::ActThenDrop, 1)] {
        cloud.fail(failure);
        let url = format!("{}/v24.0/{NUMBER}/messages", cloud.url());
        let call = reqwest::Client::new()
            .post(url)
            .bearer_auth(TOKEN)
            .json(&text(ANA, "Oi"));
        let answer = call.send().await;
        assert!(answer.is_err() || answer.unwrap().bytes().await.is_err());
        assert_eq!(cloud.said(NUMBER).len(), said, "{failure:?}");
    }
}

#[tokio::test]
async fn webhooks_are_signed_and_brought_again() {
    let cloud = cloud().await;
    let (came, url) = receiver();
    assert!(!cloud.subscribe(NUMBER, &url, "wrong").await, "another token");
    assert!(cloud.subscribe(NUMBER, &url, "token").await);
    let wamid = cloud.person_writes(NUMBER, ANA, "Bom dia").await;
    assert_eq!(cloud.redeliver(NUMBER, &wamid).await, 200);
    say(&cloud, TOKEN, &text(ANA, "Oi")).await;
    let said = cloud.await_said(NUMBER, 1).await[0].wamid.clone().unwrap();
    cloud.tell(NUMBER, &said, "failed", Some(131_047)).await;
    let came_so_far = came.lock().unwrap().clone();
    assert_eq!(came_so_far[0], came_so_far[1]);
    for (signed, body) in &came_so_far {
        assert_eq!(*signed, signature(SECRET, body));
    }
    let of =
        |body: &str| serde_json::from_str::<Value>(body).unwrap()["entry"][0]["changes"][0]["value"].clone();
    let message = of(&came_so_far[0].1);
    assert_eq!(message["metadata"]["phone_number_id"], NUMBER);
    assert_eq!(message["messages"][0]["text"]["body"], "Bom dia");
    assert_eq!(message["contacts"][0]["wa_id"], ANA);
    let status = of(&came_so_far[2].1)["statuses"][0].clone();
    assert_eq!(
        (&status["id"], &status["status"]),
        (&json!(said), &json!("failed"))
    );
    assert_eq!(status["biz_opaque_callback_data"], "ours");
    assert_eq!(status["errors"][0]["code"], 131_047);
    let body = envelope(&[(NUMBER, json!({}))]).to_string();
    for signing in [Signing::Unsigned, Signing::With("another"), Signing::Tampered] {
        cloud.post(NUMBER, &body, signing).await;
        let (signed, body) = came.lock().unwrap().last().cloned().unwrap();
        assert_ne!(signed, signature(SECRET, &body), "{signing:?}");
    }
}

#[tokio::test]
async fn it_is_controlled_over_http() {
    let cloud = FakeCloud::start().await.unwrap();
    let (_, url) = receiver();
    let control = async |path: &str, body: Value| -> Value {
        let call = reqwest::Client::new()
            .post(format!("{}{path}", cloud.control_url()))
            .json(&body);
        call.send().await.unwrap().json().await.unwrap()
    };
    control(
        "/numbers",
        json!({"id": NUMBER, "token": TOKEN, "app_secret": SECRET}),
    )
    .await;
    let entered = control(
        &format!("/numbers/{NUMBER}/subscribe"),
        json!({"url": url, "verify_token": "token"}),
    )
    .await;
    assert_eq!(entered, json!({"subscribed": true}));
    let written = control(
        &format!("/numbers/{NUMBER}/write"),
        json!({"person": ANA, "text": "Oi"}),
    )
    .await;
    assert_eq!(written["status"], 200);
    say(&cloud, TOKEN, &text(ANA, "Bom dia")).await;
    let said = reqwest::get(format!("{}/numbers/{NUMBER}/said", cloud.control_url()))
        .await
        .unwrap();
    let said: Value = said.json().await.unwrap();
    assert_eq!(said[0]["request"]["text"]["body"], "Bom dia");
    let told = json!({"wamid": said[0]["wamid"], "status": "read"});
    assert_eq!(
        control(&format!("/numbers/{NUMBER}/status"), told).await["status"],
        200
    );
    assert_eq!(
        control("/numbers/1/write", json!({})).await["error"],
        "no such number"
    );
}
