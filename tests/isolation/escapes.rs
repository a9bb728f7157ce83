//! Every way out of a tenant's scope that is known to us, tried as the tenant's role on a connection of its lane.
//!
//! No route sends SQL of a stranger; this is what holds if one day somebody finds a way to. To add an escape: a line
//! in its list. What is in no list here works and is harmless, see [`super::working`].

use helixai::db::shard::privileges;
use helixai::db::shard::setup::find_roles;

use super::intruder::Intruder;

/// `permission denied`.
const DENIED: &str = "42501";

/// `relation … does not exist`: what lies in a schema without USAGE is not found by its bare name.
const UNKNOWN: &str = "42P01";

/// Fails with the list of those that were not refused as they should be.
async fn all_are_refused(intruder: &Intruder, attempts: &[&str]) {
    let mut escaped = Vec::new();
    for attempt in attempts {
        let outcome = intruder.as_tenant(attempt).await;
        if outcome != Err(DENIED.to_owned()) {
            escaped.push(format!("{attempt}\n    → {outcome:?}"));
        }
    }
    assert!(escaped.is_empty(), "not refused:\n{}", escaped.join("\n"));
}

#[tokio::test]
async fn the_role_cannot_be_left_from_within_a_query() {
    let intruder = Intruder::start().await;
    all_are_refused(
        &intruder,
        &[
            "select set_config('role', '{other_role}', true)",
            "select set_config('role', 'none', false)",
            "select set_config('search_path', 'tenant_beta', true)",
            "update pg_settings set setting = '{other_role}' where name = 'role'",
            "update pg_settings set setting = 'tenant_beta' where name = 'search_path'",
            "select query_to_xml('select name from tenant_beta.contacts', true, true, '')",
            "select set_config('role', '{other_role}', true), query_to_xml('select name from contacts', true, true, '')",
            "select query_to_xmlschema('select 1', true, true, '')",
            "select query_to_xml_and_xmlschema('select 1', true, true, '')",
            "select table_to_xml('contacts', true, true, '')",
            "select schema_to_xml('tenant_beta', true, true, '')",
            "select database_to_xml(true, true, '')",
            "select cursor_to_xml('c', 1, true, true, '')",
            "select * from ts_stat('select search from leads')",
            "select ts_rewrite('a'::tsquery, 'select ''a''::tsquery, ''b''::tsquery')",
            "do $$ begin set local role {other_role}; end $$",
            "do language plpgsql $$ begin execute 'set local role {other_role}'; end $$",
            "set session authorization {other_role}",
            "set session authorization postgres",
            "set role postgres",
        ],
    )
    .await;
}

#[tokio::test]
async fn nothing_of_its_own_can_be_made() {
    let intruder = Intruder::start().await;
    all_are_refused(
        &intruder,
        &[
            "create temp table leads (id int)",
            "create temp view v as select 1",
            "create temp sequence s",
            "create table pg_temp.leads (id int)",
            "select 1 as one into temp t",
            "create function pg_temp.f() returns int language sql as 'select 1'",
            "create function pg_temp.f() returns int language plpgsql as 'begin return 1; end'",
            "create function f() returns int language sql as 'select 1'",
            "create function f() returns int language internal as 'int4in'",
            "create procedure f() language sql as 'select 1'",
            "create table t (id int)",
            "create table public.t (id int)",
            "create view v as select 1",
            "create materialized view v as select 1",
            "create type t as (a int)",
            "create domain d as int",
            "create schema s",
            "create role r",
            "create extension pg_trgm",
            "create publication p for all tables",
        ],
    )
    .await;
}

#[tokio::test]
async fn its_own_tables_stay_as_they_are() {
    let intruder = Intruder::start().await;
    all_are_refused(
        &intruder,
        &[
            "alter table contacts add column x int",
            "alter table contacts disable trigger all",
            "alter table contacts owner to {role}",
            "alter view catalog_items set (security_invoker = false)",
            "drop table leads",
            "drop view catalog_items",
            "drop schema tenant_alpha cascade",
            "alter schema tenant_alpha rename to x",
            "truncate contacts",
            "create index i on contacts (name)",
            "create trigger t before insert on contacts for each row execute function suppress_redundant_updates_trigger()",
            "create rule r as on insert to contacts do instead nothing",
            "create policy p on contacts",
            "comment on table contacts is 'x'",
            "cluster contacts using contacts_pkey",
            "reindex table contacts",
            "create statistics s on name, phone from contacts",
        ],
    )
    .await;
    all_are_refused(
        &intruder,
        &[
            "update audit_log set action = 'x'",
            "delete from audit_log",
            "truncate audit_log",
            "select version from schema_history_core",
            "insert into schema_history_core (version) values (99)",
            "delete from schema_history_core",
            "select version from schema_history_cars",
        ],
    )
    .await;
    // It owns nothing, so there is nothing whose defaults it could change; and nobody could use its grants.
    let _ = intruder
        .as_tenant("alter default privileges grant select on tables to public")
        .await;
    let granted = intruder.as_tenant("grant select on contacts to public").await;
    assert!(
        granted.is_err() || !public_reads_contacts(&intruder).await,
        "{granted:?}"
    );
}

async fn public_reads_contacts(intruder: &Intruder) -> bool {
    let admin = intruder.test.admin().await;
    admin
        .query_one(
            "select has_table_privilege('public', 'tenant_alpha.contacts', 'select')",
            &[],
        )
        .await
        .unwrap()
        .get(0)
}

#[tokio::test]
async fn nothing_of_others_can_be_reached() {
    let intruder = Intruder::start().await;
    all_are_refused(
        &intruder,
        &[
            "select name from tenant_beta.contacts",
            "select title from tenant_beta.catalog_items",
            "insert into tenant_beta.contacts (id) values (gen_random_uuid())",
            "update tenant_beta.contacts set name = 'x'",
            "delete from tenant_beta.contacts",
            "copy tenant_beta.contacts to stdout",
            "lock table tenant_beta.contacts",
            "explain analyze select name from tenant_beta.contacts",
            "select c.name from contacts c join tenant_beta.contacts b on b.id = c.id",
            "with x as (delete from tenant_beta.contacts returning name) select name from x",
            "insert into contacts (id, name, created_at, updated_at)
             select id, name, now(), now() from tenant_beta.contacts",
            "select tenant_key from master.tenants",
            "select id from master.admins",
            "select role_prefix from helixai.shard",
            "select role_name from helixai.tenant_roles",
            "select due_at from helixai.due_work",
            "delete from helixai.due_work",
            "select helixai.take_due(gen_random_uuid(), now(), now(), 9)",
            "select helixai.end_due(gen_random_uuid(), gen_random_uuid(), null)",
            "select instance_id from helixai.channel_instances",
            "select worker from helixai.channel_workers",
            "select helixai.beat_channels(gen_random_uuid(), 9, 9, '{}', '{}')",
            "select helixai.leave_channels(gen_random_uuid(), '{}')",
            "select helixai.end_channels(gen_random_uuid())",
            "select helixai.count_channels(gen_random_uuid())",
            "select process from helixai.socket_processes",
            "select tenant_id from helixai.socket_tenants",
            "select helixai.beat_sockets(gen_random_uuid(), 9, '{}', '{}')",
            "select helixai.end_sockets(gen_random_uuid())",
            "select version from helixai.schema_history",
            "select rolpassword from pg_authid",
            "select passwd from pg_shadow",
            "select loid from pg_largeobject",
        ],
    )
    .await;
    // The path is no protection, and none is needed: privileges are.
    let moved = intruder
        .as_tenant("set local search_path = tenant_beta; select name from contacts")
        .await;
    assert_eq!(moved, Err(UNKNOWN.to_owned()));
}

#[tokio::test]
async fn the_server_is_out_of_reach() {
    let intruder = Intruder::start().await;
    // At work for the other tenant, on the same lane.
    let _other = intruder.test.as_login(&intruder.login).await;
    all_are_refused(
        &intruder,
        &[
            "select lo_creat(-1)",
            "select lo_create(0)",
            "select lo_from_bytea(0, 'x')",
            "select lo_import('/etc/passwd')",
            "select lo_export(1, '/tmp/x')",
            "select lo_get(1)",
            "select lo_put(1, 0, 'x')",
            "select lo_open(1, 131072)",
            "select lo_unlink(1)",
            "select loread(0, 1)",
            "select lowrite(0, 'x')",
            "select pg_notify('helixai_tenants', '*')",
            "select pg_sleep(0)",
            "select pg_sleep_for('0')",
            "select pg_sleep_until(now())",
            "select pg_advisory_lock(1)",
            "select pg_advisory_xact_lock(1)",
            "select pg_try_advisory_lock(1)",
            "select pg_try_advisory_xact_lock(1, 2)",
            "select pg_try_advisory_xact_lock_shared(1)",
            "select pg_advisory_unlock_all()",
            "select pg_export_snapshot()",
            "select pg_logical_emit_message(true, 'a', 'b')",
            "select pg_read_file('/etc/passwd')",
            "select pg_read_binary_file('/etc/passwd')",
            "select pg_ls_dir('.')",
            "select pg_stat_file('.')",
            "copy contacts to '/tmp/x'",
            "copy contacts from '/etc/passwd'",
            "copy contacts from program 'true'",
            "copy (select 1) to program 'true'",
            "load 'plpgsql'",
            "alter role {role} login",
            "alter role {login} superuser",
            "alter database {database} set work_mem = '1GB'",
            "set local session_replication_role = replica",
            "set local log_statement = 'none'",
            "select pg_reload_conf()",
            "select pg_switch_wal()",
            "select pg_create_restore_point('x')",
            "select pg_stat_reset()",
            "select pg_log_backend_memory_contexts(pg_backend_pid())",
            "select line_number from pg_hba_file_rules",
            "select name from pg_file_settings",
            "select name from pg_config",
            "checkpoint",
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = '{login}' and pid <> pg_backend_pid()",
            "select pg_create_logical_replication_slot('s', 'pgoutput')",
        ],
    )
    .await;
}

#[tokio::test]
async fn nor_can_it_be_reached_outside_of_a_transaction() {
    let intruder = Intruder::start().await;
    intruder
        .client
        .batch_execute(&format!("set role {}", intruder.role))
        .await
        .unwrap();
    for attempt in [
        "create database d",
        "drop database {database}",
        "create tablespace t location '/tmp'",
        "alter system set work_mem = '1GB'",
        "create subscription s connection 'host=/tmp' publication p",
        "vacuum full tenant_beta.contacts",
    ] {
        let attempt = attempt.replace("{database}", intruder.test.db().name());
        let code = match intruder.client.simple_query(&attempt).await {
            Ok(_) => "done".to_owned(),
            Err(error) => error
                .code()
                .map_or_else(String::new, |code| code.code().to_owned()),
        };
        assert_eq!(code, DENIED, "{attempt}");
    }
}

#[tokio::test]
async fn what_the_catalogue_shows_is_names_and_no_rows() {
    let intruder = Intruder::start().await;
    let admin = intruder.test.admin().await;
    admin.batch_execute("analyze tenant_beta.contacts").await.unwrap();
    // A second connection of the same lane at work for somebody else.
    let other = intruder.test.as_login(&intruder.login).await;
    other
        .batch_execute("begin; select 'a secret of beta'")
        .await
        .unwrap();
    for empty in [
        "select 1 from pg_stats where schemaname = 'tenant_beta'",
        "select 1 from information_schema.tables where table_schema in ('tenant_beta', 'master')",
        "select 1 from information_schema.columns where table_schema = 'tenant_beta'",
        "select 1 from pg_stat_activity where query like '%a secret of beta' and pid <> pg_backend_pid()",
        "select 1 from pg_stat_activity where query like '%tenant_beta%' and pid <> pg_backend_pid()",
    ] {
        assert_eq!(intruder.as_tenant(empty).await, Ok(vec![]), "{empty}");
    }
}

/// These work for SQL that is sent as a statement of its own, and only so: inside an expression nothing can do the
/// same. A [`helixai::db::tenant::Query`] is a fixed text, and `tests/architecture` sees to it that none contains one.
#[tokio::test]
async fn what_a_whole_statement_of_its_own_could_do() {
    let intruder = Intruder::start().await;
    for known in [
        "set role {other_role}; select name from tenant_beta.contacts",
        "reset role; set role {other_role}; select name from tenant_beta.contacts",
    ] {
        assert_eq!(
            intruder.as_tenant(known).await,
            Ok(vec![vec!["Bia".to_owned()]]),
            "{known}"
        );
    }
    // A notice only names what to drop from a cache.
    assert_eq!(
        intruder.as_tenant("notify helixai_tenants, '*'").await,
        Ok(vec![])
    );
    // The login itself has nothing to fall back to.
    let fallen_back = intruder
        .as_tenant("reset role; select name from tenant_alpha.contacts")
        .await;
    assert_eq!(fallen_back, Err(DENIED.to_owned()));
}

#[tokio::test]
async fn a_login_that_forgot_its_scope_gets_an_error_for_every_table() {
    let intruder = Intruder::start().await;
    let admin = intruder.test.admin().await;
    let tables = admin
        .query(
            "select format('%I.%I', nspname, relname) from pg_class c join pg_namespace n on n.oid = relnamespace
             where relkind in ('r', 'v', 'p', 'm', 'S')
               and (nspname in ('master', 'helixai', 'public') or nspname ~ '^tenant_')",
            &[],
        )
        .await
        .unwrap();
    assert!(tables.len() > 60, "{}", tables.len());
    for row in tables {
        let table: String = row.get(0);
        for attempt in [
            format!("select 1 from {table}"),
            format!("delete from {table}"),
            format!("copy {table} to stdout"),
        ] {
            let outcome = intruder.as_login(&attempt).await;
            assert_eq!(outcome, Err(DENIED.to_owned()), "{attempt}");
        }
    }
    // Without a path there is nothing to find by a bare name, either.
    assert_eq!(
        intruder.as_login("select 1 from contacts").await,
        Err(UNKNOWN.to_owned())
    );
    for attempt in [
        "create temp table t (id int)",
        "create table public.t (id int)",
        "do $$ begin end $$",
        "select query_to_xml('select 1', true, true, '')",
        "select pg_advisory_lock(1)",
        "select pg_notify('helixai_tenants', '*')",
    ] {
        assert_eq!(
            intruder.as_login(attempt).await,
            Err(DENIED.to_owned()),
            "{attempt}"
        );
    }
}

#[tokio::test]
async fn work_is_noted_for_the_tenant_whose_role_is_set_and_nobody_else() {
    let intruder = Intruder::start().await;
    let admin = intruder.test.admin().await;
    let noted = async || -> Vec<String> {
        admin
            .query(
                "select r.role_name from helixai.due_work join helixai.tenant_roles r using (tenant_id)",
                &[],
            )
            .await
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect()
    };
    intruder
        .client
        .batch_execute("select helixai.note_due('2026-01-01Z')")
        .await
        .unwrap();
    assert_eq!(noted().await, [""; 0], "a login without a tenant's role");
    intruder
        .client
        .batch_execute(&format!(
            "begin; set local role {}; select helixai.note_due('2026-01-02Z'); commit",
            intruder.role
        ))
        .await
        .unwrap();
    assert_eq!(noted().await, std::slice::from_ref(&intruder.role));
    // Look-alikes of the table it writes to are not found: its path is fixed.
    let fooled = intruder
        .as_tenant("set local search_path = tenant_beta, pg_temp; select helixai.note_due('2025-01-01Z')")
        .await;
    assert!(fooled.is_ok(), "{fooled:?}");
    assert_eq!(noted().await, std::slice::from_ref(&intruder.role));
}

#[tokio::test]
async fn no_tenant_may_execute_what_was_revoked() {
    let intruder = Intruder::start().await;
    let admin = intruder.test.admin().await;
    let callable = |role: &str| {
        let (admin, role) = (&admin, role.to_owned());
        async move {
            let rows = admin
                .query(
                    "select p.oid::regprocedure::text from pg_proc p
                     where p.pronamespace = 'pg_catalog'::regnamespace and has_function_privilege($1, p.oid, 'execute')
                       and (p.proname in ('set_config', 'loread', 'lowrite', 'pg_notify', 'ts_stat',
                                          'pg_export_snapshot', 'pg_logical_emit_message')
                            or p.proname ~ '_to_xml|^lo_|^pg_.*advisory|^pg_sleep'
                            or p.oid = 'ts_rewrite(tsquery, text)'::regprocedure)
                     order by 1",
                    &[&role],
                )
                .await
                .unwrap();
            rows.iter().map(|row| row.get(0)).collect::<Vec<String>>()
        }
    };
    assert_eq!(callable(&intruder.role).await, [""; 0]);
    assert_eq!(
        callable(&intruder.login).await,
        [
            "pg_try_advisory_xact_lock_shared(bigint)",
            "set_config(text,text,boolean)"
        ]
    );
    let roles = find_roles(&admin).await.unwrap().unwrap();
    assert_eq!(callable(&roles.master()).await, ["pg_notify(text,text)"]);
    for language in ["plpgsql", "sql"] {
        let allowed: bool = admin
            .query_one(
                "select has_language_privilege($1, $2, 'usage')",
                &[&intruder.role, &language],
            )
            .await
            .unwrap()
            .get(0);
        assert!(!allowed, "{language}");
    }
}

#[tokio::test]
async fn the_check_is_silent_on_a_sound_database_and_names_each_excess() {
    let intruder = Intruder::start().await;
    let admin = intruder.test.admin().await;
    let database = intruder.test.db().name();
    assert_eq!(privileges::check(&admin, database).await.unwrap(), []);
    for (grant, object) in [
        (
            "grant execute on function set_config(text, text, boolean) to public",
            "set_config",
        ),
        ("grant execute on function lo_create(oid) to public", "lo_create"),
        (
            "grant execute on function query_to_xml(text, boolean, boolean, text) to public",
            "query_to_xml",
        ),
        ("grant execute on function pg_sleep(float8) to public", "pg_sleep"),
        ("grant temporary on database {database} to public", "database"),
        ("grant create on database {database} to public", "database"),
        ("grant create on schema public to public", "schema public"),
        ("grant usage on language plpgsql to public", "language plpgsql"),
        ("grant usage on language sql to public", "language sql"),
    ] {
        admin
            .batch_execute(&grant.replace("{database}", database))
            .await
            .unwrap();
        let found = privileges::check(&admin, database).await.unwrap();
        assert_eq!(found.len(), 1, "{grant}: {found:?}");
        assert!(found[0].object.contains(object), "{grant}: {found:?}");
        admin.batch_execute(&found[0].cure).await.unwrap();
        assert_eq!(
            privileges::check(&admin, database).await.unwrap(),
            [],
            "{}",
            found[0].cure
        );
    }
}
