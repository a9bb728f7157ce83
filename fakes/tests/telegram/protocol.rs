//! Addresses, tokens, the ways to give parameters, and control over HTTP.

use serde_json::{Value, json};

use crate::{ANA, BOT, OTHER, call, call_as, telegram, why};

#[tokio::test]
async fn tokens_are_told_apart() {
    let telegram = telegram().await;
    let me = call(&telegram, "getMe", json!({})).await;
    assert_eq!(me.0, 200);
    assert_eq!(
        (&me.1["result"]["id"], &me.1["result"]["username"]),
        (&json!(5001), &json!("loja_bot"))
    );
    let unknown = call_as(&telegram, "5001:AAF7-other", "getMe", json!({})).await;
    assert_eq!(why(&unknown), (401, "Unauthorized"));
    assert_eq!(unknown.1["error_code"], 401);
    for malformed in ["5001", ":x", "abc:x", "0:x", "5001:"] {
        let answer = call_as(&telegram, malformed, "getMe", json!({})).await;
        assert_eq!(why(&answer), (404, "Not Found"), "{malformed}");
    }
    telegram.revoke(BOT);
    assert_eq!(
        why(&call(&telegram, "getMe", json!({})).await),
        (401, "Unauthorized")
    );
    assert_eq!(call_as(&telegram, OTHER, "getMe", json!({})).await.0, 200);
    let nothing = call_as(&telegram, OTHER, "getNothing", json!({})).await;
    assert_eq!(why(&nothing), (404, "Not Found: method not found"));
}

#[tokio::test]
async fn parameters_come_in_every_form() {
    let telegram = telegram().await;
    telegram.add_chat(BOT, ANA);
    let url = format!("{}/bot{BOT}/SENDMESSAGE", telegram.url());
    let client = reqwest::Client::new();
    let markup = json!({"inline_keyboard": [[{"text": "VIP", "url": "https://vip.test/"}]]}).to_string();
    let pairs = || {
        [
            ("chat_id", "7001".to_owned()),
            ("text", "Olá".to_owned()),
            ("reply_markup", markup.clone()),
        ]
    };
    let form = pairs()
        .into_iter()
        .fold(reqwest::multipart::Form::new(), |form, (name, value)| {
            form.text(name, value)
        });
    for request in [
        client.get(&url).query(&pairs()),
        client.post(&url).query(&pairs()),
        client.post(&url).form(&pairs()),
        client.post(&url).multipart(form),
        client.post(&url).json(&json!({"chat_id": 7001, "text": "Olá", "parse_mode": null,
                                       "reply_markup": {"inline_keyboard": [[{"text": "VIP", "url": "https://vip.test/"}]]}})),
        client.post(url.replace(':', "%3A").replacen("%3A", ":", 2)).json(&json!({"chat_id": "7001", "text": "Olá", "reply_markup": markup})),
    ] {
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["ok"], true, "{answer}");
    }
    let sent = telegram.sent(BOT);
    assert_eq!(sent.len(), 6);
    for (place, one) in sent.iter().enumerate() {
        assert_eq!((one.chat(), one.text()), (ANA, "Olá"));
        assert_eq!(
            one.buttons(),
            [("VIP".to_owned(), "https://vip.test/".to_owned())]
        );
        assert_eq!(one.message_id(), i64::try_from(place).unwrap() + 1);
    }
    let broken = client
        .post(&url)
        .header("content-type", "application/json")
        .body("{");
    let broken: Value = broken.send().await.unwrap().json().await.unwrap();
    assert_eq!(broken["description"], "Bad Request: can't parse JSON object");
}

#[tokio::test]
async fn scripts_control_it_over_http() {
    let telegram = telegram().await;
    let client = reqwest::Client::new();
    let post = async |path: &str, body: Value| {
        let answer = client
            .post(format!("{}/{path}", telegram.control_url()))
            .json(&body)
            .send()
            .await
            .unwrap();
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap())
    };
    let get = async |path: &str| {
        let answer = client
            .get(format!("{}/{path}", telegram.control_url()))
            .send()
            .await
            .unwrap();
        answer.json::<Value>().await.unwrap()
    };
    let third = "5003:AAH";
    assert_eq!(
        post("bots", json!([{"token": third, "username": "terceira_bot"}]))
            .await
            .0,
        200
    );
    let ana = json!({"person": {"id": ANA, "first_name": "Ana"}, "what": {"text": "oi"}});
    let told = post(&format!("bots/{third}/incoming"), ana.clone()).await;
    assert!(told.1["update_id"].is_u64(), "{told:?}");
    let sent = call_as(
        &telegram,
        third,
        "sendMessage",
        json!({"chat_id": ANA, "text": "olá"}),
    )
    .await;
    assert_eq!(sent.0, 200);
    let listed = get(&format!("bots/{third}/sent")).await;
    assert_eq!(listed[0]["result"]["text"], "olá");
    let many = json!({"tokens": [BOT, third], "people": [1, 2], "text": "oi"});
    assert_eq!(post("write", many).await.1["written"], 4);
    let counts = get("counts").await;
    assert_eq!(
        (
            &counts["bots"],
            &counts["pending"],
            &counts["sent"],
            &counts["calls"]["sendmessage"]
        ),
        (&json!(3), &json!(5), &json!(1), &json!(1))
    );
    let fault = json!({"method": "sendMessage", "failure": {"status": 500}});
    assert_eq!(post("faults", fault).await.0, 200);
    let failed = call_as(
        &telegram,
        third,
        "sendMessage",
        json!({"chat_id": ANA, "text": "olá"}),
    )
    .await;
    assert_eq!(failed.0, 500);
    assert_eq!(post("limits", json!({"window_ms": 60000})).await.0, 200);
    let say = json!({"chat_id": ANA, "text": "olá"});
    assert_eq!(call_as(&telegram, third, "sendMessage", say.clone()).await.0, 429);
    assert_eq!(post(&format!("bots/{third}/revoke"), json!({})).await.0, 200);
    assert_eq!(call_as(&telegram, third, "sendMessage", say).await.0, 401);
    assert_eq!(post("bots/none/incoming", ana).await.0, 409);
    assert_eq!(post("nothing", json!({})).await.0, 404);
    assert_eq!(post("forget", json!({})).await.0, 200);
    assert_eq!(get("counts").await["sent"], 0);
}
