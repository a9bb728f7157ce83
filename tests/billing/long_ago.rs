//! What was settled long ago, or before the tenant was deleted, is known by the ledger alone.

use chrono::TimeDelta;
use helixai::billing::metering::MeteringError;
use helixai::domain::metering::ReservationState;
use helixai::domain::usage::Meter;

use super::tally::{Tally, amount, key, march};

/// `settled` was settled with 7 of 10 and `recorded` with 5; neither has a reservation any more.
pub async fn answers_as_settled(tally: &Tally) {
    let counter = tally.counter(march()).await;
    let again = tally.reserve("settled", 10).await.expect("as it was");
    assert_eq!(
        (again.state, again.settled_amount, again.period.as_str()),
        (ReservationState::Settled, Some(7), "2026-03")
    );
    let metering = tally.metering();
    let other = metering
        .reserve(tally.tenant, Meter::AiTokens, amount(10), &key("settled"))
        .await;
    assert!(matches!(other, Err(MeteringError::KeyReused)), "{other:?}");
    assert_eq!(
        tally.settle("settled", 7).await.expect("the same").settled_amount,
        Some(7)
    );
    let other = tally.settle("settled", 8).await;
    assert!(matches!(other, Err(MeteringError::Settled)), "{other:?}");
    let given_back = tally.release("settled").await;
    assert!(
        matches!(given_back, Err(MeteringError::Settled)),
        "{given_back:?}"
    );
    let record = async |meter, used| {
        metering
            .record(tally.tenant, meter, amount(used), &key("recorded"))
            .await
    };
    record(Meter::Messages, 5).await.expect("the same");
    for (meter, used) in [(Meter::Messages, 6), (Meter::AiTokens, 5)] {
        let other = record(meter, used).await;
        assert!(matches!(other, Err(MeteringError::KeyReused)), "{other:?}");
    }
    assert_eq!(tally.counter(march()).await, counter, "nothing was counted twice");
    assert_eq!(metering.check().await.expect("checked"), []);
}

#[tokio::test]
async fn what_is_over_for_two_months_goes_and_what_was_booked_stays() {
    let tally = Tally::start(100).await;
    for name in ["settled", "released", "expired", "held"] {
        tally.reserve(name, 10).await.expect("held");
    }
    tally.settle("settled", 7).await.expect("settled");
    tally.release("released").await.expect("released");
    let key = key("recorded");
    let recorded = tally
        .metering()
        .record(tally.tenant, Meter::Messages, amount(5), &key);
    recorded.await.expect("recorded");
    tally
        .admin
        .batch_execute("update master.usage_reservations set state = 'expired' where key = 'api:expired'")
        .await
        .expect("done");
    let recount = format!(
        "select master.recount_usage('{}', 'messages', '2026-03-01')",
        tally.tenant
    );
    tally.admin.batch_execute(&recount).await.expect("recounted");

    let forget = async || tally.metering().forget_what_is_over().await.expect("removed");
    tally.clock.advance(TimeDelta::days(62));
    assert_eq!(forget().await, 0, "its month is not over for so long");
    tally.reserve("of-may", 1).await.expect("held");
    tally.release("of-may").await.expect("released");
    tally.clock.set("2026-06-02T04:00:00Z".parse().expect("a time"));
    assert_eq!(forget().await, 4);
    assert_eq!(forget().await, 0);
    let left: Vec<String> = tally
        .admin
        .query("select key from master.usage_reservations order by key", &[])
        .await
        .expect("read")
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(left, ["api:held", "api:of-may"]);
    assert_eq!(tally.counter(march()).await, (Some(100), 12, 10));
    answers_as_settled(&tally).await;
    // Of what used nothing up nothing is known any more.
    let unknown = tally.settle("released", 1).await;
    assert!(matches!(unknown, Err(MeteringError::Unknown)), "{unknown:?}");
}

/// Whoever asks again for a hold that is over has it for as long again, whatever the sweeper does a moment later.
#[tokio::test]
async fn a_hold_that_is_over_and_asked_for_again_holds_on() {
    let tally = Tally::start(10).await;
    tally.reserve("one", 10).await.expect("held");
    tally.clock.advance(helixai::billing::metering::HOLD);
    let again = tally.reserve("one", 10).await.expect("held");
    assert_eq!(
        again.expires_at,
        tally.clock.now() + helixai::billing::metering::HOLD
    );
    let platform = &tally.test.platform;
    platform.metering.sweep(&platform.lanes).await.expect("swept");
    assert_eq!(tally.counter(march()).await, (Some(10), 0, 10));
    tally.adds_up().await;
}
