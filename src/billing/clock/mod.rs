//! The billing clock: what happens to subscriptions by themselves.
//!
//! Each row of `subscriptions` says when somebody has to look at it (`clock_at`), so a run reads what is due and nothing else.
//! Each is looked at in a transaction of its own, with its row locked: the steps that `domain::billing::course` names are taken
//! one after the other, then people are told, then the row rests until its next date. Killed anywhere, a run leaves whole
//! subscriptions, done or untouched; two at once wait for each other at the row, and the second finds nothing to do. So
//! that one process does it for all is only to save work ([`background`]).

pub mod background;
pub mod check;
mod step;
mod tell;

use chrono::{DateTime, TimeDelta, Utc};

use super::books::Books;
use super::invoices::{system, void_open};
use crate::db::DbError;
use crate::db::master::billed;
use crate::db::master::invoices;
use crate::domain::billing::course::Step;
use crate::domain::ids::SubscriptionId;
use crate::domain::tenant::TenantStatus;
use step::take;
pub(super) use step::{next_invoice, standing};

/// Subscriptions that are read in one go.
const PAGE: i64 = 200;
/// Steps of one subscription in one transaction; more of them wait for the next.
const MOST_STEPS: usize = 60;
/// When a subscription that cannot be looked at is tried again.
const POSTPONED: TimeDelta = TimeDelta::minutes(10);
/// When one of a tenant that is put away is looked at again, if nobody has said before that it is back.
const AWAY: TimeDelta = TimeDelta::days(1);

impl Books {
    /// Looks at every subscription that is due; how many it were.
    ///
    /// # Errors
    /// When the registry is away. Whatever is wrong with one subscription, the others go on: it is tried again later.
    pub async fn run_clock(&self) -> Result<u64, DbError> {
        let mut looked_at = 0;
        loop {
            let due = billed::list_due(&self.master, self.clock.now(), PAGE).await?;
            for id in &due {
                if let Err(error) = self.look_at(*id).await {
                    if matches!(error, DbError::Unavailable(_)) {
                        return Err(error);
                    }
                    tracing::error!(subscription = %id, %error, "a subscription cannot be billed: {id}");
                    self.postpone(*id).await?;
                }
                looked_at += 1;
            }
            if due.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) {
                return Ok(looked_at);
            }
        }
    }

    /// Takes the steps of one subscription whose time has come.
    ///
    /// # Errors
    /// When the database fails; nothing has changed then.
    pub async fn look_at(&self, id: SubscriptionId) -> Result<(), DbError> {
        let now = self.clock.now();
        let mut tx = self.master.begin().await?;
        for _ in 0..MOST_STEPS {
            let Some(subscription) = billed::lock(&mut tx, id).await? else {
                return Ok(());
            };
            let current = invoices::list_current(&mut tx, id, subscription.next_from()).await?;
            if !is_served(subscription.tenant_status) {
                // It pays for nothing that it does not have; what comes when it is back is invoiced then.
                void_open(&mut tx, &current, &system(), now).await?;
                billed::rest(&mut tx, id, Some(now + AWAY)).await?;
                break;
            }
            match standing(&subscription, &current, now).next_step(now) {
                Step::Rest(until) => {
                    let told = self.tell(&mut tx, &subscription, &current, now).await?;
                    billed::rest(&mut tx, id, earlier(until, told)).await?;
                    break;
                }
                step => take(self, &mut tx, &subscription, &current, step, now).await?,
            }
            crate::kill_point!("clock.stepped");
        }
        crate::kill_point!("clock.before_commit");
        tx.commit().await?;
        crate::kill_point!("clock.committed");
        Ok(())
    }

    async fn postpone(&self, id: SubscriptionId) -> Result<(), DbError> {
        let mut tx = self.master.begin().await?;
        billed::rest(&mut tx, id, Some(self.clock.now() + POSTPONED)).await?;
        tx.commit().await
    }
}

/// Nobody is billed for what is put away.
fn is_served(status: TenantStatus) -> bool {
    matches!(status, TenantStatus::Active | TenantStatus::Suspended)
}

fn earlier(one: Option<DateTime<Utc>>, other: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    one.into_iter().chain(other).min()
}
