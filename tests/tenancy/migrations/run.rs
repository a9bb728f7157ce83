//! A run in which nothing goes wrong, and who is left alone.

use std::time::Duration;

use helixai::db::shard::template::CORE;
use helixai::tenancy::migrator::{Migrator, Patience};
use serde_json::json;

use super::{key, migrate, mirrored, more, newer, next, number, order, reached, template, try_migrate};
use crate::helpers::{TestPlatform, cli_origin};

const COLUMN: &str = "alter table leads add column budget_cents bigint";

#[tokio::test]
async fn every_tenant_comes_to_the_newest_version() {
    let test = TestPlatform::start().await;
    for (name, niche) in [("garage", "cars"), ("imob", "real_estate"), ("shop", "general")] {
        test.onboard(name, niche).await;
    }
    let lifecycle = &test.platform.lifecycle;
    lifecycle
        .suspend(&key("shop"), "", cli_origin())
        .await
        .expect("suspended");
    let table = "create table tyres (id uuid not null, constraint tyres_pkey primary key (id))";
    let migrator = newer(&test, &[more(CORE, COLUMN), more("cars", table)]).await;
    let status = migrator.status().await.unwrap();
    assert_eq!(status.behind, ["garage", "imob", "shop"]);

    let outcome = migrate(&migrator).await;
    assert_eq!((outcome.migrated, outcome.not_begun), (3, 0), "{outcome:?}");
    let admin = test.admin().await;
    mirrored(&admin).await;
    for name in ["garage", "imob", "shop"] {
        assert_eq!(reached(&admin, name).await, next(CORE), "{name}");
    }
    let status = migrator.status().await.unwrap();
    assert_eq!(status.behind, [""; 0]);
    let core = &status.versions[0];
    assert_eq!(
        (core.ledger.as_str(), core.version, core.tenants),
        (CORE, next(CORE), 3)
    );

    // What the migration has made is the tenant's to use, and nobody else's; the audit stays append-only.
    let may =
        "select count(*) from helixai.tenant_roles, unnest(array['select', 'insert', 'update', 'delete']) p
               where has_table_privilege(role_name, 'tenant_garage.tyres', p)";
    assert_eq!(number(&admin, may).await, 4);
    let may = "select count(*) from helixai.tenant_roles
               where has_table_privilege(role_name, 'tenant_garage.audit_log', 'update')";
    assert_eq!(number(&admin, may).await, 0);
    let owner = "select count(distinct tableowner) from pg_tables where schemaname = 'tenant_garage'";
    assert_eq!(number(&admin, owner).await, 1);

    let noted = admin
        .query_one(
            "select a.details from master.audit_log a join master.tenants t on t.id = a.tenant_id
             where a.action = 'tenant.migrate' and t.tenant_key = 'garage'",
            &[],
        )
        .await
        .expect("one line");
    let details: serde_json::Value = noted.get(0);
    let (core, cars) = (next(CORE), next("cars"));
    assert_eq!(details["from"], json!({ "core": core - 1, "cars": cars - 1 }));
    assert_eq!(details["to"], json!({ "core": core, "cars": cars }));
    let untimed =
        "select count(*) from master.tenant_migrations where ledger = 'core' and duration_ms is null";
    assert_eq!(number(&admin, untimed).await, 0);
}

#[tokio::test]
async fn a_run_with_nothing_to_do_is_one_question_to_the_registry() {
    let test = TestPlatform::builder().proxied().start().await;
    for name in ["garage", "imob", "shop"] {
        test.onboard(name, "general").await;
    }
    let admin = test.admin().await;
    let user: String = admin
        .query_one("select current_user::text", &[])
        .await
        .unwrap()
        .get(0);
    let prefix: String = admin
        .query_one("select role_prefix from helixai.shard", &[])
        .await
        .unwrap()
        .get(0);
    let registry = format!("{prefix}_master");
    let migrator = newer(&test, &[]).await;
    // The first time the statement is prepared.
    migrate(&migrator).await;
    test.proxy().take(&user);
    test.proxy().take(&registry);
    let outcome = migrate(&migrator).await;
    assert_eq!((outcome.migrated, outcome.up_to_date), (0, 0));
    let asked = test.proxy().take(&registry);
    assert_eq!(asked.executed, 1, "{asked:?}");
    let administered = test.proxy().take(&user);
    assert_eq!(administered.connections, 0, "{administered:?}");
}

#[tokio::test]
async fn who_is_worked_on_is_left_alone_and_who_comes_later_is_found_by_repeating() {
    let test = TestPlatform::start().await;
    for name in ["garage", "imob", "shop"] {
        test.onboard(name, "general").await;
    }
    let admin = test.admin().await;
    let restore =
        "insert into master.tenant_restores (id, tenant_id, mode, outcome, lease_expires_at, created_at)
                   select id, id, 'over', '{}', now(), now() from master.tenants where tenant_key = 'garage'";
    admin.batch_execute(restore).await.unwrap();
    admin
        .batch_execute("update master.tenants set status = 'deleting' where tenant_key = 'imob'")
        .await
        .unwrap();
    let migrator = newer(&test, &[more(CORE, COLUMN)]).await;
    assert_eq!(migrate(&migrator).await.migrated, 1);
    for name in ["garage", "imob"] {
        assert_eq!(reached(&admin, name).await, next(CORE) - 1, "{name}");
    }
    let over = "delete from master.tenant_restores;
                update master.tenants set status = 'active' where tenant_key = 'imob'";
    admin.batch_execute(over).await.unwrap();
    // By an older program.
    test.onboard("late", "cars").await;
    assert_eq!(migrate(&migrator).await.migrated, 3);
    mirrored(&admin).await;
    assert_eq!(migrate(&migrator).await.migrated, 0);
}

/// What a run finds done that another has done since it began, it does not tell again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runs_at_once_write_one_line_for_each_tenant() {
    let test = TestPlatform::start().await;
    for number in 0..6 {
        test.onboard(&format!("garage-{number}"), "cars").await;
    }
    let persistent = async || Migrator {
        patience: Patience {
            rounds: 20,
            pause: Duration::from_millis(20),
            lock: Duration::from_millis(50),
        },
        ..newer(&test, &[more(CORE, COLUMN)]).await
    };
    let (one, other) = (persistent().await, persistent().await);
    let (first, second) = tokio::join!(migrate(&one), migrate(&other));
    assert_eq!(first.migrated + second.migrated, 6, "{first:?} {second:?}");
    let admin = test.admin().await;
    let lines = "select count(*) from master.audit_log where action = 'tenant.migrate'";
    assert_eq!(number(&admin, lines).await, 6, "{first:?} {second:?}");
    mirrored(&admin).await;
}

#[tokio::test]
async fn the_schemas_own_history_is_the_truth() {
    let test = TestPlatform::start().await;
    test.onboard("garage", "cars").await;
    test.onboard("imob", "real_estate").await;
    let admin = test.admin().await;
    let migrator = newer(&test, &[more(CORE, COLUMN)]).await;
    assert_eq!(migrate(&migrator).await.migrated, 2);
    // The registry has forgotten one, and of the other it believes what is not so: an older copy came back.
    admin
        .batch_execute(&format!(
            "update master.tenant_migrations set version = version - 1
             where ledger = 'core' and tenant_id = (select id from master.tenants where tenant_key = 'garage');
             alter table tenant_imob.leads drop column budget_cents;
             delete from tenant_imob.schema_history_core where version = {}",
            next(CORE)
        ))
        .await
        .unwrap();
    let outcome = migrate(&migrator).await;
    assert_eq!((outcome.migrated, outcome.up_to_date), (0, 1), "{outcome:?}");
    let mut all = order(0);
    all.all = true;
    let outcome = try_migrate(&migrator, &all).await.unwrap();
    assert_eq!((outcome.migrated, outcome.up_to_date), (1, 1), "{outcome:?}");
    mirrored(&admin).await;
    assert_eq!(reached(&admin, "imob").await, next(CORE));
    // A schema that a newer program has migrated is nobody's mistake.
    let older = newer(&test, &[]).await;
    assert_eq!(migrate(&older).await.failed.len(), 0);
}

#[test]
fn a_folder_says_what_it_serves_or_asks_for_its_newest() {
    use helixai::domain::tenant::Niche;

    let cars = Niche::parse("cars").unwrap();
    let (core, own) = (next(CORE), next("cars"));
    let has = |core, cars| [(CORE.to_owned(), core), ("cars".to_owned(), cars)];
    let strict = template(&[more(CORE, COLUMN)]);
    assert!(strict.is_too_old(&cars, &has(core - 1, own - 1)));
    assert!(!strict.is_too_old(&cars, &has(core, own - 1)));
    assert!(!strict.is_too_old(&cars, &has(core + 1, own)));
    assert!(
        strict.is_too_old(&cars, &has(core, own - 1)[..1]),
        "no ledger of the niche"
    );

    let minimum = ("core/core.toml".to_owned(), format!("minimum = {}", core - 1));
    let lenient = template(&[more(CORE, COLUMN), minimum]);
    assert!(!lenient.is_too_old(&cars, &has(core - 1, own - 1)));
    assert!(lenient.is_behind(&cars, &has(core - 1, own - 1)));
    assert!(lenient.is_too_old(&cars, &has(core - 2, own - 1)));
}
