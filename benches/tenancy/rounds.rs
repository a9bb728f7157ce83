//! Who is measured, and the rounds in which all of them are.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::cpu::Used;
use crate::load::{self, Connection, Load, Order, Outcome, Request};
use crate::onboarding::Background;
use crate::platform::Served;

/// How long and how hard.
pub struct Settings {
    pub rounds: usize,
    pub seconds: f64,
    pub warm_up: f64,
    pub concurrency: usize,
    pub postmaster: Option<u32>,
}

/// A server and what it is asked.
#[derive(Clone)]
pub struct Contestant {
    pub name: String,
    pub address: SocketAddr,
    pub requests: Arc<[Request]>,
    pub order: Order,
    pub with_onboardings: bool,
}

impl Contestant {
    pub fn new(name: &str, address: SocketAddr, requests: impl Into<Arc<[Request]>>, order: Order) -> Self {
        Self {
            name: name.to_owned(),
            address,
            requests: requests.into(),
            order,
            with_onboardings: false,
        }
    }

    /// Makes sure that it answers what all of them must answer: 50 leads.
    pub async fn check(&self) -> anyhow::Result<()> {
        let mut connection = Connection::open(self.address).await?;
        let request = self.requests.first().context("no requests")?;
        let body = connection.ask(request).await.with_context(|| self.name.clone())?;
        let page: serde_json::Value = serde_json::from_slice(body)?;
        let items = page
            .get("items")
            .and_then(|items| items.as_array())
            .map_or(0, Vec::len);
        ensure!(items == 50, "{}: {items} leads instead of 50", self.name);
        Ok(())
    }
}

/// One round of one contestant.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub per_second: f64,
    /// Milliseconds.
    pub p50: f64,
    pub p99: f64,
    /// Microseconds of a core per request.
    pub program_cpu: f64,
    pub postgres_cpu: f64,
}

/// All rounds of one contestant.
pub struct Result {
    pub name: String,
    pub samples: Vec<Sample>,
}

/// Warms up and runs all rounds.
pub async fn run(
    settings: &Settings,
    contestants: &[Contestant],
    onboarder: &Background,
) -> anyhow::Result<Vec<Result>> {
    for contestant in contestants.iter().filter(|one| !one.with_onboardings) {
        let share = if contestant.requests.len() > 1 { 1.0 } else { 0.1 };
        load::run(load(settings, contestant, settings.warm_up * share, u64::MAX)).await?;
    }
    let mut results: Vec<Result> = contestants
        .iter()
        .map(|contestant| Result {
            name: contestant.name.clone(),
            samples: Vec::new(),
        })
        .collect();
    for round in 0..settings.rounds {
        for (contestant, result) in contestants.iter().zip(&mut results) {
            result
                .samples
                .push(measure(settings, contestant, onboarder, round).await?);
        }
    }
    Ok(results)
}

/// The first request of each tenant, beside the limit: each round at a server that has served nobody, which `cold` makes.
pub async fn run_cold(
    settings: &Settings,
    limit: &Contestant,
    onboarder: &Background,
    cold: impl AsyncFn() -> anyhow::Result<(Contestant, Served)>,
) -> anyhow::Result<Vec<Result>> {
    let (mut limits, mut firsts) = (Vec::new(), Vec::new());
    for round in 0..settings.rounds {
        limits.push(measure(settings, limit, onboarder, round).await?);
        let (contestant, server) = cold().await?;
        firsts.push(measure(settings, &contestant, onboarder, round).await?);
        server.stop().await?;
    }
    Ok(vec![
        Result {
            name: limit.name.clone(),
            samples: limits,
        },
        Result {
            name: "C0 as C, cold: the first request of each tenant".to_owned(),
            samples: firsts,
        },
    ])
}

async fn measure(
    settings: &Settings,
    contestant: &Contestant,
    onboarder: &Background,
    round: usize,
) -> anyhow::Result<Sample> {
    let onboardings = contestant.with_onboardings.then(|| onboarder.start());
    let before = Used::now(settings.postmaster);
    let outcome = load::run(load(settings, contestant, settings.seconds, round as u64))
        .await
        .with_context(|| contestant.name.clone())?;
    let used = Used::now(settings.postmaster).since(before);
    if let Some(task) = onboardings {
        task.abort();
        if let Ok(failed) = task.await {
            failed?;
        }
    }
    Ok(sample(&outcome, used))
}

fn load(settings: &Settings, contestant: &Contestant, seconds: f64, round: u64) -> Load {
    Load {
        address: contestant.address,
        requests: Arc::clone(&contestant.requests),
        order: contestant.order,
        concurrency: settings.concurrency,
        time: Duration::from_secs_f64(seconds),
        seed: round.wrapping_mul(0x9E37_79B9_7F4A_7C15),
        may_be_refused: false,
    }
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 requests")]
fn sample(outcome: &Outcome, used: Used) -> Sample {
    let answered = outcome.answered.max(1) as f64;
    let each = |time: Duration| time.as_secs_f64() * 1e6 / answered;
    let percentile = |part: usize| {
        let index = outcome.latencies.len().saturating_sub(1) * part / 100;
        f64::from(outcome.latencies.get(index).copied().unwrap_or_default()) / 1000.0
    };
    Sample {
        per_second: answered / outcome.took.as_secs_f64(),
        p50: percentile(50),
        p99: percentile(99),
        program_cpu: each(used.process.saturating_sub(outcome.client_cpu)),
        postgres_cpu: each(used.postgres),
    }
}
