//! Tenants that are put away pay for nothing, and go on when they come back, however late.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use helixai::billing::subscriptions::Decision;
use helixai::domain::billing::invoice::InvoiceStatus;
use helixai::domain::subscription::SubscriptionStatus::{Active, PastDue, Suspended};
use helixai::domain::tenant_key::TenantKey;
use helixai::tenancy::keeper::{Fate, OnProgress};

use super::books::{Shop, at};
use crate::helpers::cli_origin;

fn garage() -> TenantKey {
    TenantKey::parse("garage").expect("a key")
}

fn silent() -> OnProgress {
    Arc::new(|_, _, _| {})
}

impl Shop {
    async fn put_away(&self) {
        let keeper = &self.test.platform.keeper;
        let decided = keeper.decide_archive(&garage(), Fate::Kept, cli_origin()).await;
        let tenant = decided.expect("decided").tenant;
        keeper
            .put_away(&tenant, cli_origin(), &silent())
            .await
            .expect("put away");
    }

    async fn bring_back(&self, now: DateTime<Utc>) {
        self.clock.set(now);
        let keeper = &self.test.platform.keeper;
        let decided = keeper.decide_bring_back(&garage(), cli_origin()).await;
        let tenant = decided.expect("decided").tenant;
        keeper
            .bring_back(&tenant, cli_origin(), &silent())
            .await
            .expect("brought back");
    }
}

/// The invoice of the next period is open when it is put away: it is taken back at once, and another one is issued for the period
/// that begins when it comes back, two months later.
#[tokio::test]
async fn who_is_put_away_owes_nothing_and_is_not_canceled_when_it_comes_back() {
    let shop = Shop::start("2026-03-10T12:00:00Z").await;
    shop.look("2026-03-14T12:00:00Z").await;
    shop.pay(&shop.only_open().await).await;
    shop.look("2026-03-17T12:00:00Z").await;
    shop.look("2026-04-14T12:00:00Z").await;
    let issued = shop.only_open().await;
    shop.put_away().await;
    assert_eq!(shop.look("2026-04-14T12:01:00Z").await, 1, "the clock is told");
    assert!(shop.open().await.is_empty());
    shop.look("2026-05-20T12:00:00Z").await;
    let back = at("2026-06-20T12:00:00Z");
    shop.bring_back(back).await;
    assert_eq!(
        shop.look_at(back + TimeDelta::minutes(1)).await,
        1,
        "the clock is told"
    );
    let open = shop.only_open().await;
    assert_ne!(open.id, issued.id);
    assert_eq!(open.period.expect("a period").start, back);
    assert_eq!(open.due_date, "2026-06-23".parse().expect("a day"));
    shop.look("2026-06-22T12:00:00Z").await;
    assert_eq!(
        shop.subscription().await.state.status,
        PastDue,
        "until it is paid"
    );
    shop.pay(&open).await;
    assert_eq!(shop.status().await, Active);
    assert_eq!(shop.subscription().await.current_period_start, back);
    assert_eq!(shop.orders.all().len(), 3, "each is collected once");
    shop.adds_up().await;
}

/// Who owes when it is put away has as many days to pay when it is back as anybody who begins to owe.
#[tokio::test]
async fn days_away_are_not_days_without_payment() {
    let shop = Shop::start("2026-03-10T12:00:00Z").await;
    for day in [
        "2026-03-14T12:00:00Z",
        "2026-03-17T12:00:00Z",
        "2026-03-25T12:00:00Z",
    ] {
        shop.look(day).await;
    }
    assert_eq!(shop.status().await, Suspended);
    shop.put_away().await;
    shop.look("2026-03-25T12:01:00Z").await;
    let back = at("2026-06-20T12:00:00Z");
    shop.bring_back(back).await;
    assert_eq!(
        shop.status().await,
        Suspended,
        "also before the clock has come by"
    );
    shop.look_at(back + TimeDelta::minutes(1)).await;
    assert_eq!(shop.status().await, Suspended);
    let open = shop.only_open().await;
    assert_eq!(open.period.expect("a period").start, back);
    shop.look_at(back + TimeDelta::days(29)).await;
    assert_eq!(shop.status().await, Suspended);
    shop.pay(&open).await;
    assert_eq!(shop.status().await, Active);
    shop.adds_up().await;
}

/// What can be paid before the clock has come by is the period that the clock would invoice.
#[tokio::test]
async fn who_comes_back_and_pays_at_once_pays_for_the_days_to_come() {
    let shop = Shop::start("2026-03-10T12:00:00Z").await;
    shop.put_away().await;
    let back = at("2026-03-30T12:00:00Z");
    shop.bring_back(back).await;
    let decision = Decision {
        origin: cli_origin(),
        now: back,
    };
    let mut tx = shop.master().begin().await.expect("begun");
    let invoice = shop.books.to_pay(&mut tx, shop.tenant, &decision).await;
    tx.commit().await.expect("committed");
    let invoice = invoice.expect("something to pay");
    assert_eq!(invoice.period.expect("a period").start, back);
    assert_eq!(invoice.due_date, "2026-04-02".parse().expect("a day"));
    shop.look_at(back + TimeDelta::minutes(1)).await;
    assert_eq!(shop.only_open().await.id, invoice.id);
    assert_eq!(shop.only_open().await.status, InvoiceStatus::Open);
    shop.adds_up().await;
}
