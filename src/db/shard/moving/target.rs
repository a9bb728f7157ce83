//! The empty tables that a tenant's rows are copied into, and what of a tenant is in no table of its own.

use chrono::{DateTime, Utc};
use tokio_postgres::Client;
use uuid::Uuid;

use super::refused;
use crate::db::DbError;
use crate::db::shard::schema::{Plan, Versions, history_of, versions};
use crate::db::shard::snapshot::Shape;
use crate::db::shard::template::{CORE, Template};
use crate::db::shard::{ident, literal};
use crate::domain::ids::TenantId;
use crate::domain::tenant::Niche;

/// A tenant that is to come.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The tenant.
    pub tenant: TenantId,
    /// Its niche.
    pub niche: Niche,
    /// Its schema, named as where it comes from: changes follow by name.
    pub schema: String,
    /// Its role here.
    pub role: String,
    /// The role that owns its tables here.
    pub owner_role: String,
}

/// What a schema is: the versions of its template, its tables and their columns.
#[derive(Debug, Clone)]
pub struct Described {
    /// Versions of the parts of the template.
    pub versions: Versions,
    /// Tables with rows.
    pub shape: Shape,
}

/// Reads what a tenant's schema is. Takes no transaction number: a slot that is being made would wait for it.
///
/// # Errors
/// When it holds what this program's template does not know.
pub async fn describe(admin: &mut Client, schema: &str, niche: &Niche) -> Result<Described, DbError> {
    let transaction = admin.build_transaction().read_only(true).start().await?;
    let parts = [CORE, niche.as_str()];
    let versions = versions(&transaction, schema, &parts).await?;
    let shape = Shape::read(&transaction, schema, &parts).await?;
    transaction.commit().await?;
    Ok(Described { versions, shape })
}

/// Whether this program's template has these versions.
///
/// # Errors
/// Which one it does not have.
pub fn check_known(niche: &Niche, versions: &Versions) -> Result<(), DbError> {
    let parts = Template::embedded()?.parts_of(niche);
    let parts = parts.ok_or_else(|| refused(format!("there is no niche {}", niche.as_str())))?;
    for (name, part) in &parts {
        let has = versions.iter().find(|(wanted, _)| wanted == name);
        let has = has.map_or(0, |(_, version)| *version);
        if has > part.version() {
            return Err(refused(format!(
                "the tenant has version {has} of {name}, this program knows {}: use the newer program",
                part.version()
            )));
        }
    }
    Ok(())
}

/// Makes role and empty tables at these versions; no login may become the role yet.
///
/// # Errors
/// Whatever the server refuses; nothing is left then.
pub async fn prepare(admin: &mut Client, new: &Arrival, like: &Described) -> Result<(), DbError> {
    let transaction = admin.transaction().await?;
    transaction
        .batch_execute(&format!(
            "create role {} nologin noinherit; insert into helixai.tenant_roles (role_name, tenant_id) values ({}, '{}')",
            ident(&new.role),
            literal(&new.role),
            new.tenant
        ))
        .await?;
    let plan = Plan::new(&new.schema, &new.role, &new.owner_role, &new.niche)?;
    plan.create(&transaction).await?;
    plan.migrate(&transaction, &like.versions).await?;
    plan.restrict(&transaction).await?;
    let parts = [CORE, new.niche.as_str()];
    let shape = Shape::read(&transaction, &new.schema, &parts).await?;
    check_alike(&like.shape, &shape)?;
    // What migrations have filled in comes along, their history included.
    let mut names: Vec<String> = shape.tables.iter().map(|table| ident(&table.name)).collect();
    names.extend(parts.map(|part| ident(&history_of(part))));
    transaction
        .batch_execute(&format!("truncate {}", names.join(", ")))
        .await?;
    crate::kill_point!("move.prepare");
    transaction.commit().await?;
    Ok(())
}

fn check_alike(from: &Shape, to: &Shape) -> Result<(), DbError> {
    for table in &from.tables {
        let same = to.tables.iter().find(|other| other.name == table.name);
        if same.is_none_or(|other| other.columns != table.columns) {
            return Err(refused(format!(
                "the table {} is not as the template makes it: mend it first (`helixai migrate --drift` names the difference)",
                table.name
            )));
        }
    }
    match to
        .tables
        .iter()
        .find(|table| !from.tables.iter().any(|other| other.name == table.name))
    {
        Some(missing) => Err(refused(format!(
            "the tenant lacks the table {}: mend it first (`helixai migrate --drift` names the difference)",
            missing.name
        ))),
        None => Ok(()),
    }
}

/// Lets the planner know the tables that have just been filled.
///
/// # Errors
/// Whatever the server refuses.
pub async fn analyze(admin: &Client, schema: &str, shape: &Shape) -> Result<(), DbError> {
    let names = shape.tables.iter();
    let names: Vec<String> = names
        .map(|table| format!("{}.{}", ident(schema), ident(&table.name)))
        .collect();
    Ok(admin
        .batch_execute(&format!("analyze {}", names.join(", ")))
        .await?)
}

/// When the tenant has work to do next, as its shard has noted: triggers do not run for rows that follow.
///
/// # Errors
/// When the table cannot be read.
pub async fn due_work(source: &Client, tenant: TenantId) -> Result<Option<DateTime<Utc>>, DbError> {
    let row = source
        .query_opt(
            "select due_at from helixai.due_work where tenant_id = $1",
            &[&tenant.as_uuid()],
        )
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Tells the other shard which bots of the tenant are to run. Each side's processes run those of tenants that live there.
///
/// # Errors
/// Whatever a server refuses.
pub async fn carry_channels(source: &Client, target: &Client, tenant: TenantId) -> Result<(), DbError> {
    let rows = source
        .query(
            "select instance_id from helixai.channel_instances where tenant_id = $1 and wanted",
            &[&tenant.as_uuid()],
        )
        .await?;
    let instances = rows
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<Vec<Uuid>, _>>()?;
    target
        .execute(
            "insert into helixai.channel_instances as c (instance_id, tenant_id, wanted, revision, heard)
             select id, $2, true, 1, 0 from unnest($1::uuid[]) as bots (id)
             on conflict (instance_id) do update set wanted = true, revision = c.revision + 1 where c.tenant_id = excluded.tenant_id",
            &[&instances, &tenant.as_uuid()],
        )
        .await?;
    Ok(())
}

/// Notes it on the other shard.
///
/// # Errors
/// Whatever the server refuses.
pub async fn carry_due_work(
    target: &Client,
    tenant: TenantId,
    due_at: Option<DateTime<Utc>>,
) -> Result<(), DbError> {
    if let Some(due_at) = due_at {
        target
            .execute(
                "insert into helixai.due_work (tenant_id, due_at) values ($1, $2)
                 on conflict (tenant_id) do update set due_at = least(due_work.due_at, excluded.due_at)",
                &[&tenant.as_uuid(), &due_at],
            )
            .await?;
    }
    Ok(())
}
