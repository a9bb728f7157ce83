//! What a number says leaves as Meta allows it; what Meta refuses says why, and stops nobody else.

use helixai_fakes::whatsapp_cloud::{Failure, Limits};
use serde_json::json;

use super::{ANA, Numbers, STATES};

#[tokio::test]
async fn outside_the_window_nothing_is_said() {
    let numbers = Numbers::start().await;
    let garage = numbers.bots.app.onboard("garage", "cars").await;
    let number = numbers.greeting(&garage, 1).await;
    let path = numbers.conversation(&garage, &number).await;
    numbers.cloud.close_window(&number.id, ANA);
    numbers.say(&garage, &path, "Tarde demais").await;
    let states = json!([
        ["Bem-vindo!", "sent", null],
        ["Tarde demais", "failed", "outside_window"]
    ]);
    numbers.bots.await_rows(&garage, STATES, states).await;
    // Whoever is not to be reached at all.
    numbers.cloud.forget_person(&number.id, ANA);
    numbers.say(&garage, &path, "Alô?").await;
    let states = json!([
        ["Bem-vindo!", "sent", null],
        ["Tarde demais", "failed", "outside_window"],
        ["Alô?", "failed", "undeliverable"],
    ]);
    numbers.bots.await_rows(&garage, STATES, states).await;
    numbers.await_booked(&garage, 1).await;
}

#[tokio::test]
async fn silence_that_meta_asks_for_is_kept_and_costs_no_attempt() {
    let numbers = Numbers::start().await;
    let garage = numbers.bots.app.onboard("garage", "cars").await;
    let number = numbers.greeting(&garage, 1).await;
    let path = numbers.conversation(&garage, &number).await;
    numbers.cloud.fail(Failure::Code(400, 130_429));
    numbers.say(&garage, &path, "Depois").await;
    let said = numbers.cloud.await_said(&number.id, 2).await;
    assert_eq!(said[1].text(), "Depois");
    let attempts = "select jsonb_build_array(state, attempts) from outbox order by id desc limit 1";
    numbers
        .bots
        .await_rows(&garage, attempts, json!([["sent", 1]]))
        .await;
}

#[tokio::test]
async fn what_may_be_said_at_once_is_said_at_once_and_in_order() {
    let numbers = Numbers::start().await;
    let garage = numbers.bots.app.onboard("garage", "cars").await;
    let number = numbers.greeting(&garage, 1).await;
    let path = numbers.conversation(&garage, &number).await;
    numbers.cloud.limit(Limits {
        per_second: 80,
        per_person: 45,
    });
    // A failure of the network's keeps what was said later waiting.
    numbers.cloud.fail(Failure::Html(502));
    for n in 0..10 {
        numbers.say(&garage, &path, &n.to_string()).await;
    }
    let said = numbers.cloud.await_said(&number.id, 11).await;
    let words: Vec<&str> = said.iter().skip(1).map(|said| said.text()).collect();
    assert_eq!(words, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    let refused = numbers.cloud.asked(&number.id);
    assert!(
        refused.iter().all(|said| said.refused.is_none()),
        "never too fast"
    );
}

#[tokio::test]
async fn a_dead_token_parks_its_bot_only() {
    let numbers = Numbers::start().await;
    let garage = numbers.bots.app.onboard("garage", "cars").await;
    let imob = numbers.bots.app.onboard("imob", "real_estate").await;
    let dead = numbers.greeting(&garage, 1).await;
    let other = numbers.greeting(&imob, 2).await;
    let path = numbers.conversation(&garage, &dead).await;
    numbers.cloud.revoke(&dead.id);
    numbers.say(&garage, &path, "Espera").await;
    let parked = numbers.bots.await_state(&garage, &dead.bot, "failed").await;
    assert_eq!(parked["state_detail"]["code"], "token_refused");
    // The other one is well, and the dead one hears still.
    numbers.conversation(&imob, &other).await;
    numbers.cloud.person_writes(&dead.id, ANA, "Alguém aí?").await;
    let body = "select to_jsonb(body) from messages order by id desc limit 1";
    assert_eq!(numbers.bots.rows(&garage, body).await, [json!("Alguém aí?")]);
    // Another token mends it, without a restart; what was not given stays.
    numbers.cloud.renew(&dead.id, "EAAJB-a-new-token");
    let put = numbers
        .put(&garage, &dead.bot, &json!({"access_token": "EAAJB-a-new-token"}))
        .await;
    put.expect(200);
    numbers.bots.await_state(&garage, &dead.bot, "connected").await;
    let said = numbers.cloud.await_said(&dead.id, 2).await;
    assert_eq!(said[1].text(), "Espera");
    numbers.cloud.person_writes(&dead.id, ANA, "Obrigada").await;
}

#[tokio::test]
async fn a_token_that_was_never_good_says_so() {
    let numbers = Numbers::start().await;
    let garage = numbers.bots.app.onboard("garage", "cars").await;
    let body = super::body(9, "the-secret-of-application");
    let call = numbers.bots.app.post("/api/bots").by(&garage).json(&body);
    let bot = call.await.expect(201).json();
    let parked = numbers.bots.await_state(&garage, &bot, "failed").await;
    assert_eq!(parked["state_detail"]["code"], "token_refused");
}
