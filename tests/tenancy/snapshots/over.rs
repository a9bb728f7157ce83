//! A restore over a tenant that lives: from one moment to the next it has the snapshot's rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use helixai::db::Refusal;
use helixai::domain::ids::LeadId;
use helixai::tenancy::keeper::Purge;
use serde_json::{Value, json};

use super::{Case, kept, number};
use crate::helpers::tenant_db_of;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tenant_that_is_written_to_loses_nothing_that_came_after() {
    let mut case = Case::start().await;
    let schema = case.garage("garage").await;
    case.test.watch().await;
    let admin = case.test.admin().await;
    let before = kept(&admin, &schema).await;
    case.backup("garage", "a").await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let (platform, access, stop) =
                (case.test.platform.clone(), case.test.system(), Arc::clone(&stop));
            let clock = case.test.clock.clone();
            tokio::spawn(async move {
                let db = tenant_db_of(&platform, "garage").await;
                let (mut written, mut refused) = (Vec::new(), 0_u32);
                while !stop.load(Ordering::Relaxed) {
                    let id = LeadId::new();
                    let fields = json!({"name": "Written meanwhile", "stage": "new"});
                    let Value::Object(fields) = fields else { panic!() };
                    let insert = helixai::db::tenant::leads::insert(id, fields, clock.now());
                    match db.run(&access, insert).await {
                        Ok(_) => written.push(id),
                        Err(error) if error.refusal() == Some(Refusal::Locked) => refused += 1,
                        Err(error) => panic!("{error:?}"),
                    }
                }
                (written, refused)
            })
        })
        .collect();
    let mut marks = Vec::new();
    for _ in 0..3 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let restored = case.restore("a", None).await.expect("a restore");
        assert!(restored.over && !restored.is_copy);
        // Whatever is made from here on comes after.
        marks.push(LeadId::new());
    }
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    stop.store(true, Ordering::Relaxed);
    let mut written = Vec::new();
    for writer in writers {
        written.extend(writer.await.expect("only refusals for a moment").0);
    }
    let last = marks.last().expect("three");
    let after: Vec<LeadId> = written.iter().copied().filter(|id| id > last).collect();
    assert!(!after.is_empty() && after.len() < written.len());
    for id in &after {
        let sql = format!("select count(*) from {schema}.leads where id = '{id}'");
        assert_eq!(
            number(&admin, &sql).await,
            1,
            "{id} was written after the last restore"
        );
    }
    admin
        .batch_execute(&format!(
            "delete from {schema}.leads where name = 'Written meanwhile'"
        ))
        .await
        .unwrap();
    assert_eq!(kept(&admin, &schema).await, before);
    case.sound().await;
}

#[tokio::test]
async fn who_was_shut_out_since_stays_out() {
    let case = Case::start().await;
    let schema = case.garage("garage").await;
    let admin = case.test.admin().await;
    case.backup("garage", "a").await;
    admin
        .batch_execute(&format!(
            "update {schema}.api_keys set revoked_at = now() where name = 'default';
             update {schema}.users set status = 'disabled' where email = 'agent1@garage.example';
             delete from {schema}.users where email = 'agent3@garage.example';
             update {schema}.users set role = 'manager' where email = 'agent2@garage.example';
             update {schema}.users set name = 'Renamed' where email = 'agent2@garage.example';
             insert into {schema}.api_keys (id, name, prefix, key_hash, scopes, created_at)
             values (gen_random_uuid(), 'made since', 'abcdefgh', sha256('x'), array['read'], now())"
        ))
        .await
        .unwrap();
    case.restore("a", None).await.unwrap();
    for (sql, expected) in [
        ("api_keys where name = 'default' and revoked_at is not null", 1),
        ("api_keys where revoked_at is null", 2),
        ("api_keys where name = 'made since'", 0),
        ("users where status = 'disabled'", 2),
        (
            "users where email = 'agent3@garage.example' and status = 'disabled'",
            1,
        ),
        (
            "users where email = 'agent2@garage.example' and role = 'manager' and status = 'active'",
            1,
        ),
        ("users where name = 'Renamed'", 0),
        ("sessions", 0),
    ] {
        assert_eq!(
            number(&admin, &format!("select count(*) from {schema}.{sql}")).await,
            expected,
            "{sql}"
        );
    }
}

/// The one owner of today was not there: nobody could manage the users any more.
#[tokio::test]
async fn a_restore_that_would_leave_no_owner_changes_nothing() {
    let case = Case::start().await;
    let schema = case.garage("garage").await;
    let admin = case.test.admin().await;
    case.backup("garage", "a").await;
    admin
        .batch_execute(&format!(
            "insert into {schema}.users (id, email, name, password_hash, role, status, created_at, updated_at)
             select gen_random_uuid(), 'heir@garage.example', 'Heir', password_hash, 'owner', 'active', now(), now()
             from {schema}.users where role = 'owner' limit 1;
             update {schema}.users set status = 'disabled' where role = 'owner' and email <> 'heir@garage.example'"
        ))
        .await
        .unwrap();
    let before = kept(&admin, &schema).await;
    case.restore("a", None).await.unwrap_err();
    assert_eq!(kept(&admin, &schema).await, before);
    case.sound().await;
}

#[tokio::test]
async fn one_operation_at_a_time() {
    let case = Case::start().await;
    let schema = case.garage("garage").await;
    case.backup("garage", "a").await;
    // A request that never ends keeps a restore waiting, and a restore that waits keeps the others away.
    let admin = case.test.admin().await;
    let lock = number(
        &admin,
        "select ('x' || right(replace(id::text, '-', ''), 16))::bit(64)::int8 from master.tenants",
    )
    .await;
    admin
        .execute("select pg_advisory_lock_shared($1)", &[&lock])
        .await
        .unwrap();
    let (platform, file) = (case.test.platform.clone(), case.file("a"));
    let restoring = tokio::spawn(async move { super::restore(&platform, file, None).await });
    let waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted";
    let other = case.test.admin().await;
    while number(&other, waiting).await == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let busy = |error: helixai::tenancy::keeper::KeeperError| error.to_string().contains("try again");
    let second = case.test.second().await;
    assert!(busy(
        super::backup(&second, "garage", case.file("b"))
            .await
            .unwrap_err()
    ));
    assert!(busy(
        super::restore(&second, case.file("a"), None).await.unwrap_err()
    ));
    let key = super::tenant_key("garage");
    let deleted = second
        .keeper
        .purge(&key, Purge::Anything, crate::helpers::cli_origin())
        .await;
    assert!(busy(deleted.unwrap_err()));
    assert_eq!(second.keeper.finish_expired().await.unwrap(), 0);
    admin
        .execute("select pg_advisory_unlock_shared($1)", &[&lock])
        .await
        .unwrap();
    assert!(restoring.await.unwrap().unwrap().over);
    assert_eq!(
        number(&admin, "select count(*) from master.tenant_restores").await,
        0
    );
    assert_eq!(
        number(&admin, &format!("select count(*) from {schema}.messages")).await,
        200
    );
}

/// Keys of yesterday read nothing that was sealed for the device of today.
#[tokio::test]
async fn devices_are_those_of_today_and_in_no_copy() {
    let case = Case::start().await;
    let schema = case.garage("garage").await;
    let admin = case.test.admin().await;
    let link = |bots: &str, value: &str| {
        format!(
            "set search_path = {schema};
             insert into instances (id, channel, name, is_active, state, state_changed_at, message_delay_ms, max_attempts,
                                    auto_reconnect, created_at, updated_at)
             select gen_random_uuid(), 'whatsapp_web', n, false, 'stopped', now(), 0, 3, true, now(), now() from unnest('{{{bots}}}'::text[]) n;
             insert into whatsapp_devices (instance_id, owner, state_sealed, updated_at)
             select id, gen_random_uuid(), '{value}', now() from instances where name = any ('{{{bots}}}');
             insert into whatsapp_keys (instance_id, kind, name, value_sealed)
             select id, 'session', 'a@lid', '{value}' from instances where name = any ('{{{bots}}}');
             reset search_path"
        )
    };
    let today = format!(
        "update {schema}.whatsapp_devices set state_sealed = 'today' where instance_id = (select id from {schema}.instances where name = 'one');
         update {schema}.whatsapp_keys set value_sealed = 'today' where instance_id = (select id from {schema}.instances where name = 'one');
         delete from {schema}.whatsapp_devices where instance_id = (select id from {schema}.instances where name = 'two');"
    );
    admin.batch_execute(&link("one,two", "yesterday")).await.unwrap();
    case.backup("garage", "a").await;
    // The second one was logged out since, and a third one linked that the snapshot does not know.
    admin.batch_execute(&today).await.unwrap();
    admin.batch_execute(&link("three", "today")).await.unwrap();
    assert!(case.restore("a", None).await.unwrap().over);
    for table in ["whatsapp_devices", "whatsapp_keys"] {
        let column = if table == "whatsapp_keys" {
            "value_sealed"
        } else {
            "state_sealed"
        };
        for (which, expected) in [("true", 1), (&*format!("{column} = 'today'"), 1)] {
            let sql = format!("select count(*) from {schema}.{table} where {which}");
            assert_eq!(number(&admin, &sql).await, expected, "{sql}");
        }
    }
    // Whole, as it was, when the tenant is not there; nothing of it in a copy.
    case.backup("garage", "b").await;
    case.restore("b", Some("garage-copy")).await.expect("a copy");
    let copied = "select (select count(*) from tenant_garage_copy.whatsapp_devices)
        + (select count(*) from tenant_garage_copy.whatsapp_keys)";
    assert_eq!(number(&admin, copied).await, 0);
    case.delete("garage").await;
    case.restore("b", None).await.expect("it comes back");
    let back = format!("select count(*) from {schema}.whatsapp_keys where value_sealed = 'today'");
    assert_eq!(number(&admin, &back).await, 1);
    case.sound().await;
}
