//! Each way in which a schema can differ from its template is found, and named.

use helixai::db::shard::inspect::catalog::How;
use helixai::platform::doctor;
use helixai::tenancy::doctor::drift::{Drift, Drifts};
use tokio_postgres::Client;

use super::{key, number};
use crate::helpers::{TestPlatform, cli_origin};
use crate::tenancy::moves::Other;

async fn drifts(test: &TestPlatform) -> Drifts {
    doctor(&test.settings, 1, &test.clock)
        .expect("the settings are right")
        .drift()
        .await
        .expect("the registry is read")
}

async fn drift(test: &TestPlatform) -> Vec<Drift> {
    let found = drifts(test).await;
    assert!(found.unreachable.is_empty(), "{found:?}");
    found.drift
}

/// A change of the schema of `garage`, how it is taken back, and what it is found as.
struct Change {
    sql: String,
    back: String,
    object: &'static str,
    how: How,
}

fn change(sql: &str, back: &str, object: &'static str, how: How) -> Change {
    let (sql, back) = (sql.to_owned(), back.to_owned());
    Change {
        sql,
        back,
        object,
        how,
    }
}

/// Makes the changes, expects each of them to be found and nothing else to be named, and takes them back.
async fn found(test: &TestPlatform, admin: &Client, changes: &[Change], with: &[&str]) {
    let run = async |sql: &str| {
        let sql = format!("set search_path = tenant_garage, pg_temp; {sql}");
        admin
            .batch_execute(&sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    };
    for change in changes {
        run(&change.sql).await;
    }
    let found = drift(test).await;
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].tenant_key.as_str(), found[0].schema.as_str()),
        ("garage", "tenant_garage")
    );
    for change in changes {
        let one = found[0]
            .differences
            .iter()
            .find(|one| one.object == change.object);
        let one = one.unwrap_or_else(|| panic!("{} is not found: {found:#?}", change.object));
        assert_eq!(one.how, change.how, "{one:?}");
        assert_eq!(one.expected.is_none(), one.how == How::Unexpected, "{one:?}");
        assert_eq!(one.found.is_none(), one.how == How::Missing, "{one:?}");
    }
    for one in &found[0].differences {
        let named = changes.iter().any(|change| change.object == one.object);
        assert!(named || with.contains(&one.object.as_str()), "{one:?}");
    }
    for change in changes {
        run(&change.back).await;
    }
}

#[tokio::test]
async fn every_kind_of_difference_is_named() {
    let test = TestPlatform::start().await;
    for (name, niche) in [("garage", "cars"), ("twin", "cars"), ("imob", "real_estate")] {
        test.onboard(name, niche).await;
    }
    test.platform
        .lifecycle
        .suspend(&key("imob"), "", cli_origin())
        .await
        .expect("suspended");
    assert_eq!(drift(&test).await.len(), 0, "made by the template");
    let admin = test.admin().await;
    let role = "select role_name from master.tenants where tenant_key = 'garage'";
    let role: String = admin.query_one(role, &[]).await.unwrap().get(0);
    let owner = role.replace("_tenant_garage", "_owner");
    let user: String = admin
        .query_one("select current_user::text", &[])
        .await
        .unwrap()
        .get(0);
    let objects = [
        change(
            "alter table leads add column extra text",
            "alter table leads drop column extra",
            "column leads.extra",
            How::Unexpected,
        ),
        change(
            "alter table leads alter column source type varchar(100)",
            "alter table leads alter column source type text",
            "column leads.source",
            How::Different,
        ),
        change(
            "alter table leads alter column version drop default",
            "alter table leads alter column version set default 1",
            "column leads.version",
            How::Different,
        ),
        change(
            "alter table leads alter column stage drop not null",
            "alter table leads alter column stage set not null",
            "column leads.stage",
            How::Different,
        ),
        change(
            "alter table leads drop constraint leads_version_check",
            "alter table leads add constraint leads_version_check check (version > 0)",
            "constraint leads.leads_version_check",
            How::Missing,
        ),
        change(
            "create table odd (id uuid)",
            "drop table odd",
            "table odd",
            How::Unexpected,
        ),
        change(
            "drop index leads_created_at_id_idx",
            "create index leads_created_at_id_idx on leads (created_at desc, id desc)",
            "index leads_created_at_id_idx",
            How::Missing,
        ),
        change(
            "alter view catalog_items set (security_invoker = false)",
            "alter view catalog_items set (security_invoker = true)",
            "view catalog_items",
            How::Different,
        ),
        change(
            "create function odd() returns integer language sql as 'select 1'",
            "drop function odd()",
            "function odd()",
            How::Unexpected,
        ),
        change(
            "create trigger odd before update on leads for each row execute function suppress_redundant_updates_trigger()",
            "drop trigger odd on leads",
            "trigger leads.odd",
            How::Unexpected,
        ),
        change(
            "create type mood as enum ('good')",
            "drop type mood",
            "type mood",
            How::Unexpected,
        ),
        change(
            "alter table contacts enable row level security",
            "alter table contacts disable row level security",
            "table contacts",
            How::Different,
        ),
        change(
            "grant select on messages to public",
            "revoke select on messages from public",
            "table messages",
            How::Different,
        ),
        change(
            &format!("grant update on audit_log to {role}"),
            &format!("revoke update on audit_log from {role}"),
            "table audit_log",
            How::Different,
        ),
        change(
            &format!("alter table outbox owner to \"{user}\""),
            &format!("alter table outbox owner to {owner}"),
            "table outbox",
            How::Different,
        ),
    ];
    let along = ["column odd.id", "constraint leads.leads_source_check"];
    found(&test, &admin, &objects, &along).await;
    assert_eq!(drift(&test).await.len(), 0, "everything was taken back");
    let left = "select count(*) from pg_roles where rolname like '%fresh%'";
    assert_eq!(number(&admin, left).await, 0);
}

#[tokio::test]
async fn a_schema_at_an_older_version_is_compared_with_that_version() {
    let test = TestPlatform::start().await;
    test.onboard("garage", "cars").await;
    let admin = test.admin().await;
    // As the seventh version was: without what the eighth has brought.
    let version = super::next("core") - 1;
    assert!(version >= 8);
    admin
        .batch_execute("update master.tenant_migrations set version = 7 where ledger = 'core'")
        .await
        .unwrap();
    let found: Vec<String> = drift(&test)
        .await
        .into_iter()
        .flat_map(|drift| drift.differences)
        .map(|one| one.object)
        .collect();
    assert!(found.contains(&"table lead_history".to_owned()), "{found:?}");
    assert!(!found.contains(&"table leads".to_owned()), "{found:?}");
}

#[tokio::test]
async fn a_shard_that_cannot_be_reached_keeps_nobody_from_the_others() {
    let test = TestPlatform::start().await;
    for key in ["garage", "twin"] {
        test.onboard(key, "cars").await;
    }
    drop(Other::add(&test.platform).await);
    let admin = test.admin().await;
    admin
        .batch_execute("alter table tenant_twin.leads add column extra text")
        .await
        .unwrap();
    let found = drifts(&test).await;
    let keys: Vec<&str> = found
        .drift
        .iter()
        .map(|drift| drift.tenant_key.as_str())
        .collect();
    let shards: Vec<&str> = found.unreachable.iter().map(|one| one.shard.as_str()).collect();
    assert_eq!((keys, shards), (vec!["twin"], vec!["other"]), "{found:?}");
}
