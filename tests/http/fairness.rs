//! One tenant's haste is not its neighbour's wait.

use crate::helpers::{Call, TestApp};

#[tokio::test]
async fn a_tenant_in_haste_is_slowed_down_and_nobody_else() {
    let app = TestApp::builder()
        .set("rate_limit.per_tenant_per_second", 1)
        .set("rate_limit.burst", 5)
        .start()
        .await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let sales = app.onboard("sales-beta", "cars").await;
    let mut served = 0;
    let refused = loop {
        let answer = app.get("/api/leads").by(&garage).await;
        if answer.status != 200 {
            break answer;
        }
        served += 1;
        assert!(served < 1000, "nobody is slowed down");
    };
    refused.problem(429, "too_many_requests");
    assert!(served >= 5, "{served}");
    assert!(refused.header("retry-after").is_some());
    app.get("/api/leads").by(&sales).await.expect(200);
    app.get("/api/admin/tenants")
        .bearer(&app.admin.token)
        .await
        .expect(200);
    app.get("/healthz").of(&garage).await.expect(200);
}

/// Requests that hang take up their tenant's share of the process, and nobody else's.
#[tokio::test]
async fn a_tenant_that_hangs_waits_for_itself() {
    let app = TestApp::builder()
        .set("tenancy.tenant_requests", 2)
        .set("database.wait_timeout_secs", 3)
        .set("database.lock_timeout_ms", 10_000)
        .start()
        .await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let sales = app.onboard("sales-beta", "cars").await;
    app.get("/api/leads").by(&garage).await.expect(200);
    let mut admin = app.test.admin().await;
    let lock = admin.transaction().await.expect("a transaction");
    let table = format!("lock table {}.leads in access exclusive mode", garage.schema);
    lock.batch_execute(&table).await.expect("locked");
    let hang = || async { app.get("/api/leads").by(&garage).await };
    let watching = app.test.admin().await;
    let refused = async {
        app.until("both hang", || async {
            let waiting = "select count(*) from pg_locks l join pg_database d on d.oid = l.database
                           where not l.granted and d.datname = current_database()";
            watching
                .query_one(waiting, &[])
                .await
                .expect("read")
                .get::<_, i64>(0)
                == 2
        })
        .await;
        let refused = app.get("/api/contacts").by(&garage).await;
        refused.problem(429, "too_many_at_once");
        assert!(refused.header("retry-after").is_some());
        app.get("/api/leads").by(&sales).await.expect(200);
        // A stranger, who is not known to be anybody, is served as well.
        app.get("/veiculos").of(&garage).await.expect(200);
        lock.rollback().await.expect("unlocked");
    };
    let (first, second, ()) = futures_util::join!(hang(), hang(), refused);
    first.expect(200);
    second.expect(200);
    app.get("/api/leads").by(&garage).await.expect(200);
}

#[tokio::test]
async fn strangers_do_not_use_up_a_tenants_share() {
    let app = TestApp::builder()
        .set("rate_limit.per_tenant_per_second", 1)
        .set("rate_limit.burst", 5)
        .set("server.trusted_proxies", "127.0.0.1")
        .start()
        .await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let from = |call: Call, host: u8| call.header("x-forwarded-for", &format!("198.51.100.{host}"));
    let owner = || from(app.get("/api/leads").by(&garage), 1);
    owner().await.expect(200);
    let nonsense = format!("hxs_{}", "A".repeat(43));
    let strange = [
        from(app.get("/api/leads").of(&garage), 2),
        from(app.get("/api/leads").of(&garage).bearer(&nonsense), 3),
        from(app.get("/veiculos").of(&garage), 4),
        // Also from where the owner is.
        from(app.get("/api/leads").of(&garage).bearer(&nonsense), 1),
    ];
    for call in strange {
        let mut answers = 0;
        while call.clone().await.status != 429 {
            answers += 1;
            assert!(answers < 1000, "nobody is slowed down");
        }
    }
    owner().await.expect(200);
    from(app.get("/veiculos").of(&garage), 5).await.expect(200);
}

/// Connections are what all requests of a tenant need: strangers leave one of them to those who are known.
#[tokio::test]
async fn strangers_do_not_use_up_a_tenants_connections() {
    let app = TestApp::builder()
        .set("tenancy.lane_pool", 3)
        .set("database.wait_timeout_secs", 3)
        .set("database.lock_timeout_ms", 10_000)
        .start()
        .await;
    let garage = app.onboard("garage-alpha", "cars").await;
    app.get("/api/leads").by(&garage).await.expect(200);
    let mut admin = app.test.admin().await;
    let lock = admin.transaction().await.expect("a transaction");
    let table = format!("lock table {}.vehicles in access exclusive mode", garage.schema);
    lock.batch_execute(&table).await.expect("locked");
    let strange = || async { app.get("/veiculos").of(&garage).await };
    let watching = app.test.admin().await;
    let served = async {
        app.until("a stranger hangs", || async {
            let waiting = "select count(*) from pg_locks l join pg_database d on d.oid = l.database
                           where not l.granted and d.datname = current_database()";
            watching
                .query_one(waiting, &[])
                .await
                .expect("read")
                .get::<_, i64>(0)
                > 0
        })
        .await;
        // More of them come and go away again; each time one is left.
        let more = futures_util::future::join_all((0..4).map(|_| strange())).await;
        assert!(more.iter().all(|answer| answer.status == 503), "{more:?}");
        app.get("/api/leads").by(&garage).await.expect(200);
        lock.rollback().await.expect("unlocked");
    };
    let (first, ()) = futures_util::join!(strange(), served);
    first.expect(200);
}
