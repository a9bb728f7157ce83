//! The tenants' schemas.

use super::Args;
use crate::cli::exit::{Exit, Refused};
use crate::cli::output;
use crate::cli::progress::Progress;
use crate::config::Settings;
use crate::db::master::audit::MasterActor;
use crate::domain::clock::Clock;
use crate::platform::Platform;
use crate::tenancy::lifecycle::Origin;
use crate::tenancy::migrator::{MigrateError, Order, Outcome, Trouble};

/// The registry is asked by one worker at a time, for a moment after each tenant.
const MASTER_POOL: u32 = 4;

/// Migrates the tenants that are behind.
pub(super) async fn migrate(settings: &Settings, args: &Args) -> anyhow::Result<Outcome> {
    let migrator = Platform::migrator(settings, Clock::system(), MASTER_POOL).await?;
    let order = Order {
        canaries: args.canary.clone(),
        jobs: args.jobs,
        max_failures: args.max_failures,
        all: args.all,
    };
    let origin = Origin {
        actor: MasterActor::Cli,
        request_id: None,
    };
    let progress = Progress::listener(args.json);
    let outcome = migrator.run(&order, origin, &progress).await;
    drop(progress);
    migrator.master.close().await;
    outcome.map_err(|error| match error {
        MigrateError::Unknown(_) => Refused::error(Exit::Unknown, error.to_string()),
        MigrateError::Db(error) => error.into(),
    })
}

pub(super) fn print(outcome: &Outcome) {
    let named = |what: &str, troubles: &[Trouble]| {
        for trouble in troubles {
            output::line(format_args!(
                "  {what}: {}: {}",
                trouble.tenant_key, trouble.error
            ));
        }
    };
    output::line(format_args!(
        "tenants: {} migrated, {} failed",
        outcome.migrated,
        outcome.failed.len()
    ));
    named("failed", &outcome.failed);
    named("in use or out of reach, to be tried again", &outcome.waiting);
    for (count, what) in [
        (outcome.up_to_date, "were up to date, and are noted as such now"),
        (
            outcome.left_alone,
            "are being restored or removed, and were left alone",
        ),
        (outcome.not_begun, "were not begun, because of the failures"),
    ] {
        if count > 0 {
            output::line(format_args!("  {count} {what}"));
        }
    }
}

/// A failure is worse than somebody in the way, who may be gone the next time.
pub(super) fn exit(outcome: &Outcome) -> Exit {
    if !outcome.failed.is_empty() {
        Exit::Failed
    } else if !outcome.waiting.is_empty() {
        Exit::Unavailable
    } else {
        Exit::Done
    }
}
