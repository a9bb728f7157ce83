//! Whether two servers can carry a move. Changes nothing.

use tokio_postgres::Client;

use crate::db::DbError;
use crate::db::shard::provision::is_provisioned;
use crate::domain::ids::TenantId;

/// Connections and slots of a move besides those of the workers that copy tables.
const OWN: i64 = 1;

/// Why a move cannot begin, for people: what is missing and what to do about it.
pub type Obstacle = String;

/// What stands in the way on the server that the tenant leaves. `workers` is how many tables are copied at once.
///
/// # Errors
/// When the server cannot be asked.
pub async fn source_obstacles(
    admin: &Client,
    (tenant, schema, role): (TenantId, &str, &str),
    (shard, workers): (&str, i64),
) -> Result<Vec<Obstacle>, DbError> {
    let row = admin
        .query_one(
            "select current_setting('wal_level'), r.rolsuper, r.rolname::text,
                    current_setting('max_replication_slots')::int8 - (select count(*) from pg_replication_slots),
                    current_setting('max_wal_senders')::int8
                        - (select count(*) from pg_stat_activity where backend_type = 'walsender')
             from pg_roles r where r.rolname = current_user",
            &[],
        )
        .await?;
    let (wal_level, superuser, user): (String, bool, String) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let mut found = Vec::new();
    if wal_level != "logical" {
        found.push(format!(
            "wal_level of {shard} is {wal_level}: `alter system set wal_level = logical`, then restart that PostgreSQL"
        ));
    }
    if !superuser {
        found.push(format!(
            "{user} is no superuser on {shard}, and only one may publish a whole schema: give the shard a superuser's address"
        ));
    }
    for (setting, free) in [
        ("max_replication_slots", row.try_get::<_, i64>(3)?),
        ("max_wal_senders", row.try_get::<_, i64>(4)?),
    ] {
        if free < OWN + workers {
            found.push(format!(
                "{shard} has {free} free of {setting}, a move takes {}: raise it, then restart that PostgreSQL",
                OWN + workers
            ));
        }
    }
    if !is_provisioned(admin, tenant, role).await? {
        found.push(format!(
            "{role} is not noted in helixai.tenant_roles of {shard}, so nobody could be kept out of it: `helixai doctor` says \
             what to do"
        ));
    }
    found.extend(table_obstacles(admin, schema).await?);
    Ok(found)
}

/// Tables whose changes could not follow, and what no move carries.
async fn table_obstacles(admin: &Client, schema: &str) -> Result<Vec<Obstacle>, DbError> {
    let rows = admin
        .query(
            "select c.relname::text, c.relkind = 'r'
             from pg_namespace n
             join pg_depend d on d.refclassid = 'pg_namespace'::regclass and d.refobjid = n.oid
                             and d.classid = 'pg_class'::regclass
             join pg_class c on c.oid = d.objid
             where n.nspname = $1
               and (c.relkind not in ('r', 'v', 'i')
                    or c.relkind = 'r' and not (c.relreplident = 'd' and exists (
                        select from pg_index i where i.indrelid = c.oid and i.indisprimary and i.indisvalid)))
             order by 1",
            &[&schema],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let (name, is_table): (String, bool) = (row.try_get(0)?, row.try_get(1)?);
            Ok(if is_table {
                format!("the table {schema}.{name} has no primary key: its changes could not follow")
            } else {
                format!("{schema}.{name} is no table of the template: move or remove it first")
            })
        })
        .collect()
}

/// What stands in the way on the server that the tenant goes to.
///
/// # Errors
/// When the server cannot be asked.
pub async fn target_obstacles(
    admin: &Client,
    (schema, role): (&str, &str),
    shard: &str,
) -> Result<Vec<Obstacle>, DbError> {
    // Whoever makes the subscription gives a password with it, and must be able to keep it out of the server's log.
    let row = admin
        .query_one(
            "select r.rolname::text,
                    r.rolsuper or coalesce((
                        select current_setting('server_version_num')::int4 >= 160000 and pg_has_role(r.oid, s.oid, 'MEMBER')
                               and has_parameter_privilege('log_statement', 'set')
                               and has_parameter_privilege('log_min_duration_statement', 'set')
                               and has_parameter_privilege('log_min_error_statement', 'set')
                               and has_parameter_privilege('log_min_duration_sample', 'set')
                               and has_parameter_privilege('log_transaction_sample_rate', 'set')
                        from pg_roles s where s.rolname = 'pg_create_subscription'), false),
                    current_setting('max_logical_replication_workers')::int8
                        - (select count(*) from pg_stat_subscription where pid is not null),
                    coalesce(current_setting('max_active_replication_origins', true),
                             current_setting('max_replication_slots'))::int8
                        - (select count(*) from pg_replication_origin),
                    to_regnamespace(quote_ident($1)) is not null,
                    exists (select from pg_roles x where x.rolname = $2)
             from pg_roles r where r.rolname = current_user",
            &[&schema, &role],
        )
        .await?;
    let user: String = row.try_get(0)?;
    let mut found = Vec::new();
    if !row.try_get::<_, bool>(1)? {
        found.push(format!(
            "{user} may not make subscriptions on {shard}: it takes a superuser, or from PostgreSQL 16 on \
             `grant pg_create_subscription to {user}` and `grant set on parameter log_statement, log_min_duration_statement, \
             log_min_error_statement, log_min_duration_sample, log_transaction_sample_rate to {user}`"
        ));
    }
    for (setting, free, needed) in [
        ("max_logical_replication_workers", row.try_get::<_, i64>(2)?, 2),
        ("max_replication_slots (origins)", row.try_get::<_, i64>(3)?, 2),
    ] {
        if free < needed {
            found.push(format!(
                "{shard} has {free} free of {setting}, a move takes {needed}: raise it, then restart that PostgreSQL"
            ));
        }
    }
    if row.try_get(4)? {
        found.push(format!(
            "{shard} has a schema {schema} already: `helixai doctor` says what it is"
        ));
    }
    if row.try_get(5)? {
        found.push(format!(
            "{shard} has a role {role} already: `helixai doctor` says what it is"
        ));
    }
    Ok(found)
}

/// How many tables a server copies at once.
///
/// # Errors
/// When the server cannot be asked.
pub async fn copy_workers(target: &Client) -> Result<i64, DbError> {
    let row = target
        .query_one(
            "select current_setting('max_sync_workers_per_subscription')::int8",
            &[],
        )
        .await?;
    Ok(row.try_get(0)?)
}
