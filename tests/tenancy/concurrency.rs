//! Onboardings that come at the same moment.

use std::collections::HashSet;

use futures_util::future::join_all;
use helixai::db::master::audit::MasterActor;
use helixai::tenancy::provision::{IdempotencyKey, OnboardError};

use crate::helpers::{TestPlatform, onboarding};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_twenty_requests_for_one_key_one_gets_it() {
    let test = TestPlatform::start().await;
    let requests = (0..20).map(|number| {
        let provisioner = test.platform.provisioner.clone();
        let key = if number % 2 == 0 {
            "garage-alpha"
        } else {
            "garage_alpha"
        };
        tokio::spawn(async move {
            provisioner
                .onboard(onboarding(key, "cars"), None, MasterActor::Cli, None)
                .await
        })
    });
    let mut made = 0;
    for answer in join_all(requests).await {
        match answer.unwrap() {
            Ok(_) => made += 1,
            Err(OnboardError::KeyTaken) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(made, 1);
    let row = test
        .admin()
        .await
        .query_one(
            "select (select sum(tenants_count) from master.lanes), (select count(*) from helixai.tenant_roles),
                    (select count(*) from pg_namespace where nspname ~ '^tenant_')",
            &[],
        )
        .await
        .unwrap();
    assert_eq!([row.get::<_, i64>(0), row.get(1), row.get(2)], [1, 1, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_ten_repeats_at_once_all_mean_one_tenant() {
    let test = TestPlatform::start().await;
    let requests = (0..10).map(|_| {
        let provisioner = test.platform.provisioner.clone();
        tokio::spawn(async move {
            let repeat = IdempotencyKey {
                caller: "ana".to_owned(),
                key: "k1".to_owned(),
                request_hash: [7; 32],
            };
            provisioner
                .onboard(
                    onboarding("garage-alpha", "cars"),
                    Some(repeat),
                    MasterActor::Cli,
                    None,
                )
                .await
        })
    });
    let mut keys = HashSet::new();
    for answer in join_all(requests).await {
        match answer.unwrap() {
            Ok(tenant) => drop(keys.insert(tenant.api_key)),
            // The first is still at work: to be asked again.
            Err(OnboardError::InProgress) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(keys.len(), 1, "one tenant, one answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn full_lanes_are_followed_by_new_ones() {
    let test = TestPlatform::builder().lane_capacity(2).start().await;
    let requests = (0..7).map(|number| {
        let provisioner = test.platform.provisioner.clone();
        let request = onboarding(&format!("garage-{number}"), "general");
        tokio::spawn(async move { provisioner.onboard(request, None, MasterActor::Cli, None).await })
    });
    for answer in join_all(requests).await {
        answer.unwrap().unwrap();
    }
    let admin = test.admin().await;
    let lanes: Vec<(i32, i32)> = admin
        .query(
            "select number, tenants_count from master.lanes order by number",
            &[],
        )
        .await
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    assert_eq!(
        lanes.iter().map(|(number, _)| *number).collect::<Vec<_>>(),
        [1, 2, 3, 4]
    );
    assert_eq!(lanes.iter().map(|(_, tenants)| tenants).sum::<i32>(), 7);
    let wrong: i64 = admin
        .query_one(
            "select count(*) from master.lanes l
             where l.tenants_count <> (select count(*) from master.tenants t where t.lane = l.number)
                or l.tenants_count <> (select count(*) from pg_auth_members m where m.member = l.login::regrole)",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(wrong, 0, "a lane's count, its tenants and its memberships agree");
}

#[tokio::test]
async fn a_full_shard_takes_nobody() {
    let test = TestPlatform::builder().lane_capacity(2).start().await;
    let admin = test.admin().await;
    admin
        .batch_execute("update master.shards set max_tenants = 3")
        .await
        .unwrap();
    let ask = |key| {
        test.platform
            .provisioner
            .onboard(onboarding(key, "general"), None, MasterActor::Cli, None)
    };
    for key in ["garage-1", "garage-2"] {
        ask(key).await.unwrap();
    }
    // One more tenant would fit, one more lane of two would not.
    let refused = ask("garage-3").await;
    assert!(
        matches!(refused, Err(OnboardError::NoRoom)),
        "{:?}",
        refused.err()
    );
    assert_eq!(
        admin
            .query_one("select count(*) from master.tenants", &[])
            .await
            .unwrap()
            .get::<_, i64>(0),
        2
    );
}
