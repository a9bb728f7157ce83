//! What becomes of what was said: told in any order, again and again, and also when the answer to the message itself was lost.

use helixai_fakes::whatsapp_cloud::{Failure, Signing, envelope};
use serde_json::json;

use super::{ANA, Numbers, STATES};

#[tokio::test]
async fn messages_go_forward_only() {
    let numbers = Numbers::start().await;
    let garage = numbers.bots.app.onboard("garage", "cars").await;
    let number = numbers.greeting(&garage, 1).await;
    let path = numbers.conversation(&garage, &number).await;
    let wamid = numbers.cloud.said(&number.id)[0].wamid.clone().unwrap();
    let state = "select jsonb_build_array(status, delivered_at is not null, read_at is not null, error) from messages where direction = 'outbound'";
    for (told, expected) in [
        ("sent", json!(["sent", false, false, null])),
        ("delivered", json!(["delivered", true, false, null])),
        ("sent", json!(["delivered", true, false, null])),
        ("failed", json!(["delivered", true, false, null])),
        ("read", json!(["read", true, true, null])),
        ("delivered", json!(["read", true, true, null])),
        ("deleted", json!(["read", true, true, null])),
    ] {
        for _ in 0..2 {
            assert_eq!(
                numbers.cloud.tell(&number.id, &wamid, told, None).await,
                200,
                "{told}"
            );
            assert_eq!(
                numbers.bots.rows(&garage, state).await,
                std::slice::from_ref(&expected),
                "{told}"
            );
        }
    }
    let shown = numbers.bots.app.get(&path).by(&garage).await.expect(200).json();
    assert_eq!(shown["items"][0]["status"], "read");
    assert_eq!(
        shown["items"][0]["read_at"], "2026-01-01T00:01:00Z",
        "as Meta says"
    );
    // Read before it was known to have arrived.
    numbers.say(&garage, &path, "Depressa").await;
    let said = numbers.cloud.await_said(&number.id, 2).await;
    let wamid = said[1].wamid.clone().unwrap();
    assert_eq!(numbers.cloud.tell(&number.id, &wamid, "read", None).await, 200);
    assert_eq!(
        numbers.cloud.tell(&number.id, &wamid, "delivered", None).await,
        200
    );
    numbers
        .bots
        .await_rows(
            &garage,
            STATES,
            json!([["Bem-vindo!", "read", null], ["Depressa", "read", null]]),
        )
        .await;
    numbers.await_booked(&garage, 2).await;
}

#[tokio::test]
async fn a_message_whose_answer_was_lost_is_known_by_its_own_id() {
    let numbers = Numbers::start().await;
    let garage = numbers.bots.app.onboard("garage", "cars").await;
    let number = numbers.greeting(&garage, 1).await;
    let path = numbers.conversation(&garage, &number).await;
    numbers.cloud.fail(Failure::ActThenDrop);
    // Nothing comes through after that.
    for _ in 0..20 {
        numbers.cloud.fail(Failure::Drop);
    }
    numbers.say(&garage, &path, "Uma vez").await;
    let said = numbers.cloud.await_said(&number.id, 2).await;
    let wamid = said[1].wamid.clone().unwrap();
    assert_eq!(
        numbers.cloud.tell(&number.id, &wamid, "delivered", None).await,
        200
    );
    numbers
        .bots
        .await_rows(
            &garage,
            STATES,
            json!([["Bem-vindo!", "sent", null], ["Uma vez", "delivered", null]]),
        )
        .await;
    let line = "select jsonb_build_array(state, leased_by) from outbox order by id desc limit 1";
    assert_eq!(numbers.bots.rows(&garage, line).await, [json!(["sent", null])]);
    numbers.await_booked(&garage, 2).await;
    assert_eq!(numbers.cloud.said(&number.id).len(), 2, "not sent again");
}

#[tokio::test]
async fn a_message_that_fails_later_says_why() {
    let numbers = Numbers::start().await;
    let garage = numbers.bots.app.onboard("garage", "cars").await;
    let number = numbers.greeting(&garage, 1).await;
    let path = numbers.conversation(&garage, &number).await;
    let wamid = numbers.cloud.said(&number.id)[0].wamid.clone().unwrap();
    assert_eq!(
        numbers
            .cloud
            .tell(&number.id, &wamid, "failed", Some(131_047))
            .await,
        200
    );
    let failed = json!([["Bem-vindo!", "failed", "outside_window"]]);
    assert_eq!(json!(numbers.bots.rows(&garage, STATES).await), failed);
    // It may be said again by hand, and nothing brings it back.
    assert_eq!(
        numbers.cloud.tell(&number.id, &wamid, "delivered", None).await,
        200
    );
    assert_eq!(json!(numbers.bots.rows(&garage, STATES).await), failed);
    let shown = numbers.bots.app.get(&path).by(&garage).await.expect(200).json();
    let again = format!("{path}/{}/resend", shown["items"][0]["id"].as_str().unwrap());
    numbers.bots.app.post(&again).by(&garage).await.expect(201);
    numbers.cloud.await_said(&number.id, 2).await;
}

#[tokio::test]
async fn one_tenant_says_nothing_about_anothers_messages() {
    let numbers = Numbers::start().await;
    let garage = numbers.bots.app.onboard("garage", "cars").await;
    let imob = numbers.bots.app.onboard("imob", "real_estate").await;
    let number = numbers.greeting(&garage, 1).await;
    let other = numbers.greeting(&imob, 2).await;
    numbers.conversation(&garage, &number).await;
    let said = numbers.cloud.said(&number.id);
    let (wamid, ours) = (&said[0].wamid, &said[0].request["biz_opaque_callback_data"]);
    for named in [&number.id, &other.id] {
        let status = json!({"id": wamid, "status": "failed", "biz_opaque_callback_data": ours, "errors": [{"code": 1}]});
        let text = envelope(&[(named, json!({"statuses": [status]}))]).to_string();
        assert_eq!(numbers.cloud.post(&other.id, &text, Signing::Good).await, 200);
    }
    assert_eq!(
        numbers.bots.rows(&garage, STATES).await,
        [json!(["Bem-vindo!", "sent", null])]
    );
    // A message that nobody here has said.
    assert_eq!(
        numbers
            .cloud
            .tell(&number.id, "wamid.unknown", "read", None)
            .await,
        200
    );
    numbers.cloud.person_writes(&number.id, ANA, "Oi de novo").await;
}
