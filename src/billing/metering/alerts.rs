//! Tells owners that much or all of what their plan includes has been used: each alert once, since it is marked as told in the
//! transaction that decides its mail.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Metering;
use crate::db::DbError;
use crate::db::master::usage::alerts::{self, DueAlert};
use crate::domain::email::Email;
use crate::domain::ids::MailId;
use crate::domain::platform_key::PlatformKey;
use crate::mail::{MailKind, NewMail, enqueue};

/// Alerts that are told in one transaction.
const BATCH: i64 = 100;

impl Metering {
    /// Has a mail sent for every alert that was not told yet; answers how many it was.
    ///
    /// # Errors
    /// When the registry fails.
    pub async fn tell_alerts(&self, key: &PlatformKey) -> Result<usize, DbError> {
        let mut told = 0;
        loop {
            let now = self.clock.now();
            let mut tx = self.master.begin().await?;
            let due = alerts::take_due(&mut tx, BATCH, now).await?;
            for alert in &due {
                if let Some(mail) = mail(alert, now) {
                    enqueue(&mut tx, key, &mail).await?;
                }
            }
            tx.commit().await?;
            told += due.len();
            if due.len() < usize::try_from(BATCH).unwrap_or(usize::MAX) {
                return Ok(told);
            }
        }
    }
}

/// None for an owner whose address is none.
fn mail(alert: &DueAlert, now: DateTime<Utc>) -> Option<NewMail> {
    let DueAlert {
        tenant,
        meter,
        period,
        threshold,
        used,
        limit,
        ..
    } = alert;
    Some(NewMail {
        id: MailId::new(),
        kind: MailKind::UsageAlert,
        tenant: Some(*tenant),
        invoice: None,
        locale: None,
        to: Email::parse(&alert.owner_email).ok()?,
        values: json!({
            "meter": meter, "threshold": threshold, "used": used, "limit": limit, "month": period,
        }),
        due_at: now,
        dedupe_key: format!("usage_alert:{tenant}:{meter}:{period}:{limit}:{threshold}"),
    })
}

/// Tells owners every `every`, until `stop`. Any number of processes may do so.
pub fn spawn(
    metering: Metering,
    key: PlatformKey,
    every: Duration,
    stop: CancellationToken,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(every);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            if let Err(error) = metering.tell_alerts(&key).await {
                tracing::warn!(%error, "owners cannot be told what they have used");
            }
        }
    })
}
