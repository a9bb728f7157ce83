//! What quiet tenants notice of a noisy one: their requests alone, beside a tenant in a tight loop, and beside the same tenant
//! where it has no share of its own.

use std::sync::Arc;
use std::time::Duration;

use crate::load::{self, Load, Order, Outcome};
use crate::platform::{Bench, TenantUnderTest};
use crate::{random, table};

/// Requests of quiet tenants under way at any time.
const QUIET: usize = 4;
/// Requests of the noisy one.
const NOISY: usize = 200;

/// Measures `rounds` times for `seconds` each and prints the medians.
///
/// # Errors
/// When a request of a quiet tenant is refused.
pub async fn measure(
    bench: &Bench,
    tenants: &[TenantUnderTest],
    rounds: usize,
    seconds: f64,
) -> anyhow::Result<()> {
    let Some((noisy, quiet)) = tenants.split_first() else {
        anyhow::bail!("no tenants");
    };
    table::heading(&format!(
        "GET /api/leads?limit=50 of {} tenants of one lane, {QUIET} at a time, beside one that has {NOISY} under way",
        quiet.len()
    ));
    table::line(&format!(
        "{:48} {:>12} {:>8} {:>8} {:>14}",
        "", "quiet req/s", "p50 ms", "p99 ms", "noisy req/s"
    ));
    let (shared, unlimited) = (bench.serve().await?, bench.serve_without_shares().await?);
    let time = Duration::from_secs_f64(seconds);
    for (name, address, with_noise) in [
        ("alone", shared.address, false),
        ("beside the noisy one", shared.address, true),
        (
            "beside the noisy one, if it had no share",
            unlimited.address,
            true,
        ),
    ] {
        let mut rows = Vec::new();
        // The first round warms up.
        for round in 0..=rounds {
            let load = |tenants: &[TenantUnderTest], concurrency| Load {
                address,
                requests: Arc::clone(&random(address, tenants, Order::Random).requests),
                order: Order::Random,
                concurrency,
                time,
                seed: round as u64 * 1000 + concurrency as u64,
                may_be_refused: concurrency == NOISY,
            };
            let quietly = load::run(load(quiet, QUIET));
            let (quietly, loudly) = if with_noise {
                let loudly = load::run(load(std::slice::from_ref(noisy), NOISY));
                let (quietly, loudly) = tokio::join!(quietly, loudly);
                (quietly?, per_second(&loudly?))
            } else {
                (quietly.await?, 0.0)
            };
            if round > 0 {
                rows.push([
                    per_second(&quietly),
                    part(&quietly, 0.5),
                    part(&quietly, 0.99),
                    loudly,
                ]);
            }
        }
        let median = |column: usize| {
            let mut values: Vec<f64> = rows.iter().filter_map(|row| row.get(column).copied()).collect();
            values.sort_unstable_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or_default()
        };
        table::line(&format!(
            "{name:48} {:>12.0} {:>8.2} {:>8.2} {:>14.0}",
            median(0),
            median(1),
            median(2),
            median(3)
        ));
    }
    shared.stop().await?;
    unlimited.stop().await
}

#[expect(clippy::cast_precision_loss, reason = "thousands")]
fn per_second(outcome: &Outcome) -> f64 {
    outcome.answered as f64 / outcome.took.as_secs_f64()
}

/// Milliseconds within which this part of the requests was answered.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index of a list"
)]
fn part(outcome: &Outcome, part: f64) -> f64 {
    let index = ((outcome.latencies.len().saturating_sub(1)) as f64 * part) as usize;
    outcome
        .latencies
        .get(index)
        .map_or(0.0, |micros| f64::from(*micros) / 1e3)
}
