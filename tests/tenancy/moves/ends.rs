//! What stands in the way of a move or of its end: others who are still at work, a shard that does not know the tenant, a lane
//! that is gone, a machine that has vanished.

use std::net::TcpListener;
use std::time::Duration;

use helixai::cli::private_postgres::{Options, PrivatePostgres};
use helixai::db::connect::Connector;
use helixai::db::master::moves::list_unended;
use helixai::db::shard::moving::replication::{following, publish, stop, subscribe, unpublish, unsubscribe};
use helixai::db::shard::moving::{Wait, hold_tenant, name_of};
use helixai::db::shard::removal::fence;
use helixai::domain::ids::TenantId;
use helixai::tenancy::moving::MoveError;
use uuid::Uuid;

use super::{Other, admin_of, home_of, local, move_to, sound};
use crate::helpers::{TestPlatform, tenant_db_of, through};
use crate::tenancy::snapshots::number;

/// Asks until it is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..1000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_is_at_work_on_the_other_shard_is_not_met() {
    let test = TestPlatform::start().await;
    let other = Other::add(&test.platform).await;
    let garage = test.onboard("garage", "cars").await;
    let busy = admin_of(&test.platform, other.name).await;
    hold_tenant(&busy, garage.id, Wait::Briefly).await.expect("free");
    let late = admin_of(&test.platform, other.name).await;
    let refused = hold_tenant(&late, garage.id, Wait::Never).await;
    assert!(refused.is_err_and(|error| error.is_transient()));
    let refused = move_to(&test.platform, "garage", other.name).await;
    assert!(matches!(refused, Err(MoveError::Busy)), "{refused:?}");
    drop(busy);
    move_to(&test.platform, "garage", other.name)
        .await
        .expect("it moves");
    sound(&test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tenant_that_its_shard_does_not_know_stays() {
    let test = TestPlatform::start().await;
    let platform = &test.platform;
    let other = Other::add(platform).await;
    let garage = test.onboard("garage", "cars").await;
    let mut admin = test.admin().await;
    let home = test.resolved(&garage).await.home.clone();
    let id = garage.id.as_uuid();
    admin
        .execute("delete from helixai.tenant_roles where tenant_id = $1", &[&id])
        .await
        .unwrap();
    let refused = move_to(platform, "garage", other.name).await.unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("is not noted in helixai.tenant_roles"),
        "{refused}"
    );
    // Also when it is lost on the way.
    let unfenced = fence(&mut admin, garage.id, &home.role, &home.lane.login).await;
    assert!(unfenced.is_err());
    admin
        .execute(
            "insert into helixai.tenant_roles (role_name, tenant_id) values ($1, $2)",
            &[&home.role, &id],
        )
        .await
        .unwrap();
    move_to(platform, "garage", other.name).await.expect("it moves");
    sound(&test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_the_registry_has_decided_is_what_is_said() {
    let test = TestPlatform::start().await;
    let platform = &test.platform;
    let other = Other::add(platform).await;
    test.onboard("garage", "cars").await;
    for shard in [other.name, "local"] {
        move_to(platform, "garage", shard).await.expect("it moves");
    }
    let there = admin_of(platform, other.name).await;
    let login =
        "select l.login from master.lanes l join master.shards s on s.id = l.shard_id where s.name = 'other'";
    let login: String = test.admin().await.query_one(login, &[]).await.unwrap().get(0);
    let rename = async |from: &str, to: &str| {
        let command = format!("alter role {from} rename to {to}");
        there.batch_execute(&command).await.expect("renamed");
    };
    // Nobody can be let in over there.
    rename(&login, &format!("{login}_away")).await;
    let moved = move_to(platform, "garage", other.name).await;
    assert!(matches!(moved, Err(MoveError::NotServed(_))), "{moved:?}");
    assert_eq!(home_of(platform, "garage").await.0, "other");
    rename(&format!("{login}_away"), &login).await;
    until("it is settled", async || {
        platform.mover.settle_abandoned().await.expect("searched") == 1
    })
    .await;
    let db = tenant_db_of(platform, "garage").await;
    db.run(&test.system(), ()).await.expect("it is served");
    sound(&test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tenants_that_may_stand_still_come_first() {
    let test = TestPlatform::start().await;
    let platform = &test.platform;
    let other = Other::add(platform).await;
    for key in ["garage", "sales", "rentals"] {
        test.onboard(key, "cars").await;
    }
    for shard in [other.name, "local"] {
        move_to(platform, "garage", shard).await.expect("it moves");
    }
    let admin = test.admin().await;
    let mut moves = Vec::new();
    for (key, phase) in [
        ("garage", "copying"),
        ("sales", "fencing"),
        ("rentals", "undoing"),
    ] {
        let moving = "insert into master.tenant_moves (id, tenant_id, phase, from_shard, from_lane, from_role, to_shard, to_lane,
                                                       to_role, created_at, updated_at)
                      select $1, t.id, $2, t.shard_id, t.lane, t.role_name, l.shard_id, l.number, 'x', now(), now()
                      from master.tenants t, master.lanes l where t.tenant_key = $3 and l.shard_id <> t.shard_id";
        let id = Uuid::now_v7();
        assert_eq!(admin.execute(moving, &[&id, &phase, &key]).await.unwrap(), 1);
        moves.push(id);
    }
    let listed = list_unended(&platform.master).await.expect("listed");
    let listed: Vec<Uuid> = listed.into_iter().map(|(id, _)| id).collect();
    assert_eq!(listed, [moves[1], moves[2], moves[0]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whether_the_other_side_is_connected_is_seen_from_this_one() {
    let test = TestPlatform::start().await;
    let other = Other::add(&test.platform).await;
    let (here, there) = (test.admin().await, admin_of(&test.platform, other.name).await);
    for side in [&here, &there] {
        side.batch_execute("create schema followed; create table followed.things (id int primary key)")
            .await
            .unwrap();
    }
    let name = name_of(Uuid::now_v7());
    let address = test
        .platform
        .shards
        .connector(local(&test.platform).await)
        .await
        .unwrap();
    publish(&here, &name, "followed").await.expect("published");
    assert!(!following(&here, &name).await.unwrap().is_connected);
    subscribe(&there, &name, &address.subscription_address())
        .await
        .expect("subscribed");
    // What is told to this connection for that one statement is so no longer.
    let logged: String = there
        .query_one("show log_min_error_statement", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(logged, "error");
    until("it is connected", async || {
        following(&here, &name).await.unwrap().is_connected
    })
    .await;
    let number = stop(&there, &name).await.expect("stopped");
    until("it is not", async || {
        !following(&here, &name).await.unwrap().is_connected
    })
    .await;
    unpublish(&here, &name, number).await.expect("unpublished");
    unsubscribe(&there, &name).await.expect("unsubscribed");
}

/// A machine that vanishes says nothing: only the server's own questions find out.
#[tokio::test]
async fn a_holder_is_asked_whether_it_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        free.local_addr().expect("a port").port()
    };
    let server = PrivatePostgres::start(Options {
        max_connections: 20,
        durable: false,
        settings: vec![
            ("listen_addresses".to_owned(), "127.0.0.1".to_owned()),
            ("port".to_owned(), port.to_string()),
        ],
        ..Options::new(folder.path())
    })
    .await
    .expect("a server on the network");
    let test = TestPlatform::start().await;
    let url = through(server.admin_url(), port);
    let connector = Connector::new(
        &url.into(),
        Duration::from_secs(5),
        &[],
        test.platform.key.clone(),
    );
    let admin = connector
        .expect("an address")
        .administrator()
        .await
        .expect("connected");
    hold_tenant(&admin, TenantId::new(), Wait::Briefly)
        .await
        .expect("held");
    let asked = "select setting::int8 from pg_settings where name = ";
    for (setting, value) in [
        ("tcp_keepalives_idle", 5),
        ("tcp_keepalives_interval", 2),
        ("tcp_keepalives_count", 3),
        ("tcp_user_timeout", 11_000),
        ("client_connection_check_interval", 1000),
    ] {
        assert_eq!(
            number(&admin, &format!("{asked}'{setting}'")).await,
            value,
            "{setting}"
        );
    }
    drop(admin);
    server.remove().await.expect("the server is removed");
}
