//! Publication, slot and subscription of a move: made, watched, removed.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::Client;

use super::refused;
use crate::db::DbError;
use crate::db::shard::{ident, literal};

/// A slot begins when every transaction that was open anywhere on the server has ended.
const SLOT_PATIENCE: Duration = Duration::from_secs(120);
/// How long a stopped worker may still hold a slot.
const RELEASE_PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// Publishes the tables of the schema, then makes the slot, in this order: the slot's reader looks for the publication as it
/// was at each change. Safe to repeat.
///
/// The slot comes before the subscription, which could not make it itself in the same cluster: it would wait for the
/// end of the transaction that makes it.
///
/// # Errors
/// [`DbError::Timeout`] when some transaction does not end; whatever the server refuses.
pub async fn publish(source: &Client, name: &str, schema: &str) -> Result<(), DbError> {
    let known = source
        .query_opt("select 1 from pg_publication where pubname = $1", &[&name])
        .await?;
    if known.is_none() {
        source
            .batch_execute(&format!(
                "create publication {} for tables in schema {}",
                ident(name),
                ident(schema)
            ))
            .await?;
    }
    crate::kill_point!("move.published");
    let known = source
        .query_opt(
            "select 1 from pg_replication_slots where slot_name = $1",
            &[&name],
        )
        .await?;
    if known.is_none() {
        source
            .batch_execute(&format!("set statement_timeout = {}", SLOT_PATIENCE.as_millis()))
            .await?;
        source
            .query_one(
                "select pg_create_logical_replication_slot($1, 'pgoutput')::text",
                &[&name],
            )
            .await?;
        source.batch_execute("set statement_timeout = 0").await?;
    }
    crate::kill_point!("move.slot");
    Ok(())
}

/// What a statement must not be written to: whatever may log it, a sample of statements or transactions included.
const UNLOGGED: [(&str, &str); 7] = [
    ("log_statement", "'none'"),
    ("log_min_duration_statement", "-1"),
    ("log_min_duration_sample", "-1"),
    ("log_transaction_sample_rate", "0"),
    ("log_min_error_statement", "'panic'"),
    ("debug_print_parse", "off"),
    ("debug_print_rewritten", "off"),
];

/// Subscribes: rows are copied from now on, and what is written meanwhile follows.
/// The address holds a password, and the server's logs and statistics keep statements: they are told not to keep this one.
///
/// # Errors
/// Whatever the server refuses, above all when it does not reach the other one.
pub async fn subscribe(target: &Client, name: &str, address: &SecretString) -> Result<(), DbError> {
    let known = target
        .query_opt(
            "select 1 from pg_subscription s join pg_database d on d.oid = s.subdbid
             where s.subname = $1 and d.datname = current_database()",
            &[&name],
        )
        .await?;
    if known.is_some() {
        return Ok(());
    }
    // Before the transaction of the statement begins: whether one is in a sample is decided then.
    let unlogged = UNLOGGED.map(|(setting, value)| format!("set {setting} = {value}"));
    target.batch_execute(&unlogged.join("; ")).await?;
    // Where the extension is not there, the setting is nobody's; where it may not be set, it does not see utility commands
    // of others than its own.
    let _ = target
        .batch_execute("set pg_stat_statements.track_utility = off")
        .await;
    target
        .batch_execute(&format!(
            "create subscription {name} connection {address} publication {name}
             with (create_slot = false, slot_name = {slot}, copy_data = true, synchronous_commit = 'on')",
            name = ident(name),
            slot = literal(name),
            address = escaped(address.expose_secret()),
        ))
        .await
        .map_err(|error| match DbError::from(error) {
            DbError::Other { code, message } => refused(format!(
                "the other server cannot subscribe ({code} {message}): it connects by the address of the tenant's present \
                 shard, which must reach that shard from there"
            )),
            other => other,
        })?;
    let logged = UNLOGGED.map(|(setting, _)| format!("reset {setting}"));
    target.batch_execute(&logged.join("; ")).await?;
    crate::kill_point!("move.subscribed");
    Ok(())
}

/// A literal that means the same whatever `standard_conforming_strings` says.
fn escaped(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// How far copying has come.
#[derive(Debug, Clone, Copy)]
pub struct Copying {
    /// Tables.
    pub tables: i64,
    /// Those that are copied.
    pub copied: i64,
    /// How often a worker has failed.
    pub errors: i64,
}

/// Asks how far copying has come.
///
/// # Errors
/// When the server cannot be asked.
pub async fn copying(target: &Client, name: &str) -> Result<Copying, DbError> {
    let row = target
        .query_one(
            "select (select count(*) from pg_subscription_rel r where r.srsubid = s.oid),
                    (select count(*) from pg_subscription_rel r where r.srsubid = s.oid and r.srsubstate = 'r'),
                    coalesce((select e.apply_error_count + e.sync_error_count
                              from pg_stat_subscription_stats e where e.subid = s.oid), 0)
             from pg_subscription s where s.subname = $1",
            &[&name],
        )
        .await?;
    Ok(Copying {
        tables: row.try_get(0)?,
        copied: row.try_get(1)?,
        errors: row.try_get(2)?,
    })
}

/// How the other side follows.
#[derive(Debug, Clone, Copy)]
pub struct Following {
    /// Bytes of the log that it has not confirmed, of those that are on this one's disk: nothing else is sent.
    pub lag: i64,
    /// Whether it is connected. Asked on this side: over there a worker that cannot connect is seen trying again and again.
    pub is_connected: bool,
}

/// Asks how the other side follows.
///
/// # Errors
/// When the slot is gone or has lost what it needs.
pub async fn following(source: &Client, name: &str) -> Result<Following, DbError> {
    let row = source
        .query_opt(
            "select coalesce(pg_wal_lsn_diff(pg_current_wal_flush_lsn(), confirmed_flush_lsn), 0)::int8, active,
                    wal_status = 'lost'
             from pg_replication_slots where slot_name = $1",
            &[&name],
        )
        .await?;
    match row {
        Some(row) if !row.try_get::<_, Option<bool>>(2)?.unwrap_or(false) => Ok(Following {
            lag: row.try_get(0)?,
            is_connected: row.try_get(1)?,
        }),
        _ => Err(refused(
            "the slot has lost what was to follow (max_slot_wal_keep_size is too small)",
        )),
    }
}

/// A place in the log that everything committed so far comes before, and that has reached the disk.
///
/// # Errors
/// Whatever the server refuses.
pub async fn mark(source: &mut Client) -> Result<String, DbError> {
    let transaction = source.transaction().await?;
    // A commit that is waited for takes those with it that were not.
    transaction
        .batch_execute(
            "set local synchronous_commit = on; select pg_logical_emit_message(true, 'helixai', 'fence')",
        )
        .await?;
    transaction.commit().await?;
    let row = source
        .query_one("select pg_current_wal_flush_lsn()::text", &[])
        .await?;
    Ok(row.try_get(0)?)
}

/// Whether everything up to this place is on the other side's disk.
///
/// # Errors
/// When the slot is gone.
pub async fn has_confirmed(source: &Client, name: &str, place: &str) -> Result<bool, DbError> {
    let row = source
        .query_opt(
            "select confirmed_flush_lsn >= $2::text::pg_lsn from pg_replication_slots where slot_name = $1",
            &[&name, &place],
        )
        .await?;
    row.map(|row| row.try_get(0))
        .transpose()?
        .ok_or_else(|| refused("the slot is gone"))
}

/// Stops the subscription's workers, so that its slots can be removed; answers its number, `None` when there is none.
///
/// # Errors
/// Whatever the server refuses.
pub async fn stop(target: &Client, name: &str) -> Result<Option<u32>, DbError> {
    let row = target
        .query_opt(
            "select s.oid from pg_subscription s join pg_database d on d.oid = s.subdbid
             where s.subname = $1 and d.datname = current_database()",
            &[&name],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let number = row.try_get(0)?;
    target
        .batch_execute(&format!("alter subscription {} disable", ident(name)))
        .await?;
    Ok(Some(number))
}

/// Removes slot and publication, with the slots of workers that were copying tables. Safe to repeat.
///
/// # Errors
/// [`DbError::Timeout`] when a worker does not let go of its slot; whatever the server refuses.
pub async fn unpublish(source: &Client, name: &str, subscription: Option<u32>) -> Result<(), DbError> {
    let copies = subscription.map_or(String::new(), |number| format!("pg_{number}_sync_"));
    let removing = async {
        loop {
            // The reader of a slot is a connection from the other side.
            let rows = source
                .query(
                    "select slot_name::text, active_pid from pg_replication_slots
                     where database = current_database() and (slot_name = $1 or $2 <> '' and starts_with(slot_name::text, $2))",
                    &[&name, &copies],
                )
                .await?;
            if rows.is_empty() {
                return Ok::<(), DbError>(());
            }
            for row in rows {
                let (slot, reader): (String, Option<i32>) = (row.try_get(0)?, row.try_get(1)?);
                if let Some(reader) = reader {
                    source
                        .execute("select pg_terminate_backend($1)", &[&reader])
                        .await?;
                    tokio::time::sleep(POLL).await;
                    continue;
                }
                match source
                    .execute("select pg_drop_replication_slot($1)", &[&slot])
                    .await
                {
                    // Taken again, or gone, in this moment.
                    Err(error) if matches!(error.code().map(|code| code.code()), Some("55006" | "42704")) => {
                    }
                    other => drop(other?),
                }
            }
        }
    };
    tokio::time::timeout(RELEASE_PATIENCE, removing)
        .await
        .map_err(|_| DbError::Timeout)??;
    source
        .batch_execute(&format!("drop publication if exists {}", ident(name)))
        .await?;
    Ok(())
}

/// Removes a stopped subscription whose slots are gone. Safe to repeat.
///
/// # Errors
/// Whatever the server refuses.
pub async fn unsubscribe(target: &Client, name: &str) -> Result<(), DbError> {
    if stop(target, name).await?.is_none() {
        return Ok(());
    }
    let name = ident(name);
    target
        .batch_execute(&format!("alter subscription {name} set (slot_name = none)"))
        .await?;
    target.batch_execute(&format!("drop subscription {name}")).await?;
    Ok(())
}
