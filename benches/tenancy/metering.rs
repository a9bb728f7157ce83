//! How many messages a second can be reserved and settled, each on disk before it is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::future::try_join_all;
use helixai::billing::metering::Metering;
use helixai::domain::ids::TenantId;
use helixai::domain::metering::{ActualUse, Amount, UsageKey};
use helixai::domain::usage::Meter;
use uuid::Uuid;

use crate::platform::{Bench, TenantUnderTest};
use crate::table;

/// As many at a time as the program's pool for the master schema has connections.
const AT_ONCE: usize = 8;
const FOR: Duration = Duration::from_secs(3);

/// One tenant, whose counter all wait for, and all tenants in turn.
pub async fn measure(bench: &Bench, hot: &TenantUnderTest, all: &[TenantUnderTest]) -> anyhow::Result<()> {
    for (tenants, who) in [
        (vec![hot.id], "one tenant".to_owned()),
        (
            all.iter().map(|tenant| tenant.id).collect(),
            format!("{} tenants in turn", all.len()),
        ),
    ] {
        let per_second = reservations(&bench.platform.metering, tenants.into()).await?;
        table::line(&format!(
            "{who}: {per_second:.0} reservations a second, reserved and settled"
        ));
    }
    Ok(())
}

async fn reservations(metering: &Metering, tenants: Arc<[TenantId]>) -> anyhow::Result<f64> {
    let one = Amount::parse(1)?;
    // Settled with nothing, so that no limit is ever reached.
    let nothing = ActualUse::parse(0)?;
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let tasks = (0..AT_ONCE).map(|_| {
        let (metering, tenants, next) = (metering.clone(), Arc::clone(&tenants), Arc::clone(&next));
        tokio::spawn(async move {
            while started.elapsed() < FOR {
                let turn = next.fetch_add(1, Ordering::Relaxed);
                let tenant = *tenants.get(turn % tenants.len()).context("a tenant")?;
                let key = UsageKey::work("bench", Uuid::now_v7());
                metering.reserve(tenant, Meter::Messages, one, &key).await?;
                metering.settle(tenant, &key, nothing).await?;
            }
            anyhow::Ok(())
        })
    });
    for task in try_join_all(tasks).await? {
        task?;
    }
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let done = next.load(Ordering::Relaxed) as f64;
    Ok(done / started.elapsed().as_secs_f64())
}
