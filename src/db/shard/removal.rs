//! Removes a tenant from its shard, a few tables at a time: each table dropped costs locks (its own, its indexes' and its
//! overflow table's) of which a server has a fixed number for one transaction.

use tokio_postgres::Client;

use super::drain::drain;
use super::hold::{DROPPING, hold, wait_at_most};
use super::ident;
use super::provision::{inherit_clause, is_provisioned, set_membership};
use crate::db::DbError;
use crate::domain::ids::TenantId;

/// Tables dropped in one transaction.
const BATCH: i64 = 20;

const TABLES: &str = "\
select c.relname::text
from pg_namespace n
join pg_depend d on d.refclassid = 'pg_namespace'::regclass and d.refobjid = n.oid and d.classid = 'pg_class'::regclass
join pg_class c on c.oid = d.objid and c.relkind = 'r'
where n.nspname = $1
order by 1 limit $2";

/// Takes the tenant's role from the lane's login and waits until nobody is inside of the tenant. Safe to repeat, and when
/// there is nothing left.
///
/// # Errors
/// Whatever the server refuses; when requests in flight do not end.
pub async fn shut_out(admin: &mut Client, tenant: TenantId, role: &str, login: &str) -> Result<(), DbError> {
    if !is_provisioned(admin, tenant, role).await? {
        return Ok(());
    }
    let inherit = inherit_clause(admin).await?;
    let transaction = admin.transaction().await?;
    set_membership(&transaction, role, login, false, inherit).await?;
    transaction.commit().await?;
    drain(admin, login, tenant).await
}

/// As [`shut_out`] for a tenant that is there: what its shard does not know of cannot be shut out.
///
/// # Errors
/// As [`shut_out`]; when the shard does not know the role.
pub async fn fence(admin: &mut Client, tenant: TenantId, role: &str, login: &str) -> Result<(), DbError> {
    if !is_provisioned(admin, tenant, role).await? {
        return Err(DbError::Other {
            code: "fence".to_owned(),
            message: format!("{role} is not noted in helixai.tenant_roles: its requests cannot be kept out"),
        });
    }
    shut_out(admin, tenant, role, login).await
}

/// Removes the schema and the role of a tenant that nobody can reach any more. Safe to repeat, and after a crash: a
/// schema or role of the same name that is not this tenant's is left alone.
///
/// # Errors
/// [`DbError::Conflict`] while another operation on the tenant is at work, or somebody has a lock on a table; whatever the
/// server refuses.
pub async fn remove(admin: &mut Client, tenant: TenantId, schema: &str, role: &str) -> Result<(), DbError> {
    loop {
        if !is_provisioned(admin, tenant, role).await? {
            return Ok(());
        }
        let transaction = admin.transaction().await?;
        hold(&transaction, tenant).await?;
        wait_at_most(&transaction, DROPPING).await?;
        let tables = transaction.query(TABLES, &[&schema, &BATCH]).await?;
        let names: Vec<String> = tables
            .iter()
            .map(|row| format!("{}.{}", ident(schema), ident(row.get(0))))
            .collect();
        if names.is_empty() {
            transaction
                .execute(
                    "delete from helixai.tenant_roles where tenant_id = $1",
                    &[&tenant.as_uuid()],
                )
                .await?;
            transaction
                .execute(
                    "delete from helixai.due_work where tenant_id = $1",
                    &[&tenant.as_uuid()],
                )
                .await?;
            transaction
                .execute(
                    "update helixai.channel_instances set wanted = false, revision = revision + 1 where tenant_id = $1",
                    &[&tenant.as_uuid()],
                )
                .await?;
            let command = format!("drop schema {} cascade; drop role {}", ident(schema), ident(role));
            transaction.batch_execute(&command).await?;
        } else {
            let command = format!("drop table {} cascade", names.join(", "));
            transaction.batch_execute(&command).await?;
        }
        transaction.commit().await?;
        crate::kill_point!("delete.batch");
    }
}
