//! What many bots cost one process: memory of each, what it does while nobody speaks, messages answered a second; and how long the
//! inbox of a tenant with very many messages takes. `scripts/load_channels` starts it; docs/BENCHMARKS.md explains the tables.
//!
//! What is measured is `helixai serve`, in a process of its own and from outside. Telegram, WhatsApp and whoever writes to the
//! bots are in this one.

#![expect(clippy::print_stdout, reason = "the tables are the product of this program")]

mod bots;
mod inbox;
mod place;
mod program;
mod table;
mod traffic;

use std::time::Duration;

use clap::Parser;

use bots::Bots;
use place::{Place, Tenant};
use program::{Memory, Program};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Of so many bots one is made before memory is compared.
const FIRST: usize = 5;
/// Bots that the largest plan includes.
const PER_TENANT: usize = 20;

/// What many bots cost, and a large inbox.
#[derive(Parser)]
struct Options {
    /// Tenants, among whom bots and sessions are spread
    #[arg(long, default_value_t = 250)]
    tenants: usize,

    /// Bots of Telegram
    #[arg(long, default_value_t = 1000)]
    bots: usize,

    /// Sessions of WhatsApp, linked beforehand
    #[arg(long, default_value_t = 500)]
    sessions: usize,

    /// Messages to be answered on each channel, each of another person
    #[arg(long, default_value_t = 5000)]
    messages: usize,

    /// Seconds for which is watched what the program does while nobody speaks; Telegram holds a question for 50
    #[arg(long, default_value_t = 50)]
    idle: u64,

    /// Seconds to come to rest before anything is measured
    #[arg(long, default_value_t = 15)]
    rest: u64,

    /// Messages in the inbox; 0 leaves it out
    #[arg(long, default_value_t = 1_000_000)]
    inbox: usize,

    /// Conversations in the inbox
    #[arg(long, default_value_t = 20_000)]
    conversations: usize,

    /// Interleaved rounds in which the inbox is asked
    #[arg(long, default_value_t = 7)]
    rounds: usize,

    /// Requests of each kind in each round
    #[arg(long, default_value_t = 100)]
    requests: usize,

    /// Changes a setting of the program: section.key=value
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,

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
        options.bots + options.sessions <= options.tenants * PER_TENANT,
        "a tenant has at most {PER_TENANT} bots: more tenants are needed"
    );
    table::conditions(&options.database_url).await?;
    let bots = Bots::start().await?;
    let place = Place::prepare(&options.database_url, bots.settings(), &options.settings).await?;
    let tenants = place.onboard_all(options.tenants).await?;
    if options.bots + options.sessions > 0 {
        measure_bots(&options, &place, bots, &tenants).await?;
    }
    match tenants.first() {
        Some(tenant) if options.inbox > 0 => inbox::measure(&options, &place, tenant).await,
        _ => Ok(()),
    }
}

async fn measure_bots(
    options: &Options,
    place: &Place,
    mut bots: Bots,
    tenants: &[Tenant],
) -> anyhow::Result<()> {
    let program = Program::start(place, &[]).await?;
    program.greet(tenants).await?;
    let watch = async |name: String, of: usize, before: Option<Memory>| {
        rest(options).await;
        let memory = program.memory()?;
        let idle = program.idle(place, Duration::from_secs(options.idle)).await?;
        table::stage(&name, memory, before.map(|before| (before, of)), idle);
        anyhow::Ok(memory)
    };
    table::stages(options.idle);
    let name = format!("started; each of {} tenants was asked once", tenants.len());
    let empty = watch(name, 0, None).await?;
    // What they share comes with the first of them: connections to the database, and what was prepared there.
    let first = options.bots / FIRST;
    bots.make_telegram(&program, tenants, first).await?;
    let name = format!("with {first} bots of Telegram");
    let few = watch(name, first, Some(empty)).await?;
    bots.make_telegram(&program, tenants, options.bots).await?;
    let name = format!("with {} bots of Telegram", options.bots);
    let some = watch(name, options.bots - first, Some(few)).await?;
    bots.make_whatsapp(place, &program, tenants, options.sessions)
        .await?;
    let name = format!("and {} sessions of WhatsApp", options.sessions);
    watch(name, options.sessions, Some(some)).await?;
    let answered = traffic::run(&program, &bots, options.messages).await?;
    watch("after the messages below".to_owned(), 0, None).await?;
    table::answered(&answered);
    program.stop().await
}

/// Allocators give memory back a while later.
async fn rest(options: &Options) {
    tokio::time::sleep(Duration::from_secs(options.rest)).await;
}
