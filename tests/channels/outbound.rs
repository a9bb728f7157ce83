//! What leaves: once, in order, not too fast, counted; what cannot leave says why.

use futures_util::future::join_all;
use helixai_fakes::telegram::{Failure, Limits};
use serde_json::{Value, json};

use super::Bots;
use crate::helpers::TestTenant;

/// A bot, and a conversation in which it was greeted.
async fn conversation(bots: &Bots, tenant: &TestTenant, number: u32, person: i64) -> (String, String) {
    let (_, token) = bots.greeting(tenant, number).await;
    bots.telegram.person_starts(&token, person, None);
    bots.telegram.await_sent(&token, 1).await;
    let inbox = bots
        .app
        .get("/api/conversations")
        .by(tenant)
        .await
        .expect(200)
        .json();
    let id = inbox["items"][0]["id"].as_str().unwrap();
    (token, format!("/api/conversations/{id}/messages"))
}

async fn say(bots: &Bots, tenant: &TestTenant, path: &str, words: &str) -> Value {
    let call = bots.app.post(path).by(tenant).json(&json!({ "body": words }));
    call.await.expect(201).json()
}

/// What has become of the messages that were said through the API.
const STATES: &str = "select jsonb_build_array(body, status, error) from messages where direction = 'outbound' and body <> 'Bem-vindo!' order by id";

#[tokio::test]
async fn the_same_request_ten_times_is_one_message() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let (token, path) = conversation(&bots, &garage, 1, 7).await;
    let calls = (0..10).map(|_| async {
        let call = bots.app.post(&path).by(&garage).idempotency_key("one");
        call.json(&json!({"body": "Uma vez"})).await.expect(201).json()
    });
    let answers = join_all(calls).await;
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    say(&bots, &garage, &path, "Depois").await;
    let sent = bots.telegram.await_sent(&token, 3).await;
    let words: Vec<&str> = sent.iter().map(|call| call.text()).collect();
    assert_eq!(words, ["Bem-vindo!", "Uma vez", "Depois"]);
}

#[tokio::test]
async fn what_is_said_leaves_in_order() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let (token, path) = conversation(&bots, &garage, 1, 7).await;
    // The first one fails once: what was said after it waits for it.
    bots.telegram.answer_next("sendMessage", Failure::Drop);
    for n in 0..4 {
        say(&bots, &garage, &path, &format!("{n}")).await;
    }
    let sent = bots.telegram.await_sent(&token, 5).await;
    let words: Vec<&str> = sent.iter().skip(1).map(|call| call.text()).collect();
    assert_eq!(words, ["0", "1", "2", "3"]);
}

#[tokio::test]
async fn no_faster_than_telegram_allows() {
    let bots = Bots::start().await;
    bots.telegram.limit(Limits::default());
    let garage = bots.app.onboard("garage", "cars").await;
    let (token, path) = conversation(&bots, &garage, 1, 7).await;
    for n in 0..3 {
        say(&bots, &garage, &path, &format!("{n}")).await;
    }
    bots.telegram.await_sent(&token, 4).await;
    let refused = bots.telegram.calls(&token);
    let refused = refused
        .iter()
        .filter(|call| !call.is_message() && call.method.eq_ignore_ascii_case("sendMessage"));
    assert_eq!(refused.count(), 0, "nothing was sent too early");
}

#[tokio::test]
async fn a_heap_in_one_conversation_keeps_no_other_waiting() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let (token, path) = conversation(&bots, &garage, 1, 7).await;
    // Telegram takes one message a second in a chat: this heap takes more than a minute.
    for n in 0..70 {
        say(&bots, &garage, &path, &format!("{n}")).await;
    }
    bots.telegram.person_starts(&token, 8, None);
    bots.await_rows(
        &garage,
        "select to_jsonb(count(*)) from messages where status = 'sent' and body = 'Bem-vindo!'",
        json!([2]),
    )
    .await;
    let waiting = "select to_jsonb(count(*) > 0) from messages where status = 'queued'";
    assert_eq!(bots.rows(&garage, waiting).await, [json!(true)]);
}

#[tokio::test]
async fn silence_that_telegram_asks_for_is_kept() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let (token, path) = conversation(&bots, &garage, 1, 7).await;
    bots.telegram
        .answer_next("sendMessage", Failure::TooManyRequests(1));
    say(&bots, &garage, &path, "Depois").await;
    bots.telegram.await_sent(&token, 2).await;
    let attempts = "select to_jsonb(attempts) from outbox order by id desc limit 1";
    bots.await_rows(&garage, attempts, json!([1])).await;
}

#[tokio::test]
async fn what_will_never_be_taken_says_why_and_costs_nothing() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let (token, path) = conversation(&bots, &garage, 1, 7).await;
    bots.telegram.block(&token, 7);
    say(&bots, &garage, &path, "Oi?").await;
    bots.await_rows(&garage, STATES, json!([["Oi?", "failed", "blocked"]]))
        .await;
    bots.app
        .until("the reservation is given back", async || {
            let usage = bots.app.get("/api/usage").by(&garage).await.expect(200).json();
            usage["meters"][0]["used"] == 1 && usage["meters"][0]["reserved"] == 0
        })
        .await;
}

#[tokio::test]
async fn a_month_that_is_used_up_sends_nothing() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let (token, path) = conversation(&bots, &garage, 1, 7).await;
    let admin = bots.app.test.admin().await;
    admin
        .batch_execute("update master.usage_counters set limit_value = used where meter = 'messages'")
        .await
        .unwrap();
    say(&bots, &garage, &path, "Demais").await;
    bots.await_rows(&garage, STATES, json!([["Demais", "failed", "limit_exceeded"]]))
        .await;
    assert_eq!(bots.telegram.sent(&token).len(), 1);
}

#[tokio::test]
async fn what_has_failed_is_said_again() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let (token, path) = conversation(&bots, &garage, 1, 7).await;
    bots.telegram.block(&token, 7);
    let failed = say(&bots, &garage, &path, "Oi?").await;
    let again = format!("{path}/{}/resend", failed["id"].as_str().unwrap());
    bots.await_rows(&garage, STATES, json!([["Oi?", "failed", "blocked"]]))
        .await;
    bots.telegram.unblock(&token, 7);
    let call = || bots.app.post(&again).by(&garage).idempotency_key("one");
    let said = call().await.expect(201).json();
    assert_eq!(call().await.expect(201).json(), said);
    assert_eq!(
        (&said["body"], &said["status"]),
        (&json!("Oi?"), &json!("queued"))
    );
    assert_eq!(bots.telegram.await_sent(&token, 2).await[1].text(), "Oi?");
    let path = format!("{path}/{}/resend", said["id"].as_str().unwrap());
    let sent = json!([["Oi?", "failed", "blocked"], ["Oi?", "sent", null]]);
    bots.await_rows(&garage, STATES, sent).await;
    bots.app.post(&path).by(&garage).await.problem(409, "wrong_state");
}
