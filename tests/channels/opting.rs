//! Whoever says so gets no broadcasts, until they say otherwise; whoever did not gets them, once.

use serde_json::json;

use super::{Bots, path_of};
use crate::http::customers::made;

#[tokio::test]
async fn a_word_leads_out_and_another_back() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let (bot, token) = bots.greeting(&garage, 1).await;
    let words = async |count: usize| -> Vec<String> {
        let sent = bots.telegram.await_sent(&token, count).await;
        sent.iter().map(|call| call.text().to_owned()).collect()
    };
    bots.telegram.person_starts(&token, 7, None);
    bots.telegram.await_sent(&token, 1).await;
    for word in ["SAIR", "sair!", "Bom dia"] {
        bots.telegram.person_writes(&token, 7, word);
    }
    assert!(words(2).await[1].contains("VOLTAR"));
    bots.telegram.person_starts(&token, 8, None);
    assert_eq!(words(3).await[2], "Bem-vindo!");
    let out = "select to_jsonb(count(*)) from contacts where opted_out_at is not null";
    bots.await_rows(&garage, out, json!([1])).await;

    let broadcast = async |body: &str| {
        let body = json!({"name": "Promo", "instance_id": bot["id"], "body": body, "pace_per_minute": 600});
        let made = made(&bots.app, &garage, "/api/broadcasts", body).await;
        let path = format!("/api/broadcasts/{}", made["id"].as_str().unwrap());
        bots.app
            .post(&format!("{path}/start"))
            .by(&garage)
            .await
            .expect(200);
        let read = async || bots.app.get(&path).by(&garage).await.expect(200).json();
        bots.app
            .until("it is done", async || read().await["state"] == "done")
            .await;
        read().await["progress"].clone()
    };
    let progress = broadcast("Promoção").await;
    let expected = json!({"total": 2, "queued": 0, "sent": 1, "failed": 0, "skipped": 0, "opted_out": 1});
    assert_eq!(progress, expected);
    bots.telegram.person_writes(&token, 7, "Voltar");
    assert!(words(5).await[4].contains("SAIR"));
    bots.await_rows(&garage, out, json!([0])).await;
    assert_eq!(broadcast("Outra").await["sent"], 2);
    let sent = bots.telegram.sent(&token);
    assert_eq!(sent.iter().filter(|call| call.text() == "Promoção").count(), 1);
    assert_eq!(sent.iter().filter(|call| call.text() == "Outra").count(), 2);
    bots.app.delete(&path_of(&bot)).by(&garage).await.expect(204);
}
