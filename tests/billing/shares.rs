//! One tenant's haste at its counters is not its neighbour's wait.

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use helixai::billing::metering::MeteringError;
use helixai::domain::usage::Meter;

use super::tally::{Tally, amount, key};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tenant_whose_counter_is_held_keeps_nobody_else_waiting() {
    let mut tally = Tally::start(100).await;
    let other = tally.test.onboard("oficina", "cars").await;
    tally.reserve("first", 1).await.expect("held");
    let metering = tally.test.platform.metering.clone();
    let tenant = tally.tenant;
    let lock = tally.admin.transaction().await.expect("a transaction");
    lock.execute("select 1 from master.usage_counters for update", &[])
        .await
        .expect("locked");
    // More than the registry has connections.
    let waiting: Vec<_> = (0..30)
        .map(|number| {
            let (metering, key) = (metering.clone(), key(&format!("waiting-{number}")));
            tokio::spawn(async move { metering.reserve(tenant, Meter::Messages, amount(1), &key).await })
        })
        .collect();
    for number in 0..20 {
        let key = key(&format!("other-{number}"));
        let served = metering.reserve(other.id, Meter::Messages, amount(1), &key).await;
        served.expect("there is room");
    }
    assert!(
        waiting.iter().all(|task| !task.is_finished()),
        "nobody has waited for them"
    );
    lock.rollback().await.expect("unlocked");
    for answer in join_all(waiting).await {
        answer.expect("no panic").expect("there is room");
    }
    tally.adds_up().await;
}

#[tokio::test]
async fn who_waits_too_long_for_its_own_share_is_told() {
    let mut tally = Tally::start_with(|builder| builder.set("database.wait_timeout_secs", 1), 100).await;
    tally.reserve("first", 1).await.expect("held");
    let metering = tally.test.platform.metering.clone();
    let tenant = tally.tenant;
    let lock = tally.admin.transaction().await.expect("a transaction");
    lock.execute("select 1 from master.usage_counters for update", &[])
        .await
        .expect("locked");
    let keys: Vec<_> = (0..3).map(|number| key(&format!("waiting-{number}"))).collect();
    let mut waiting: Vec<_> = keys
        .iter()
        .map(|key| metering.reserve(tenant, Meter::Messages, amount(1), key).boxed())
        .collect();
    let (refused, _, _) = futures_util::future::select_all(waiting.iter_mut()).await;
    assert!(matches!(refused, Err(MeteringError::Busy)), "{refused:?}");
    lock.rollback().await.expect("unlocked");
}
