//! The sweep of the day, over more charges than one page has.

use chrono::TimeDelta;

use super::till::Till;

const MANY: &str = "insert into master.charges (id, account_id, tenant_id, payee, subject_id, method, attempt, amount_cents, currency,
        status, expires_at, placed_at, gateway_payment_id, paid_cents, settled_at, applied_at, created_at, updated_at)
    select gen_random_uuid(), $1, gen_random_uuid(), 'platform', gen_random_uuid(), 'pix', 1, 100, 'BRL', 'paid', $2, $2,
        'many-' || n, 100, $2, $2, $2, $2
    from generate_series(1, 2500) n";

#[tokio::test]
async fn each_charge_is_made_due_once_and_who_is_at_work_on_one_is_not_waited_for() {
    let till = Till::open_by_hand().await;
    let mut admin = till.app.test.admin().await;
    let now = till.clock.now();
    admin
        .execute(MANY, &[&till.account, &now])
        .await
        .expect("charges");
    let due = "select count(*) from master.charges where gateway_payment_id like 'many-%' and next_check_at is not null";
    let locked = admin.transaction().await.expect("begun");
    let lock = "select from master.charges where gateway_payment_id = 'many-7' for update";
    locked.query_one(lock, &[]).await.expect("locked");
    let payments = &till.app.test.platform.payments;
    let swept = payments.reconcile(None, TimeDelta::days(7)).await.expect("swept");
    locked.rollback().await.expect("over");
    let count: i64 = admin.query_one(due, &[]).await.expect("counted").get(0);
    assert_eq!((swept >= 2499, count), (true, 2499), "{swept}");
    // What is due already, or was paid long ago, is left alone.
    let swept = payments.reconcile(None, TimeDelta::days(7)).await.expect("swept");
    assert_eq!(swept, 1);
    till.clock.advance(TimeDelta::days(8));
    let again = "update master.charges set next_check_at = null where gateway_payment_id like 'many-%'";
    admin.batch_execute(again).await.expect("changed");
    let swept = payments.reconcile(None, TimeDelta::days(7)).await.expect("swept");
    assert!(swept < 10, "{swept}");
    let plan = admin
        .simple_query(
            "set enable_seqscan = off; explain select id from master.charges
             where placed_at is not null and coalesce(settled_at, expires_at) >= now() and status <> 'refunded'",
        )
        .await
        .expect("a plan");
    assert!(format!("{plan:?}").contains("charges_lately_idx"), "{plan:?}");
}
