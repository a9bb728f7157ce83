//! Migrating tenants: nobody is forgotten, one that fails keeps nobody else from it, and what is half-done is found.

mod drift;
mod fails;
#[cfg(feature = "kill_points")]
mod killed;
mod run;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use helixai::db::shard::template::Template;
use helixai::domain::tenant_key::TenantKey;
use helixai::platform::Platform;
use helixai::tenancy::migrator::{MigrateError, Migrator, Order, Outcome, Patience};
use tokio_postgres::Client;

use crate::helpers::{TestPlatform, cli_origin};

/// The number of the next migration of a ledger.
pub fn next(ledger: &str) -> i32 {
    let template = Template::embedded().expect("a template");
    template.part(ledger).expect("a ledger").version() + 1
}

/// One more migration of a ledger, as a path and a text.
pub fn more(ledger: &str, sql: &str) -> (String, String) {
    (format!("{ledger}/V{}__more.sql", next(ledger)), sql.to_owned())
}

/// The program's template with these files added.
pub fn template(more: &[(String, String)]) -> &'static Template {
    let mut files: BTreeMap<String, String> = Template::embedded_files().expect("texts");
    files.extend(more.iter().cloned());
    Box::leak(Box::new(Template::from_files(files).expect("a template")))
}

/// A newer program, as far as migrations are concerned.
pub async fn newer(test: &TestPlatform, more: &[(String, String)]) -> Migrator {
    let migrator = Platform::migrator(&test.settings, test.clock.clone(), 4)
        .await
        .expect("the platform is set up");
    Migrator {
        template: template(more),
        patience: Patience {
            lock: Duration::from_millis(50),
            rounds: 2,
            pause: Duration::from_millis(1),
        },
        ..migrator
    }
}

/// Four at a time, without canaries.
pub fn order(max_failures: usize) -> Order {
    Order {
        canaries: Vec::new(),
        jobs: NonZeroUsize::new(4).expect("four"),
        max_failures,
        all: false,
    }
}

pub async fn try_migrate(migrator: &Migrator, order: &Order) -> Result<Outcome, MigrateError> {
    let nobody = Arc::new(|_: &str, _, _| {}) as _;
    migrator.run(order, cli_origin(), &nobody).await
}

pub async fn migrate(migrator: &Migrator) -> Outcome {
    try_migrate(migrator, &order(10))
        .await
        .expect("the registry answers")
}

pub fn key(text: &str) -> TenantKey {
    TenantKey::parse(text).expect("a key")
}

/// The keys of the tenants in trouble, in order.
pub fn keys(troubles: &[helixai::tenancy::migrator::Trouble]) -> Vec<&str> {
    let mut keys: Vec<&str> = troubles
        .iter()
        .map(|trouble| trouble.tenant_key.as_str())
        .collect();
    keys.sort_unstable();
    keys
}

/// What the tenant's own history of core says.
pub async fn reached(admin: &Client, key: &str) -> i32 {
    let schema = key.replace('-', "_");
    let sql = format!("select max(version) from tenant_{schema}.schema_history_core");
    admin.query_one(&sql, &[]).await.expect("a history").get(0)
}

/// Registry and schemas must say the same of every tenant.
pub async fn mirrored(admin: &Client) {
    let rows = admin
        .query(
            "select t.schema_name, m.ledger, m.version from master.tenants t
             join master.tenant_migrations m on m.tenant_id = t.id order by 1, 2",
            &[],
        )
        .await
        .expect("the registry");
    assert!(!rows.is_empty());
    for row in rows {
        let (schema, ledger, noted): (String, String, i32) = (row.get(0), row.get(1), row.get(2));
        let sql = format!("select max(version) from {schema}.schema_history_{ledger}");
        let real: i32 = admin.query_one(&sql, &[]).await.expect("a history").get(0);
        assert_eq!(noted, real, "{schema} {ledger}");
    }
}

pub async fn number(admin: &Client, sql: &str) -> i64 {
    admin
        .query_one(sql, &[])
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"))
        .get(0)
}

/// A lead of this name in a tenant's schema.
pub async fn lead(admin: &Client, schema: &str, name: &str) {
    let sql = format!(
        "insert into {schema}.leads (id, name, stage, version, created_at, updated_at)
         select '{}', $1, code, 1, now(), now() from {schema}.lead_stages limit 1",
        uuid::Uuid::now_v7()
    );
    admin.execute(&sql, &[&name]).await.expect("a lead");
}
