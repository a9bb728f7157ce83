//! A statement that fails, a commit that fails, a scope that is dropped: nothing is written, nothing is left open.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use helixai::db::DbError;
use tokio_postgres::Client;
use uuid::Uuid;

use super::queries::{backend, count_contacts, divide_by_zero, insert_contact, two_photos_in_one_place};
use crate::helpers::TestPlatform;

#[tokio::test]
async fn a_failing_statement_takes_the_whole_batch_with_it() {
    let test = TestPlatform::builder().lane_pool(1).start().await;
    let alpha = test.onboard("alpha", "cars").await;
    let db = test.tenant_db(&alpha).await;
    let pid = db.run(&test.system(), backend()).await.unwrap().output;
    let ana = || insert_contact(Uuid::now_v7(), "Ana");
    for round in 0..3 {
        for failed in [
            db.run(&test.system(), (ana(), divide_by_zero())).await.err(),
            db.run(&test.system(), (divide_by_zero(), ana())).await.err(),
        ] {
            assert!(
                matches!(&failed, Some(DbError::Other { code, .. }) if code == "22012"),
                "{failed:?}"
            );
        }
        let id = Uuid::now_v7();
        let twice = db
            .run(
                &test.system(),
                (insert_contact(id, "Ana"), insert_contact(id, "Ana")),
            )
            .await;
        assert!(
            twice.err().unwrap().is_constraint("contacts_pkey"),
            "round {round}"
        );
    }
    assert_eq!(db.run(&test.system(), count_contacts()).await.unwrap().output, 0);
    assert_eq!(
        db.run(&test.system(), backend()).await.unwrap().output,
        pid,
        "the connection is kept"
    );
}

#[tokio::test]
async fn a_failed_transaction_cannot_be_committed() {
    let test = TestPlatform::builder().lane_pool(1).start().await;
    let alpha = test.onboard("alpha", "cars").await;
    let db = test.tenant_db(&alpha).await;
    let ana = || insert_contact(Uuid::now_v7(), "Ana");
    let pid = db.run(&test.system(), backend()).await.unwrap().output;

    let (mut tx, _) = db.begin(&test.system(), ana()).await.unwrap();
    tx.run(divide_by_zero()).await.unwrap_err();
    tx.commit(())
        .await
        .expect_err("the server's answer to this commit is a success");

    let (mut tx, _) = db.begin(&test.system(), ana()).await.unwrap();
    tx.run(divide_by_zero()).await.unwrap_err();
    tx.commit(ana()).await.unwrap_err();

    let (tx, _) = db.begin(&test.system(), ana()).await.unwrap();
    tx.commit(divide_by_zero()).await.unwrap_err();

    let (mut tx, _) = db.begin(&test.system(), ana()).await.unwrap();
    tx.run(divide_by_zero()).await.unwrap_err();
    tx.rollback().await.unwrap();

    assert_eq!(db.run(&test.system(), count_contacts()).await.unwrap().output, 0);
    assert_eq!(
        db.run(&test.system(), backend()).await.unwrap().output,
        pid,
        "the connection is kept"
    );
}

#[tokio::test]
async fn a_commit_that_the_server_refuses_is_an_error() {
    let test = TestPlatform::builder().lane_pool(1).start().await;
    let alpha = test.onboard("alpha", "cars").await;
    let db = test.tenant_db(&alpha).await;
    let pid = db.run(&test.system(), backend()).await.unwrap().output;
    for _ in 0..3 {
        let refused = db
            .run(&test.system(), two_photos_in_one_place())
            .await
            .err()
            .unwrap();
        assert!(
            refused.is_constraint("vehicle_photos_vehicle_id_position_key"),
            "{refused}"
        );
        let (tx, _) = db.begin(&test.system(), two_photos_in_one_place()).await.unwrap();
        let refused = tx.commit(()).await.err().unwrap();
        assert!(
            refused.is_constraint("vehicle_photos_vehicle_id_position_key"),
            "{refused}"
        );
    }
    assert_eq!(
        db.run(&test.system(), backend()).await.unwrap().output,
        pid,
        "the connection is kept"
    );
}

/// Connections of lanes that are inside a transaction, or that run something.
async fn busy(admin: &Client) -> i64 {
    let query = "select count(*) from pg_stat_activity
                 where datname = current_database() and usename like '%\\_lane\\_%' and state <> 'idle'";
    admin.query_one(query, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_dropped_transaction_is_rolled_back_at_once() {
    let test = TestPlatform::builder().lane_pool(2).start().await;
    let alpha = test.onboard("alpha", "cars").await;
    let db = test.tenant_db(&alpha).await;
    let admin = test.admin().await;
    let (tx, _) = db
        .begin(&test.system(), insert_contact(Uuid::now_v7(), "Ana"))
        .await
        .unwrap();
    assert_eq!(busy(&admin).await, 1);
    drop(tx);
    // Nobody asks the pool for a connection meanwhile: it must not take the next request to notice.
    for _ in 0..200 {
        if busy(&admin).await == 0 {
            assert_eq!(db.run(&test.system(), count_contacts()).await.unwrap().output, 0);
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the transaction stays open");
}

#[tokio::test]
async fn a_request_that_is_given_up_while_a_statement_runs_frees_its_tenant() {
    let test = TestPlatform::builder().lane_pool(1).start().await;
    let alpha = test.onboard("alpha", "cars").await;
    let db = test.tenant_db(&alpha).await;
    let admin = test.admin().await;
    admin
        .batch_execute("begin; lock table tenant_alpha.contacts in access exclusive mode")
        .await
        .unwrap();
    {
        let access = test.system();
        let mut waiting = pin!(db.run(&access, insert_contact(Uuid::now_v7(), "Ana")));
        tokio::time::timeout(Duration::from_millis(300), &mut waiting)
            .await
            .expect_err("it waits");
    }
    admin.batch_execute("commit").await.unwrap();
    // It may have happened or not, but it is over, and the pool of one serves again.
    let seen = db.run(&test.system(), count_contacts()).await.unwrap().output;
    assert!(seen <= 1);
}

/// Polls a future at most so often, then drops it.
pub async fn give_up_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}
