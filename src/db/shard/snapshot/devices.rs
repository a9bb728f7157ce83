//! Devices of bots in a restore over a tenant that lives: today's stay, whatever the snapshot holds. With keys of yesterday a device
//! could not read what was sealed for it today, and one that was linked anew since would be no device at all.

use tokio_postgres::Transaction;

use super::quoted;
use crate::db::DbError;
use crate::db::shard::ident;

/// The tables of devices, and which rows of the old schema have a place in the new one. In the order of their references.
const TABLES: [(&str, &str, &str); 2] = [
    ("whatsapp_devices", "instances", "id"),
    ("whatsapp_keys", "whatsapp_devices", "instance_id"),
];

/// Puts the rows of the old schema into the place of those that were loaded into the new one. Both are named as SQL has them, and
/// nobody is inside of the tenant.
pub(super) async fn keep_todays(
    transaction: &Transaction<'_>,
    (old_name, old): (&str, &str),
    new: &str,
) -> Result<(), DbError> {
    transaction
        .batch_execute(&format!("delete from {new}.whatsapp_devices"))
        .await?;
    for (table, parent, id) in TABLES {
        // The old schema may be of an earlier version.
        let columns = transaction
            .query(
                "select a.attname::text from pg_attribute a join pg_class c on c.oid = a.attrelid
                 where c.relname = $2 and c.relnamespace = (select oid from pg_namespace where nspname = $1)
                   and a.attnum > 0 and not a.attisdropped order by a.attnum",
                &[&old_name, &table],
            )
            .await?;
        let columns = columns
            .iter()
            .map(|row| row.try_get(0))
            .collect::<Result<Vec<String>, _>>()?;
        if !columns.is_empty() {
            let (table, columns) = (ident(table), quoted(&columns));
            let keep = format!(
                "insert into {new}.{table} ({columns}) select {columns} from {old}.{table}
                 where instance_id in (select {id} from {new}.{parent})"
            );
            transaction.batch_execute(&keep).await?;
        }
    }
    Ok(())
}
