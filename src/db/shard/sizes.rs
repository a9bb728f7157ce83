//! What schemas take on the disk.

use tokio_postgres::Client;

use crate::db::DbError;

/// The bytes of each of these schemas that is there: tables, indexes, long values. The connection's memory grows with
/// what it has looked at, so it is not kept.
///
/// # Errors
/// When the catalogue cannot be read.
pub async fn schema_bytes(admin: Client, schemas: &[&str]) -> Result<Vec<(String, i64)>, DbError> {
    let rows = admin
        .query(
            "select n.nspname::text, coalesce(sum(pg_total_relation_size(c.oid)), 0)::int8
             from pg_namespace n left join pg_class c on c.relnamespace = n.oid and c.relkind in ('r', 'm')
             where n.nspname = any ($1) group by 1",
            &[&schemas],
        )
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
