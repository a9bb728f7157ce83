//! The schemas of the platform itself: `master`, and `helixai` in each shard.

use crate::cli::output;
use crate::config::Settings;
use crate::db::shard::inspect::versions::{Versions, versions};
use crate::db::shard::privileges::{self, Excess};
use crate::db::shard::setup::find_roles;
use crate::domain::clock::Clock;
use crate::platform::{Platform, StartError, connector};
use crate::tenancy::migrator::Outcome;

/// What was done.
pub(super) struct Schemas {
    database: String,
    prefix: String,
    before: Versions,
    after: Versions,
    excess: Vec<Excess>,
    /// Whether a database other than the registry's was left as it was.
    pub(super) outcome: Result<(), StartError>,
}

/// Applies what is missing.
///
/// # Errors
/// When the registry is not up to date afterwards. What another database lacks is in [`Schemas::outcome`].
pub(super) async fn bring_up_to_date(settings: &Settings) -> anyhow::Result<Schemas> {
    let connector = connector(settings)?;
    let admin = connector.administrator().await?;
    let before = versions(&admin).await?;
    let outcome = Platform::migrate(settings, &Clock::system()).await.map(|_| ());
    let after = versions(&admin).await?;
    let roles = find_roles(&admin).await?;
    let Some(roles) = roles.filter(|_| after == Versions::embedded().unwrap_or(after)) else {
        outcome?;
        return Err(StartError::Behind.into());
    };
    Ok(Schemas {
        database: connector.database().to_owned(),
        prefix: roles.prefix,
        before,
        after,
        excess: privileges::check(&admin, connector.database()).await?,
        outcome,
    })
}

impl Schemas {
    pub(super) fn json(&self, tenants: &Outcome) -> serde_json::Value {
        let excess = self.excess.iter();
        let excess: Vec<_> = excess
            .map(|excess| serde_json::json!({ "object": excess.object, "cure": excess.cure }))
            .collect();
        serde_json::json!({
            "database": self.database,
            "role_prefix": self.prefix,
            "master": { "from": self.before.master, "to": self.after.master },
            "shard": { "from": self.before.shard, "to": self.after.shard },
            "excess_privileges": excess,
            "tenants": tenants,
        })
    }

    pub(super) fn print(&self) {
        let (before, after) = (self.before, self.after);
        output::line(format_args!("database {}", self.database));
        output::line(format_args!(
            "  schema master   {}",
            change(before.master, after.master)
        ));
        output::line(format_args!(
            "  schema helixai  {}",
            change(before.shard, after.shard)
        ));
        output::line(format_args!("  roles           {}_*", self.prefix));
    }

    /// Names what a superuser has to do.
    pub(super) fn warn(&self) {
        if !self.excess.is_empty() {
            output::note(
                "warning: PUBLIC keeps rights that the administrator may not revoke; as a superuser, here, run:",
            );
        }
        for excess in &self.excess {
            output::note(format_args!("{};", excess.cure));
        }
    }
}

fn change(from: Option<i32>, to: Option<i32>) -> String {
    let to = to.unwrap_or_default();
    match from {
        None => format!("made, version {to}"),
        Some(from) if from == to => format!("version {to}, nothing to do"),
        Some(from) => format!("version {from} → {to}"),
    }
}
