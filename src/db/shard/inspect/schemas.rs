//! The schemas of a shard's database, and which role it takes for which tenant.

use tokio_postgres::Client;

use crate::db::DbError;
use crate::domain::ids::TenantId;

/// A schema that looks like a tenant's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// Its name.
    pub name: String,
    /// The role that owns it.
    pub owner: String,
    /// Who else has which right on it: `(role or PUBLIC, right)`.
    pub grants: Vec<(String, String)>,
}

/// The schemas that the shard's owner role owns, and those that are named as a tenant's.
///
/// # Errors
/// When the catalogue cannot be read.
pub async fn tenant_schemas(admin: &Client, owner_role: &str) -> Result<Vec<Schema>, DbError> {
    find(admin, r"r.rolname = $1 or n.nspname like 'tenant\_%'", owner_role).await
}

/// The schema of this name.
///
/// # Errors
/// When the catalogue cannot be read.
pub async fn schema(admin: &Client, name: &str) -> Result<Option<Schema>, DbError> {
    Ok(find(admin, "n.nspname = $1", name).await?.pop())
}

async fn find(admin: &Client, condition: &'static str, parameter: &str) -> Result<Vec<Schema>, DbError> {
    let sql = format!(
        "select n.nspname::text, r.rolname::text,
                array(select coalesce((select g.rolname::text from pg_roles g where g.oid = a.grantee), 'PUBLIC')
                      from aclexplode(n.nspacl) a where a.grantee <> n.nspowner
                      order by a.grantee, a.grantor, a.privilege_type),
                array(select a.privilege_type from aclexplode(n.nspacl) a where a.grantee <> n.nspowner
                      order by a.grantee, a.grantor, a.privilege_type)
         from pg_namespace n join pg_roles r on r.oid = n.nspowner
         where {condition}
         order by 1"
    );
    let rows = admin.query(&sql, &[&parameter]).await?;
    Ok(rows
        .into_iter()
        .map(|row| Schema {
            name: row.get(0),
            owner: row.get(1),
            grants: row
                .get::<_, Vec<String>>(2)
                .into_iter()
                .zip(row.get::<_, Vec<String>>(3))
                .collect(),
        })
        .collect())
}

/// Which role is which tenant, as `helixai.note_due` believes it.
///
/// # Errors
/// When the table cannot be read.
pub async fn tenant_roles(admin: &Client) -> Result<Vec<(String, TenantId)>, DbError> {
    let rows = admin
        .query("select role_name, tenant_id from helixai.tenant_roles", &[])
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.get(0), TenantId::from_uuid(row.get(1))))
        .collect())
}
