//! Adding databases that tenants live in, closing them, and how full they are.

use futures_util::future::join_all;
use secrecy::{ExposeSecret, SecretString};

use super::doctor::report::{Level, Report};
use super::doctor::server;
use super::lifecycle::Origin;
use super::shards::{Shards, address_context};
use crate::db::DbError;
use crate::db::connect::{AddressError, AdminClient, Connector};
use crate::db::master::audit::{MasterAudit, Subject, insert_audit};
use crate::db::master::lanes::{self, ShardRecord, ShardState};
use crate::db::master::shards;
use crate::db::shard::inspect;
use crate::db::shard::inspect::load::Load;
use crate::db::shard::setup::{ShardRoles, find_roles, set_up};
use crate::db::shard::{inspect::versions, privileges};
use crate::domain::clock::Clock;
use crate::domain::ids::ShardId;
use crate::domain::random;

/// A database that is to become a shard.
pub struct NewShard {
    /// Its name in the registry; see [`check_name`].
    pub name: String,
    /// The administrator's address.
    pub url: SecretString,
    /// How many tenants it may have; of a shard that is known, as it was.
    pub max_tenants: Option<i32>,
}

/// How many tenants a shard may have, if nobody says otherwise: what one `PostgreSQL` 15 carries well.
const MAX_TENANTS: i32 = 10_000;

/// A database that is a shard now.
#[derive(Debug, Clone)]
pub struct AddedShard {
    /// Its id.
    pub id: ShardId,
    /// Its name.
    pub name: String,
    /// Whether it was one already, and has another address now.
    pub known: bool,
    /// The names of its roles begin with this.
    pub role_prefix: String,
    /// What works, but not as well as it could, each with its cure.
    pub warnings: Vec<String>,
}

/// Why a database does not become a shard, or a shard is not closed.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// The address cannot be used.
    #[error("the address {0}")]
    Address(#[from] AddressError),
    /// There is no shard of this name.
    #[error("there is no shard of this name: `helixai shard list` names them")]
    Unknown,
    /// The name, or the database, is taken.
    #[error("{0}")]
    Taken(String),
    /// The server or the database is not fit.
    #[error("the database cannot be a shard: {}", .0.join("; "))]
    NotReady(Vec<String>),
    /// A database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Reads the name of a shard: 2 to 40 of `a-z`, `0-9`, `-`; begins with a letter, ends with a letter or digit.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(name: &str) -> Result<String, String> {
    let fits = (2..=40).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if fits {
        Ok(name.to_owned())
    } else {
        Err(
            "must be 2 to 40 of a-z, 0-9 and -, beginning with a letter and ending with a letter or digit"
                .to_owned(),
        )
    }
}

impl Shards {
    /// Makes a database a shard: checks it, sets it up, registers it. The address of a shard of this name is replaced, if it
    /// is the same database. Safe to repeat.
    ///
    /// # Errors
    /// See [`ShardError`].
    pub async fn add(&self, new: NewShard, origin: Origin, clock: &Clock) -> Result<AddedShard, ShardError> {
        let connector = Connector::new(
            &new.url,
            self.connect_timeout,
            self.local.roots(),
            self.key.clone(),
        )?;
        let admin = connector.administrator().await?;
        let mut warnings = check_server(&admin).await?;
        let known = shards::find_shard(&self.master, &new.name).await?;
        let present = find_roles(&admin).await?;
        self.check_free(
            &new.name,
            known.as_ref().map(|known| &known.shard),
            present.as_ref(),
        )
        .await?;
        check_holds_nothing(&admin, known.is_some(), present.is_some()).await?;
        let prefix = format!(
            "hx{}",
            random::letters(6, b"abcdefghijklmnopqrstuvwxyz0123456789")
        );
        let roles = set_up(&connector, false, &prefix, self.timeouts).await?;
        crate::kill_point!("shard.set_up");
        let excess = privileges::check(&admin, connector.database()).await?;
        warnings.extend(excess.into_iter().map(|excess| {
            format!(
                "PUBLIC has a right on {} that the administrator may not revoke: as a superuser, there, run {}",
                excess.object, excess.cure
            )
        }));
        let id = known.as_ref().map_or_else(ShardId::new, |known| known.shard.id);
        let record = ShardRecord {
            id,
            name: new.name,
            database_url_sealed: Some(
                self.key
                    .seal(&address_context(id), new.url.expose_secret().as_bytes()),
            ),
            roles,
            epoch: 1,
        };
        self.register(&record, known.is_some(), new.max_tenants, origin, clock)
            .await?;
        Ok(AddedShard {
            id,
            name: record.name,
            known: known.is_some(),
            role_prefix: record.roles.prefix,
            warnings,
        })
    }

    /// The database must be nobody else's, and a known shard's its own.
    async fn check_free(
        &self,
        name: &str,
        known: Option<&ShardRecord>,
        present: Option<&ShardRoles>,
    ) -> Result<(), ShardError> {
        if let Some(known) = known {
            return match present {
                Some(roles) if *roles == known.roles && known.database_url_sealed.is_some() => Ok(()),
                _ => Err(ShardError::Taken(format!(
                    "{name} is another database: choose another name"
                ))),
            };
        }
        let all = lanes::list_shards(&self.master).await?;
        match all.iter().find(|shard| Some(&shard.roles) == present) {
            Some(shard) => Err(ShardError::Taken(format!(
                "the database is the shard {} already",
                shard.name
            ))),
            None => Ok(()),
        }
    }

    async fn register(
        &self,
        record: &ShardRecord,
        known: bool,
        max_tenants: Option<i32>,
        origin: Origin,
        clock: &Clock,
    ) -> Result<(), ShardError> {
        let now = clock.now();
        let mut tx = self.master.begin().await?;
        if known {
            let sealed = record.database_url_sealed.as_deref().unwrap_or_default();
            shards::update_address(&mut tx, record.id, (sealed, max_tenants), now).await?;
        } else {
            shards::insert_shard(&mut tx, record, max_tenants.unwrap_or(MAX_TENANTS), now)
                .await
                .map_err(|error| match error {
                    DbError::Constraint(_) => {
                        ShardError::Taken("somebody has just added it: `helixai shard list`".to_owned())
                    }
                    other => other.into(),
                })?;
        }
        let line = MasterAudit {
            actor: origin.actor,
            action: if known { "shard.address" } else { "shard.add" },
            subject: Subject::Shard(record.id),
            request_id: origin.request_id,
            details: serde_json::json!({ "name": record.name }),
            at: now,
        };
        insert_audit(&mut tx, &line).await?;
        Ok(tx.commit().await?)
    }

    /// Lets a shard take new tenants, or no longer. Those that it has stay. Safe to repeat.
    ///
    /// # Errors
    /// [`ShardError::Unknown`]; when the registry cannot be written.
    pub async fn set_open(
        &self,
        name: &str,
        open: bool,
        origin: Origin,
        clock: &Clock,
    ) -> Result<(), ShardError> {
        let now = clock.now();
        let mut tx = self.master.begin().await?;
        let (id, changed) = shards::set_open(&mut tx, name, open, now)
            .await?
            .ok_or(ShardError::Unknown)?;
        if changed {
            let line = MasterAudit {
                actor: origin.actor,
                action: if open { "shard.open" } else { "shard.close" },
                subject: Subject::Shard(id),
                request_id: origin.request_id,
                details: serde_json::json!({ "name": name }),
                at: now,
            };
            insert_audit(&mut tx, &line).await?;
        }
        Ok(tx.commit().await?)
    }

    /// All shards, oldest first, each with what its server says, or why it says nothing.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub async fn with_load(&self) -> Result<Vec<(ShardState, Result<Load, DbError>)>, DbError> {
        let states = lanes::list_shard_states(&self.master).await?;
        let asking = states.into_iter().map(|state| async {
            let load = async {
                let prefix = self.roles(state.id).await?.prefix;
                let admin = self.administrator(state.id).await?;
                inspect::load::load(&admin, &prefix).await
            };
            let load = load.await;
            (state, load)
        });
        Ok(join_all(asking).await)
    }
}

/// Errors end it, warnings are told.
async fn check_server(admin: &AdminClient) -> Result<Vec<String>, ShardError> {
    let mut report = Report::default();
    server::judge(&inspect::server::server(admin).await?, &mut report);
    let (errors, warnings): (Vec<_>, Vec<_>) = report
        .into_findings()
        .into_iter()
        .partition(|finding| finding.level == Level::Error);
    let told = |finding: super::doctor::Finding| format!("{}: {}", finding.what, finding.cure);
    if errors.is_empty() {
        Ok(warnings.into_iter().map(told).collect())
    } else {
        Err(ShardError::NotReady(errors.into_iter().map(told).collect()))
    }
}

/// A database that another platform uses would be taken from it.
async fn check_holds_nothing(admin: &AdminClient, known: bool, is_set_up: bool) -> Result<(), ShardError> {
    if versions::versions(admin).await?.master.is_some() {
        return Err(ShardError::NotReady(vec![
            "it holds the registry of a platform".to_owned(),
        ]));
    }
    if !known && is_set_up && !inspect::schemas::tenant_roles(admin).await?.is_empty() {
        return Err(ShardError::NotReady(vec![
            "it holds tenants of another platform".to_owned(),
        ]));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_name;

    #[test]
    fn a_name_is_a_label() {
        for name in ["s2", "far-away", "shard-2026"] {
            assert_eq!(check_name(name).as_deref(), Ok(name));
        }
        for name in [
            "",
            "s",
            "2s",
            "-s",
            "s-",
            "Far",
            "a_b",
            "a'b",
            "á1",
            &"a".repeat(41),
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
