//! Makes a tenant's role, schema, tables and first rows in one transaction: all of it, or nothing.

use chrono::{DateTime, Utc};
use tokio_postgres::{Client, Transaction};
use uuid::Uuid;

use super::schema::Plan;
use super::{ident, literal};
use crate::db::DbError;
use crate::domain::ids::{ApiKeyId, TenantId, UserId};
use crate::domain::tenant::Niche;

pub use super::schema::{Versions, history_of};

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
    /// A link by which they choose another: SHA-256 of its token, and until when it works.
    pub password_link: Option<(Vec<u8>, DateTime<Utc>)>,
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

/// Makes the schema, or finds that it is already there (a repeated onboarding): the one transaction makes its
/// existence the proof of its completeness.
///
/// # Errors
/// Whatever the server refuses; nothing is left behind then.
pub async fn provision(admin: &mut Client, new: &NewSchema) -> Result<Versions, DbError> {
    let plan = Plan::new(&new.schema, &new.role, &new.owner_role, &new.niche)?;
    let versions = plan.newest();
    if is_provisioned(admin, new.tenant, &new.role).await? {
        return Ok(versions);
    }

    let inherit = inherit_clause(admin).await?;
    let transaction = admin.transaction().await?;
    crate::kill_point!("provision.role");
    let member = Some((new.login.as_str(), inherit));
    create_role(&transaction, new.tenant, &new.role, member, None).await?;
    plan.create(&transaction).await?;
    plan.migrate(&transaction, &versions).await?;
    for (_, part) in &plan.parts {
        if !part.seed.trim().is_empty() {
            transaction.batch_execute(&part.seed).await?;
        }
    }
    plan.restrict(&transaction).await?;
    insert_first_rows(&transaction, new).await?;
    crate::kill_point!("provision.filled");
    transaction.commit().await?;
    crate::kill_point!("provision.committed");
    Ok(versions)
}

/// Makes a tenant's role, lets the lane's login (with an [`inherit_clause`]) become it, unless the tenant is suspended, and
/// notes whose it is; with the restore that it is made for.
pub(super) async fn create_role(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    role: &str,
    member: Option<(&str, &str)>,
    restore: Option<Uuid>,
) -> Result<(), DbError> {
    let quoted = ident(role);
    let grant = member.map_or_else(String::new, |(login, inherit)| {
        format!("grant {quoted} to {}{inherit};", ident(login))
    });
    let restore = restore.map_or_else(|| "null".to_owned(), |id| format!("'{id}'"));
    transaction
        .batch_execute(&format!(
            "create role {quoted} nologin noinherit;
             {grant}
             insert into helixai.tenant_roles (role_name, tenant_id, restore_id)
             values ({role}, '{tenant}', {restore})",
            role = literal(role),
        ))
        .await?;
    Ok(())
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
pub(super) async fn is_provisioned(admin: &Client, tenant: TenantId, role: &str) -> Result<bool, DbError> {
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

async fn insert_first_rows(transaction: &Transaction<'_>, new: &NewSchema) -> Result<(), DbError> {
    transaction
        .execute(
            "insert into users (id, email, name, password_hash, role, status, version, created_at, updated_at)
             values ($1, $2, $3, $4, 'owner', 'active', 1, $5, $5)",
            &[&new.owner.id.as_uuid(), &new.owner.email, &new.owner.name, &new.owner.password_hash, &new.now],
        )
        .await?;
    if let Some((hash, until)) = &new.owner.password_link {
        transaction
            .execute(
                "insert into password_links (token_hash, user_id, purpose, created_at, expires_at)
                 values ($1, $2, 'reset', $3, $4)",
                &[hash, &new.owner.id.as_uuid(), &new.now, until],
            )
            .await?;
    }
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
