//! How it fails when told to.

use helixai_fakes::telegram::{Failure, FakeTelegram, Fault};
use serde_json::json;

use crate::{ANA, BOT, OTHER, call, call_as, telegram, why};

/// One `sendMessage`: status and body, none when the connection was closed.
async fn send(telegram: &FakeTelegram) -> Option<(u16, String)> {
    let url = format!("{}/bot{BOT}/sendMessage", telegram.url());
    let body = json!({"chat_id": ANA, "text": "olá"});
    let answer = reqwest::Client::new().post(url).json(&body).send().await.ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.text().await.ok()?))
}

#[tokio::test]
async fn calls_fail_with_and_without_effect() {
    let telegram = telegram().await;
    telegram.add_chat(BOT, ANA);
    for (failure, status, sent) in [
        (Failure::Status(500), Some(500), 0),
        (Failure::Html(502), Some(502), 0),
        (Failure::TooManyRequests(7), Some(429), 0),
        (Failure::Drop, None, 0),
        (Failure::ActThenDrop, None, 1),
        (Failure::ActThenHtml(504), Some(504), 2),
        (Failure::ActThenStall(1), Some(200), 3),
    ] {
        telegram.answer_next("sendMessage", failure);
        let answer = send(&telegram).await;
        assert_eq!(answer.as_ref().map(|(status, _)| *status), status, "{failure:?}");
        assert_eq!(telegram.sent(BOT).len(), sent, "{failure:?}");
        let body = answer.map(|(_, body)| body).unwrap_or_default();
        match failure {
            Failure::Html(_) | Failure::ActThenHtml(_) => assert!(body.starts_with("<html>")),
            Failure::TooManyRequests(_) => {
                assert!(body.contains("\"parameters\":{\"retry_after\":7}"), "{body}")
            }
            Failure::Status(_) => assert!(body.contains("Internal Server Error")),
            _ => {}
        }
    }
    assert_eq!(send(&telegram).await.map(|(status, _)| status), Some(200));
    let statuses: Vec<u16> = telegram.calls(BOT).iter().map(|call| call.status).collect();
    assert_eq!(statuses, [500, 502, 429, 0, 200, 200, 200, 200]);
}

#[tokio::test]
async fn a_fault_is_of_its_method_and_bot() {
    let telegram = telegram().await;
    telegram.fail(Fault {
        method: "GETME".to_owned(),
        token: Some(BOT.to_owned()),
        failure: Failure::Status(503),
        times: 2,
    });
    assert_eq!(call_as(&telegram, OTHER, "getMe", json!({})).await.0, 200);
    assert_eq!(call(&telegram, "getUpdates", json!({})).await.0, 200);
    for wanted in [503, 503, 200] {
        assert_eq!(call(&telegram, "getMe", json!({})).await.0, wanted);
    }
    telegram.answer_next("getUpdates", Failure::Status(502));
    assert_eq!(
        why(&call(&telegram, "getUpdates", json!({})).await),
        (502, "Bad Gateway")
    );
}
