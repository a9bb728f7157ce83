//! What is taken from PUBLIC in every database, and given back to the few that need it.
//!
//! Each revoke answers an escape that was seen to work from a tenant's role; `tests/isolation/escapes.rs` tries them
//! all. [`check`] reports what a managed server refused to revoke.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::ident;
use crate::db::DbError;

/// Functions of `pg_catalog` by which SQL of a tenant could leave its role, its schema or its share of the server.
///
/// An administrator who is no superuser has some of them from PUBLIC only, and must keep them: to give them to logins,
/// and for itself.
const FUNCTIONS: &str = "\
select f.name, c.kept || format('revoke execute on %s %s from public', f.kind, f.name)
from (select format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) as name,
             case p.prokind when 'p' then 'procedure' else 'function' end as kind, p.oid, p.proname, p.pronargs
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace
      where n.nspname = 'pg_catalog'
        and exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee = 0)) f
cross join lateral (
    select case when has_function_privilege(f.oid, 'execute with grant option') or f.proname not in
                     ('set_config', 'pg_notify', 'pg_try_advisory_xact_lock_shared', 'pg_advisory_xact_lock',
                      'pg_advisory_lock', 'pg_advisory_unlock') then ''
                else format('grant execute on %s %s to %I with grant option; ', f.kind, f.name, current_user) end as kept) c
where f.proname in ('set_config', 'loread', 'lowrite', 'pg_notify', 'ts_stat', 'pg_export_snapshot',
                    'pg_logical_emit_message')
   or f.proname ~ '_to_xml' or f.proname ~ '^lo_' or f.proname ~ '^pg_.*advisory' or f.proname ~ '^pg_sleep'
   or (f.proname = 'ts_rewrite' and f.pronargs = 2)
order by 1";

const OTHERS: &str = "\
select 'database', format('revoke %s on database %I from public', a.privilege_type, d.datname)
from pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
where d.datname = $1 and a.grantee = 0 and a.privilege_type in ('TEMPORARY', 'CREATE')
union all
select 'schema public', 'revoke create on schema public from public'
from pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
where n.nspname = 'public' and a.grantee = 0 and a.privilege_type = 'CREATE'
union all
select 'language ' || l.lanname,
       case when has_language_privilege(l.oid, 'usage with grant option') then ''
            else format('grant usage on language %I to %I with grant option; ', l.lanname, current_user) end
       || format('revoke usage on language %I from public', l.lanname)
from pg_language l, aclexplode(coalesce(l.lanacl, acldefault('l', l.lanowner))) a
where l.lanpltrusted and a.grantee = 0";

/// What a lane's login needs: the guard's `set_config`, the tenant lock, and to share tenants' work and bots with other
/// processes.
const LOGIN_FUNCTIONS: [&str; 10] = [
    "pg_catalog.set_config(text, text, boolean)",
    "pg_catalog.pg_try_advisory_xact_lock_shared(bigint)",
    "helixai.take_due(uuid, timestamptz, timestamptz, integer)",
    "helixai.end_due(uuid, uuid, timestamptz)",
    "helixai.beat_channels(uuid, integer, integer, uuid[], bigint[])",
    "helixai.leave_channels(uuid, uuid[])",
    "helixai.end_channels(uuid)",
    "helixai.count_channels(uuid)",
    "helixai.beat_sockets(uuid, integer, uuid[], uuid[])",
    "helixai.end_sockets(uuid)",
];

/// What the master plane's login needs: change notices to other processes.
const MASTER_FUNCTIONS: [&str; 1] = ["pg_catalog.pg_notify(text, text)"];

/// Takes from PUBLIC what a tenant's SQL must not reach. Safe to repeat; changes only what is still granted. What a
/// managed server refuses is left: [`check`] names it.
///
/// # Errors
/// When the catalogue cannot be read or the connection is lost.
pub async fn revoke_from_public(admin: &Client, database: &str) -> Result<(), DbError> {
    let excess = check(admin, database).await?;
    let commands: Vec<&str> = excess.iter().map(|excess| excess.cure.as_str()).collect();
    if admin.batch_execute(&commands.join(";\n")).await.is_ok() {
        return Ok(());
    }
    for command in commands {
        match admin.batch_execute(command).await {
            Ok(()) => {}
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                tracing::warn!(command, "the server refuses: {command}");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Commands that give a lane's login what its scope needs, and nothing else.
pub fn grants_for_login(login: &str) -> String {
    let login = ident(login);
    LOGIN_FUNCTIONS
        .map(|function| format!("grant execute on function {function} to {login}"))
        .join(";\n")
}

/// Commands that give the master plane's login its schema.
pub fn grants_for_master(login: &str) -> String {
    let login = ident(login);
    let functions =
        MASTER_FUNCTIONS.map(|function| format!("grant execute on function {function} to {login}"));
    format!(
        "{};
         grant execute on function pg_catalog.pg_notify(text, text) to current_user;
         grant usage on schema master to {login};
         grant select, insert, update, delete on all tables in schema master to {login};
         grant execute on all functions in schema master to {login};
         revoke insert, update, delete on master.{} from {login}",
        functions.join(";\n"),
        super::migrate::HISTORY,
    )
}

/// A right that PUBLIC still has and must not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excess {
    /// The object.
    pub object: String,
    /// What to run as a superuser, when the administrator may not.
    pub cure: String,
}

/// What PUBLIC still holds of the above; empty on a sound database.
///
/// # Errors
/// When the catalogue cannot be read.
pub async fn check(admin: &Client, database: &str) -> Result<Vec<Excess>, DbError> {
    let mut rows = admin.query(FUNCTIONS, &[]).await?;
    rows.extend(admin.query(OTHERS, &[&database]).await?);
    Ok(rows
        .into_iter()
        .map(|row| Excess {
            object: row.get(0),
            cure: row.get(1),
        })
        .collect())
}
