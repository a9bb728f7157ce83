//! Databases besides the registry's own: every process learns of them, and `migrate` keeps their logins.

use std::time::Duration;

use helixai::db::connect::Connector;
use helixai::db::shard::lanes::LoginTimeouts;
use helixai::db::shard::setup::set_up;
use helixai::domain::ids::ShardId;
use helixai::domain::random;
use helixai::platform::Platform;
use secrecy::SecretString;

use crate::helpers::{TestApp, TestDb, TestPlatform};

/// Another database of the same server, registered as a shard. The registry's own takes no more tenants.
struct Remote {
    id: ShardId,
    db: TestDb,
    connector: Connector,
}

impl Remote {
    async fn add(test: &TestPlatform) -> Self {
        let (db, id) = (TestDb::create().await, ShardId::new());
        let url = SecretString::from(db.url());
        let key = test.platform.key.clone();
        let connector = Connector::new(&url, Duration::from_secs(5), &[], key).expect("an address");
        let timeouts = LoginTimeouts {
            lock: Duration::from_secs(5),
            idle_in_transaction: Duration::from_secs(30),
        };
        let prefix = format!("hx{}", random::letters(6, b"abcdefghijklmnopqrstuvwxyz"));
        let roles = set_up(&connector, false, &prefix, timeouts)
            .await
            .expect("set up");
        let remote = Self { id, db, connector };
        let sealed = remote.sealed(test, &remote.db.url());
        let admin = test.admin().await;
        admin
            .execute("update master.shards set status = 'closed'", &[])
            .await
            .expect("closed");
        admin
            .execute(
                "insert into master.shards (id, name, kind, database_url_sealed, role_prefix, status, max_tenants,
                                            created_at, updated_at)
                 values ($1, 'far-away', 'remote', $2, $3, 'open', 250, now(), now())",
                &[&id.as_uuid(), &sealed, &roles.prefix],
            )
            .await
            .expect("registered");
        remote
    }

    fn sealed(&self, test: &TestPlatform, url: &str) -> Vec<u8> {
        test.platform
            .key
            .seal(&format!("shard:{}", self.id), url.as_bytes())
    }

    /// Says that the shard is at another address now.
    async fn moved_to(&self, test: &TestPlatform, url: &str) {
        let update = "update master.shards set database_url_sealed = $2, epoch = epoch + 1 where id = $1";
        let sealed = self.sealed(test, url);
        let admin = test.admin().await;
        admin
            .execute(update, &[&self.id.as_uuid(), &sealed])
            .await
            .expect("moved");
    }
}

#[tokio::test]
async fn a_process_learns_of_a_shard_that_another_one_has_added() {
    let app = TestApp::start().await;
    let second = app.second_process().await;
    let remote = Remote::add(&app.test).await;
    let garage = app.onboard("garage-far", "cars").await;
    for address in [app.address, second] {
        let call = app.get("/api/leads").by(&garage).at(address);
        call.await.expect(200);
    }
    let schemas = "select count(*) from pg_namespace where nspname = 'tenant_garage_far'";
    let there = remote.connector.administrator().await.expect("a connection");
    assert_eq!(there.query_one(schemas, &[]).await.unwrap().get::<_, i64>(0), 1);
    let here = app.test.admin().await;
    assert_eq!(here.query_one(schemas, &[]).await.unwrap().get::<_, i64>(0), 0);
    // Suspension reaches it as well, whichever process is asked.
    for (step, status) in [("suspend", 403), ("activate", 200)] {
        let path = format!("/api/admin/tenants/garage-far/{step}");
        let call = app.post(&path).at(second).bearer(&app.admin.token);
        call.await.expect(200);
        // The database refuses at once; that a tenant is served again, the other process hears.
        if step == "suspend" {
            app.get("/api/leads").by(&garage).await.expect(403);
        }
        app.until("the change is known", || {
            let call = app.get("/api/leads").by(&garage);
            async move { call.await.status == status }
        })
        .await;
    }

    // A shard that moves is followed, without a restart.
    let nowhere = remote.db.url().replace(remote.db.name(), "helixai_test_nowhere");
    for (url, status) in [(nowhere, 503), (remote.db.url(), 200)] {
        remote.moved_to(&app.test, &url).await;
        for address in [app.address, second] {
            let call = app.get("/api/leads").by(&garage).at(address);
            app.until("the shard's address is followed", || {
                let call = call.clone();
                async move { call.await.status == status }
            })
            .await;
        }
    }
}

#[tokio::test]
async fn migrate_gives_a_remote_shard_s_logins_what_they_must_have() {
    let test = TestPlatform::start().await;
    let remote = Remote::add(&test).await;
    let garage = test.onboard("garage-far", "cars").await;
    let login = test.resolved(&garage).await.home.lane.login.clone();
    let admin = remote.connector.administrator().await.expect("a connection");
    let spoil = format!(
        "alter role {login} password 'another'; alter role {login} reset lock_timeout;
         grant execute on function pg_sleep(double precision) to public"
    );
    admin.batch_execute(&spoil).await.expect("spoilt");
    assert!(remote.connector.single(&login).await.is_err());
    Platform::migrate(&test.settings, &test.clock)
        .await
        .expect("migrated");
    let client = remote.connector.single(&login).await.expect("it may log in");
    let timeout: String = client.query_one("show lock_timeout", &[]).await.unwrap().get(0);
    assert_ne!(timeout, "0");
    assert!(
        client.batch_execute("select pg_sleep(0)").await.is_err(),
        "revoked again"
    );
    // One that cannot be reached is told of; the registry's own database is up to date all the same.
    remote
        .moved_to(
            &test,
            &remote.db.url().replace(remote.db.name(), "helixai_test_nowhere"),
        )
        .await;
    assert!(Platform::migrate(&test.settings, &test.clock).await.is_err());
}
