//! All tenants at once: compared with their template, found to be up to date, and brought to a newer one.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail};
use helixai::db::master::audit::MasterActor;
use helixai::db::shard::template::{CORE, Template};
use helixai::domain::clock::Clock;
use helixai::platform::{Platform, doctor};
use helixai::tenancy::lifecycle::Origin;
use helixai::tenancy::migrator::{Migrator, Order, Outcome};

use crate::platform::Bench;
use crate::table;

/// What a small release brings: a column, a table and an index.
const MORE: &str = "\
alter table leads add column budget_cents bigint;
create table lead_tags (lead_id uuid not null, tag text not null, constraint lead_tags_pkey primary key (lead_id, tag),
                        constraint lead_tags_lead_id_fkey foreign key (lead_id) references leads (id) on delete cascade);
create index lead_tags_tag_idx on lead_tags (tag)";
const JOBS: usize = 4;

/// Measures all three, each once; afterwards the schemas are newer than the program.
pub async fn measure(bench: &Bench) -> anyhow::Result<()> {
    let started = Instant::now();
    let drift = doctor(bench.settings(), 1, &Clock::system())?.drift().await?;
    anyhow::ensure!(
        drift.drift.is_empty() && drift.unreachable.is_empty(),
        "a schema differs from its template: {drift:?}"
    );
    table::line(&format!("drift: {:.2} s", started.elapsed().as_secs_f64()));

    let mut migrator = Platform::migrator(bench.settings(), Clock::system(), 4).await?;
    let started = Instant::now();
    run(&migrator).await?;
    table::line(&format!(
        "nothing to do: {:.1} ms",
        started.elapsed().as_secs_f64() * 1000.0
    ));

    let mut files = Template::embedded_files().map_err(anyhow::Error::msg)?;
    let next = migrator.template.part(CORE).context("core")?.version() + 1;
    files.insert(format!("{CORE}/V{next}__more.sql"), MORE.to_owned());
    migrator.template = Box::leak(Box::new(Template::from_files(files).map_err(anyhow::Error::msg)?));
    let started = Instant::now();
    let migrated = run(&migrator).await?.migrated;
    let seconds = started.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let per_second = migrated as f64 / seconds;
    table::line(&format!(
        "{migrated} tenants given a column, a table and an index, {JOBS} at a time: {seconds:.1} s, {per_second:.1} a second"
    ));
    Ok(())
}

async fn run(migrator: &Migrator) -> anyhow::Result<Outcome> {
    let order = Order {
        canaries: Vec::new(),
        jobs: NonZeroUsize::new(JOBS).context("jobs")?,
        max_failures: 0,
        all: false,
    };
    let origin = Origin {
        actor: MasterActor::System,
        request_id: None,
    };
    let nobody = Arc::new(|_: &str, _, _| {}) as _;
    let outcome = migrator.run(&order, origin, &nobody).await?;
    if outcome.failed.is_empty() && outcome.waiting.is_empty() {
        Ok(outcome)
    } else {
        bail!("not all tenants were migrated: {outcome:?}")
    }
}
