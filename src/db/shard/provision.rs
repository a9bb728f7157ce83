//! Makes a tenant's role, schema, tables and first rows in one transaction: all of it, or nothing.
//!
//! Default privileges come before the tables, because `grant … on all tables in schema` scans the whole catalogue.

use chrono::{DateTime, Utc};
use tokio_postgres::{Client, Transaction};

use super::template::{CORE, Template};
use super::{ident, literal, migrate};
use crate::db::DbError;
use crate::domain::ids::{ApiKeyId, TenantId, UserId};
use crate::domain::tenant::Niche;

/// Tables that a tenant's role may add to and read, never change.
const APPEND_ONLY: [&str; 1] = ["audit_log"];

/// The ledger of one part of the template inside a tenant's schema.
pub fn history_of(part: &str) -> String {
    format!("schema_history_{part}")
}

/// Everything that a new schema is made from.
#[derive(Debug, Clone)]
pub struct NewSchema {
    /// The tenant.
    pub tenant: TenantId,
    /// Its display name.
    pub name: String,
    /// Its niche.
    pub niche: Niche,
    /// Stored in the registry, never derived again.
    pub schema: String,
    /// Stored in the registry, never derived again.
    pub role: String,
    /// The login of its lane.
    pub login: String,
    /// The role that owns all tenants' tables of this shard.
    pub owner_role: String,
    /// The first user.
    pub owner: NewOwner,
    /// The first API key.
    pub api_key: NewApiKey,
    /// The moment of the onboarding.
    pub now: DateTime<Utc>,
}

/// The first user of a tenant.
#[derive(Debug, Clone)]
pub struct NewOwner {
    /// The user's id.
    pub id: UserId,
    /// Lower-cased.
    pub email: String,
    /// As shown.
    pub name: String,
    /// argon2id, PHC string.
    pub password_hash: String,
}

/// The first API key of a tenant.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// The key's id.
    pub id: ApiKeyId,
    /// The part that is shown in lists.
    pub prefix: String,
    /// SHA-256 of the key.
    pub hash: Vec<u8>,
}

/// The versions that a schema has, for the registry's ledger: `(part, version)`.
pub type Versions = Vec<(String, i32)>;

/// Makes the schema, or finds that it is already there (a repeated onboarding): the one transaction makes its
/// existence the proof of its completeness.
///
/// # Errors
/// Whatever the server refuses; nothing is left behind then.
pub async fn provision(admin: &mut Client, new: &NewSchema) -> Result<Versions, DbError> {
    let template = Template::embedded()?;
    let niche = template.niche(&new.niche).cloned().unwrap_or_default();
    let core = template.core();
    let parts = [(CORE, core), (new.niche.as_str(), niche)];
    let versions = parts
        .iter()
        .map(|(name, part)| ((*name).to_owned(), part.version()))
        .collect();
    if is_provisioned(admin, new.tenant, &new.role).await? {
        return Ok(versions);
    }

    let inherit = inherit_clause(admin).await?;
    let transaction = admin.transaction().await?;
    let (role, schema, owner) = (ident(&new.role), ident(&new.schema), ident(&new.owner_role));
    crate::kill_point!("provision.role");
    transaction
        .batch_execute(&format!(
            "create role {role} nologin noinherit;
             grant {role} to {login}{inherit};
             create schema {schema} authorization {owner};
             grant usage on schema {schema} to {role};
             insert into helixai.tenant_roles (role_name, tenant_id) values ({role_name}, '{tenant}');
             set local role {owner};
             set local search_path = {schema}, pg_temp",
            login = ident(&new.login),
            role_name = literal(&new.role),
            tenant = new.tenant,
        ))
        .await?;
    crate::kill_point!("provision.schema");
    for (name, _) in &parts {
        transaction
            .batch_execute(&history_table(&history_of(name)))
            .await?;
    }
    transaction
        .batch_execute(&format!(
            "alter default privileges in schema {schema} grant select, insert, update, delete on tables to {role};
             alter default privileges in schema {schema} grant usage on sequences to {role}",
        ))
        .await?;
    for (name, part) in &parts {
        migrate::migrate(&transaction, &part.migrations, &history_of(name)).await?;
        crate::kill_point!("provision.migrated");
        if !part.seed.trim().is_empty() {
            transaction.batch_execute(&part.seed).await?;
        }
    }
    for table in APPEND_ONLY {
        transaction
            .batch_execute(&format!("revoke update, delete on {} from {role}", ident(table)))
            .await?;
    }
    insert_first_rows(&transaction, new).await?;
    crate::kill_point!("provision.filled");
    transaction.commit().await?;
    crate::kill_point!("provision.committed");
    Ok(versions)
}

/// Removes everything that [`provision`] made for this tenant. Safe to repeat, and when nothing was made: a schema or
/// role of the same name that is not this tenant's is left alone.
///
/// # Errors
/// Whatever the server refuses.
pub async fn unprovision(
    admin: &mut Client,
    tenant: TenantId,
    schema: &str,
    role: &str,
) -> Result<(), DbError> {
    if !is_provisioned(admin, tenant, role).await? {
        return Ok(());
    }
    let transaction = admin.transaction().await?;
    transaction
        .execute(
            "delete from helixai.tenant_roles where tenant_id = $1",
            &[&tenant.as_uuid()],
        )
        .await?;
    transaction
        .batch_execute(&format!(
            "drop schema {} cascade; drop role {}",
            ident(schema),
            ident(role)
        ))
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// Whether [`provision`] has committed for this tenant: its role is noted in the same transaction as all the rest.
async fn is_provisioned(admin: &Client, tenant: TenantId, role: &str) -> Result<bool, DbError> {
    let known = admin
        .query_opt(
            "select 1 from helixai.tenant_roles where tenant_id = $1 and role_name = $2",
            &[&tenant.as_uuid(), &role],
        )
        .await?;
    Ok(known.is_some())
}

/// Lets the lane's login become the tenant's role, or no longer. From PostgreSQL 16 on each grantor's grant is one of
/// its own, and a revoke that misses it is only a warning: all of them are revoked by name, and the outcome is checked.
///
/// # Errors
/// Whatever the server refuses; [`DbError::Other`] when the membership survives its revoke.
pub async fn set_membership(
    transaction: &Transaction<'_>,
    role: &str,
    login: &str,
    member: bool,
    inherit: &str,
) -> Result<(), DbError> {
    let (quoted_role, quoted_login) = (ident(role), ident(login));
    let command = if member {
        format!("grant {quoted_role} to {quoted_login}{inherit}")
    } else if inherit.is_empty() {
        format!("revoke {quoted_role} from {quoted_login}")
    } else {
        transaction
            .query_one(
                "select coalesce(string_agg(format('revoke %s from %s granted by %I', $3::text, $4::text, g.rolname), '; '), '')
                 from pg_auth_members m
                 join pg_roles r on r.oid = m.roleid and r.rolname = $1
                 join pg_roles l on l.oid = m.member and l.rolname = $2
                 join pg_roles g on g.oid = m.grantor",
                &[&role, &login, &quoted_role, &quoted_login],
            )
            .await?
            .try_get(0)?
    };
    transaction.batch_execute(&command).await?;
    let now: bool = transaction
        .query_one("select pg_has_role($1, $2, 'MEMBER')", &[&login, &role])
        .await?
        .get(0);
    if now == member {
        Ok(())
    } else {
        Err(DbError::Other {
            code: "membership".to_owned(),
            message: format!("the membership of {login} in {role} is {now} after: {command}"),
        })
    }
}

/// From PostgreSQL 16 on a grant says itself whether its rights are inherited.
///
/// # Errors
/// When the server's version cannot be read.
pub async fn inherit_clause(admin: &Client) -> Result<&'static str, DbError> {
    let version: i32 = admin
        .query_one("select current_setting('server_version_num')::int4", &[])
        .await?
        .get(0);
    Ok(if version >= 160_000 {
        " with inherit false, set true"
    } else {
        ""
    })
}

// refinery would make the ledger itself, but after the default privileges, and so open to the tenant.
fn history_table(name: &str) -> String {
    format!(
        "create table {} (version int4 primary key, name varchar(255), applied_on varchar(255), checksum varchar(255))",
        ident(name)
    )
}

async fn insert_first_rows(transaction: &Transaction<'_>, new: &NewSchema) -> Result<(), DbError> {
    transaction
        .execute(
            "insert into users (id, email, name, password_hash, role, status, version, created_at, updated_at)
             values ($1, $2, $3, $4, 'owner', 'active', 1, $5, $5)",
            &[&new.owner.id.as_uuid(), &new.owner.email, &new.owner.name, &new.owner.password_hash, &new.now],
        )
        .await?;
    transaction
        .execute(
            "insert into api_keys (id, name, prefix, key_hash, scopes, created_by, created_at)
             values ($1, 'default', $2, $3, array['read', 'write'], $4, $5)",
            &[
                &new.api_key.id.as_uuid(),
                &new.api_key.prefix,
                &new.api_key.hash,
                &new.owner.id.as_uuid(),
                &new.now,
            ],
        )
        .await?;
    Ok(())
}
