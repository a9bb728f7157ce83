//! Brings a database to the state that the program needs: schemas, roles, revokes. Safe to repeat, and by several
//! processes at once.

use refinery_core::Migration;
use rust_embed::RustEmbed;
use tokio_postgres::Client;

use super::inspect::registry::registry;
use super::lanes::{self, LoginTimeouts};
use super::{ident, migrate, privileges};
use crate::db::DbError;
use crate::db::connect::Connector;

#[derive(RustEmbed)]
#[folder = "master_migrations/"]
#[include = "*.sql"]
struct Files;

/// One at a time in a cluster: roles and `pg_database` are shared by its databases.
pub(super) const SETUP_LOCK: i64 = 0x68_656c_6978_6169;

/// The roles of a database, by its prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardRoles {
    /// Random, kept in `helixai.shard`.
    pub prefix: String,
}

impl ShardRoles {
    /// Owns all tenants' tables; nobody logs in as it.
    pub fn owner(&self) -> String {
        format!("{}_owner", self.prefix)
    }

    /// The master plane's login.
    pub fn master(&self) -> String {
        format!("{}_master", self.prefix)
    }

    /// The login of a lane.
    pub fn lane(&self, number: i32) -> String {
        format!("{}_lane_{number}", self.prefix)
    }

    /// The role of a tenant.
    pub fn tenant(&self, schema: &str) -> String {
        format!("{}_{schema}", self.prefix)
    }
}

/// Applies the migrations of `helixai` and, where the registry lives, of `master`. Grants nothing to any role of the
/// cluster, so that a database made like this can be a template for others.
///
/// # Errors
/// When a migration fails: nothing of it is left.
pub async fn migrate_database(admin: &mut Client, with_master: bool) -> Result<(), DbError> {
    let transaction = admin.transaction().await?;
    transaction
        .batch_execute(&format!(
            "select pg_advisory_xact_lock({SETUP_LOCK});
             create schema if not exists helixai;
             grant usage on schema helixai to public;
             set local search_path = helixai, pg_temp"
        ))
        .await?;
    migrate::migrate(&transaction, &migrations("shard/")?, migrate::HISTORY).await?;
    if with_master {
        transaction
            .batch_execute("create schema if not exists master; set local search_path = master, pg_temp")
            .await?;
        migrate::migrate(&transaction, &migrations("")?, migrate::HISTORY).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Migrates, then makes the roles of this database and takes from PUBLIC what no tenant may have.
///
/// # Errors
/// When the administrator lacks a right; the message is the server's.
pub async fn set_up(
    connector: &Connector,
    with_master: bool,
    new_prefix: &str,
    timeouts: LoginTimeouts,
) -> Result<ShardRoles, DbError> {
    let mut admin = connector.administrator().await?;
    migrate_database(&mut admin, with_master).await?;
    admin
        .execute("select pg_advisory_lock($1)", &[&SETUP_LOCK])
        .await?;
    let roles = make_roles(&admin, connector, with_master, new_prefix, timeouts).await;
    // Ending the session would release it as well, but not before the caller goes on.
    admin
        .execute("select pg_advisory_unlock($1)", &[&SETUP_LOCK])
        .await?;
    roles
}

/// The roles of a database that is already set up; `None` when it is not.
///
/// # Errors
/// When the server cannot be asked.
pub async fn find_roles(admin: &Client) -> Result<Option<ShardRoles>, DbError> {
    let known: bool = admin
        .query_one("select to_regclass('helixai.shard') is not null", &[])
        .await?
        .try_get(0)?;
    if !known {
        return Ok(None);
    }
    let row = admin
        .query_opt("select role_prefix from helixai.shard", &[])
        .await?;
    Ok(row.map(|row| ShardRoles { prefix: row.get(0) }))
}

async fn make_roles(
    admin: &Client,
    connector: &Connector,
    with_master: bool,
    new_prefix: &str,
    timeouts: LoginTimeouts,
) -> Result<ShardRoles, DbError> {
    let roles = match find_roles(admin).await? {
        Some(roles) => roles,
        None => {
            admin
                .execute(
                    "insert into helixai.shard (role_prefix) values ($1)",
                    &[&new_prefix],
                )
                .await?;
            ShardRoles {
                prefix: new_prefix.to_owned(),
            }
        }
    };
    let owner = roles.owner();
    let mut commands = Vec::new();
    if !lanes::role_exists(admin, &owner).await? {
        commands.push(format!("create role {} nologin noinherit", ident(&owner)));
    }
    commands.push(format!(
        "grant usage on language plpgsql, sql to {}",
        ident(&owner)
    ));
    // An administrator who is no superuser works as the owner by being its member.
    let superuser: bool = admin
        .query_one("select rolsuper from pg_roles where rolname = current_user", &[])
        .await?
        .get(0);
    if !superuser {
        commands.push(format!("grant {} to current_user", ident(&owner)));
    }
    if with_master {
        let login = roles.master();
        commands.push(lanes::ensure_login(admin, &login, &connector.password(&login)).await?);
        commands.push(timeouts.commands(&login, "master, pg_temp"));
        commands.push(format!(
            "grant connect on database {} to {}",
            ident(connector.database()),
            ident(&login)
        ));
        commands.push(privileges::grants_for_master(&login));
    }
    admin.batch_execute(&commands.join(";\n")).await?;
    if with_master {
        ensure_lanes(admin, connector, timeouts).await?;
    }
    privileges::revoke_from_public(admin, connector.database()).await?;
    Ok(roles)
}

/// Makes the lanes' logins of this database again, or gives them what has changed: the passwords that the platform key
/// derives, the timeouts of the settings.
async fn ensure_lanes(admin: &Client, connector: &Connector, timeouts: LoginTimeouts) -> Result<(), DbError> {
    let known = registry(admin).await?;
    let local = |id| {
        let shard = known.shards.iter().find(|shard| shard.id == id);
        shard.is_some_and(|shard| shard.database_url_sealed.is_none())
    };
    for lane in known.lanes.iter().filter(|lane| local(lane.shard)) {
        lanes::ensure_lane_login(admin, connector, &lane.login, timeouts).await?;
    }
    Ok(())
}

/// The version of the newest embedded migration of a folder: `""` for `master`, `"shard/"` for `helixai`.
pub(super) fn newest_version(folder: &str) -> Result<i32, DbError> {
    let newest = migrations(folder)?
        .into_iter()
        .map(|migration| migration.version())
        .max();
    Ok(newest.unwrap_or_default())
}

fn migrations(folder: &str) -> Result<Vec<Migration>, DbError> {
    let invalid = |path: &str, what: &dyn std::fmt::Display| DbError::Other {
        code: "migration".to_owned(),
        message: format!("master_migrations/{path}: {what}"),
    };
    let mut found = Vec::new();
    for path in Files::iter() {
        let Some(name) = path
            .strip_prefix(folder)
            .and_then(|name| name.strip_suffix(".sql"))
        else {
            continue;
        };
        if name.contains('/') {
            continue;
        }
        let file = Files::get(&path).ok_or_else(|| invalid(&path, &"is not embedded"))?;
        let text = String::from_utf8(file.data.into_owned()).map_err(|error| invalid(&path, &error))?;
        found.push(Migration::unapplied(name, &text).map_err(|error| invalid(&path, &error))?);
    }
    found.sort();
    Ok(found)
}
