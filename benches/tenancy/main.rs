//! What tenancy costs: the program's own path against the same handler without tenants and against one that takes
//! four round trips, in one run on one machine. `scripts/bench` starts it; docs/BENCHMARKS.md explains the table.
//!
//! Rounds are interleaved (every server is asked for a second, then every server again), so that whatever else the
//! machine does hits all of them; a ratio is taken within a round, and the median of the rounds is shown.
//! To compare one more server or setting: a [`rounds::Contestant`] in [`contestants`].

#![expect(clippy::print_stdout, reason = "the table is the product of this program")]

mod cpu;
mod fairness;
mod load;
mod metering;
mod migrations;
mod onboarding;
mod plain;
mod platform;
mod rounds;
mod table;

use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;

use load::{Order, Request};
use platform::{Bench, Served, TenantUnderTest};
use rounds::Contestant;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The comparison that docs/BENCHMARKS.md explains.
#[derive(Parser)]
struct Options {
    /// Tenants onboarded, and asked for at random
    #[arg(long, default_value_t = 1000)]
    tenants: usize,

    /// Interleaved rounds
    #[arg(long, default_value_t = 7)]
    rounds: usize,

    /// Seconds for which each server is asked in each round
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,

    /// Seconds of requests before the first round
    #[arg(long, default_value_t = 5.0)]
    warm_up: f64,

    /// Requests under way at any time
    #[arg(long, default_value_t = 16)]
    concurrency: usize,

    /// Onboardings measured with few and with all tenants, each way
    #[arg(long, default_value_t = 15)]
    onboardings: usize,

    /// Only what quiet tenants notice of a noisy one
    #[arg(long)]
    fairness: bool,

    /// Changes a setting of the program: section.key=value
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,

    /// Only the contestants whose names contain one of these, besides the first
    #[arg(long)]
    only: Vec<String>,

    /// Compares all schemas with their template and migrates all tenants, in the end
    #[arg(long)]
    migrations: bool,

    /// The administrator's address of a PostgreSQL that is thrown away afterwards
    #[arg(long, env = "HELIXAI_TEST_DATABASE_URL", hide_env_values = true)]
    database_url: String,

    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    anyhow::ensure!(
        options.tenants > 1,
        "at least two tenants: one is hot, all are asked at random"
    );
    table::conditions(&options.database_url).await?;
    let bench = Bench::prepare(&options.database_url, &options.settings).await?;

    if options.fairness {
        let tenants = bench
            .onboard_all("tenant", options.tenants.min(50))
            .await?
            .tenants;
        bench.fill(tenants.iter()).await?;
        return fairness::measure(&bench, &tenants, options.rounds, options.seconds).await;
    }

    table::heading("Onboarding");
    let few = bench.onboard_all("hot", 1).await?.tenants;
    onboarding::compare(&bench, "with few tenants", options.onboardings).await?;
    let all = bench.onboard_all("tenant", options.tenants).await?;
    table::line(&format!(
        "{} tenants, {} at a time: {:.1} a second",
        all.tenants.len(),
        platform::ONBOARDINGS_AT_ONCE,
        all.per_second
    ));
    onboarding::compare(
        &bench,
        &format!("with {} tenants", options.tenants),
        options.onboardings,
    )
    .await?;

    let hot = few.first().context("the hot tenant")?;
    bench.fill(few.iter().chain(&all.tenants)).await?;
    serve(&options, &bench, hot, &all.tenants).await?;

    table::heading("Metering");
    metering::measure(&bench, hot, &all.tenants).await?;
    if options.migrations {
        table::heading("Migrating all tenants");
        migrations::measure(&bench).await?;
    }
    Ok(())
}

async fn serve(
    options: &Options,
    bench: &Bench,
    hot: &TenantUnderTest,
    all: &[TenantUnderTest],
) -> anyhow::Result<()> {
    table::heading("Serving GET /api/leads?limit=50");
    let served = bench.serve().await?;
    let contestants: Vec<Contestant> = contestants(bench, &served, hot, all)
        .await?
        .into_iter()
        .enumerate()
        .filter(|(index, contestant)| {
            *index == 0
                || options.only.is_empty()
                || options.only.iter().any(|part| contestant.name.contains(part))
        })
        .map(|(_, contestant)| contestant)
        .collect();
    for contestant in &contestants {
        contestant.check().await?;
    }
    let settings = rounds::Settings {
        rounds: options.rounds,
        seconds: options.seconds,
        warm_up: options.warm_up,
        concurrency: options.concurrency,
        postmaster: bench.postmaster,
    };
    let onboarder = onboarding::Background::new(bench.platform.clone());
    // Onboarding empties the caches of all of the server's processes, and a cold server takes its memory: after, not between.
    let (beside, undisturbed): (Vec<_>, Vec<_>) = contestants
        .into_iter()
        .partition(|contestant| contestant.with_onboardings);
    let limit = undisturbed.first().context("the limit")?;
    table::results(&rounds::run(&settings, &undisturbed, &onboarder).await?);
    for contestant in &beside {
        let two = [limit.clone(), contestant.clone()];
        table::results(&rounds::run(&settings, &two, &onboarder).await?);
    }
    let cold = rounds::run_cold(&settings, limit, &onboarder, async || {
        let cold = bench.serve().await?;
        let each = random(cold.address, all, Order::EachOnce);
        Ok((each, cold))
    })
    .await?;
    table::results(&cold);
    table::legend();
    table::memory(
        &bench.memory_of_lanes().await?,
        cpu::private_memory(std::process::id()),
    );
    served.stop().await
}

/// Everything that is measured; the first is the limit, to which the others are compared.
async fn contestants(
    bench: &Bench,
    served: &Served,
    hot: &TenantUnderTest,
    all: &[TenantUnderTest],
) -> anyhow::Result<Vec<Contestant>> {
    let plain = plain::Plain::start(&bench.plain_url(), hot.schema.clone(), bench.workers).await?;
    let sequential = |name: &str, tenants: &[TenantUnderTest]| {
        let requests = tenants
            .iter()
            .map(|tenant| Request::get("/sequential", &[("x-schema", &tenant.schema)]));
        Contestant::new(name, plain.address, requests.collect::<Vec<_>>(), Order::Random)
    };
    let one = std::slice::from_ref(hot);
    let bare = |path: &str| vec![Request::get(path, &[])];
    let program = random(served.address, one, Order::Random);
    let everyone = random(served.address, all, Order::Random);
    Ok(vec![
        Contestant::new(
            "A  no tenancy: the limit",
            plain.address,
            bare("/leads"),
            Order::Random,
        ),
        Contestant::new(
            "A' no tenancy, the program's logs, metrics and headers",
            plain.address,
            bare("/observed/leads"),
            Order::Random,
        ),
        Contestant::new(
            "A\" the same handler without tenancy: A' with an API key",
            plain.address,
            vec![Request::get(
                "/observed/keyed",
                &[("authorization", &bearer(hot))],
            )],
            Order::Random,
        ),
        Contestant {
            name: "B  the program, one hot tenant".to_owned(),
            ..program
        },
        Contestant {
            name: format!("C  the program, {} tenants at random, warm", all.len()),
            ..everyone.clone()
        },
        Contestant {
            name: "C+ as C, with one onboarding a second".to_owned(),
            with_onboardings: true,
            ..everyone
        },
        sequential("D  four round trips, one hot tenant", one),
        sequential(
            &format!("D' four round trips, {} tenants at random", all.len()),
            all,
        ),
    ])
}

fn random(address: std::net::SocketAddr, tenants: &[TenantUnderTest], order: Order) -> Contestant {
    let requests: Arc<[Request]> = tenants
        .iter()
        .map(|tenant| {
            let bearer = bearer(tenant);
            let headers = [
                ("x-tenant-key", tenant.key.as_str()),
                ("authorization", bearer.as_str()),
            ];
            Request::get("/api/leads?limit=50", &headers)
        })
        .collect();
    Contestant::new("C  cold", address, requests, order)
}

fn bearer(tenant: &TenantUnderTest) -> String {
    format!("Bearer {}", tenant.api_key)
}
