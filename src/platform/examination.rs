//! What the platform is examined for before it serves, and by `helixai doctor`.

use super::{Platform, StartError, connector, platform_key};
use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::tenancy::doctor::{Doctor, Finding, Limits, PRIVILEGES};

/// How many of the rights found a refusal to start names.
const NAMED: usize = 3;

impl Platform {
    /// Logs what a server should not start with, and refuses to when tenants are not kept apart.
    ///
    /// # Errors
    /// [`StartError::ExcessPrivileges`], unless the settings accept them; when the registry cannot be read.
    pub async fn examine_before_serving(&self) -> Result<(), StartError> {
        let findings = doctor(&self.settings, 1, &self.clock)?
            .examine_before_serving()
            .await?;
        let (privileges, others): (Vec<_>, Vec<_>) = findings
            .into_iter()
            .partition(|finding| finding.check == PRIVILEGES);
        for Finding {
            check,
            shard,
            what,
            cure,
            ..
        } in others
        {
            tracing::warn!(check, shard, "{what}; {cure}");
        }
        if privileges.is_empty() {
            return Ok(());
        }
        let accepted = self.settings.database.allow_excess_privileges;
        let named: Vec<&str> = privileges.iter().map(|finding| finding.cure.as_str()).collect();
        if accepted {
            let named = named.join("; ");
            tracing::warn!(
                "tenants are kept apart less well than they could be; a superuser should run: {named}"
            );
            return Ok(());
        }
        let more = named.len().saturating_sub(NAMED);
        let mut text = named.into_iter().take(NAMED).collect::<Vec<_>>().join("; ");
        if more > 0 {
            text.push_str(&format!("; and {more} more"));
        }
        Err(StartError::ExcessPrivileges(text))
    }
}

/// Who examines the platform of these settings, served by so many processes.
///
/// # Errors
/// When a setting is missing or wrong.
pub fn doctor(settings: &Settings, processes: u16, clock: &Clock) -> Result<Doctor, StartError> {
    Ok(Doctor {
        connector: connector(settings)?,
        key: platform_key(settings)?,
        connect_timeout: settings.database.connect_timeout,
        limits: Limits {
            lane_pool: i64::try_from(settings.tenancy.lane_pool).unwrap_or(i64::MAX),
            master_pool: settings.database.master_pool.into(),
            processes: processes.into(),
            allow_excess_privileges: settings.database.allow_excess_privileges,
            backups_every: settings.backup.folder.as_ref().map(|_| settings.backup.every),
        },
        folders: settings.folders(),
        clock: clock.clone(),
    })
}
