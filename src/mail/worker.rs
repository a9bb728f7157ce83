//! Sends what is due. Any number of processes may: each mail is taken by one of them, under a lease.
//!
//! Between the mail server's word and the note of it lies the one moment at which a crash has a mail sent twice, under the same
//! `Message-ID`; before, nothing is lost, and after, nothing is sent again.

use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join_all;
use serde_json::{Map, Value};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::transport::{NotTaken, Sender, Transport, compose};
use super::{address_context, templates, values_context};
use crate::config::ServerSettings;
use crate::db::DbError;
use crate::db::master::MasterDb;
use crate::db::master::assistant;
use crate::db::master::mails::{self, Claimed};
use crate::domain::clock::Clock;
use crate::domain::email::Email;
use crate::domain::mail::{MailKind, MailState};
use crate::domain::platform_key::PlatformKey;
use crate::telemetry::work_metrics::count_mail;

const EVERY: Duration = Duration::from_secs(1);
/// Mails that are sent at once; also to a mail server that is slow about each.
const AT_ONCE: i64 = 4;
/// Longer than handing over may take, five minutes, and noting it.
const LEASE: TimeDelta = TimeDelta::minutes(6);
/// The first wait after a failure; each is twice the one before, up to the longest.
const FIRST_WAIT: TimeDelta = TimeDelta::minutes(1);
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(1);
/// How often what ended is emptied, in beats.
const FORGET_EVERY: u32 = 600;
/// How long address and content of a mail are kept after its end.
const KEPT: TimeDelta = TimeDelta::days(1);
/// How long it is known that it was sent.
const KNOWN: TimeDelta = TimeDelta::days(400);

/// Sends mails. Cheap to clone.
#[derive(Clone)]
pub struct Mailer {
    /// The registry.
    pub master: MasterDb,
    /// Opens what was sealed.
    pub key: PlatformKey,
    /// Tells the time.
    pub clock: Clock,
    /// The public addresses.
    pub server: ServerSettings,
    /// How, and from whom; `None`: mails are not sent, but given up.
    pub way: Option<(Transport, Sender)>,
}

impl Mailer {
    /// Sends whatever is due; answers how many mails were taken. What fails is due again later.
    ///
    /// # Errors
    /// When the registry fails.
    pub async fn send_due(&self) -> Result<usize, DbError> {
        let mut taken = 0;
        loop {
            match self.send_some().await? {
                0 => return Ok(taken),
                some => taken += some,
            }
        }
    }

    /// Sends a few of the mails that are due.
    async fn send_some(&self) -> Result<usize, DbError> {
        let (worker, now) = (Uuid::now_v7(), self.clock.now());
        let Some((transport, sender)) = &self.way else {
            mails::give_up_due(&self.master, "mails are not sent: mail.transport", now).await?;
            return Ok(0);
        };
        let some = mails::claim(&self.master, worker, AT_ONCE, now + LEASE, now).await?;
        if some.is_empty() {
            return Ok(0);
        }
        crate::kill_point!("mail.taken");
        let sent = some.iter().map(|mail| self.send(transport, sender, worker, mail));
        for outcome in join_all(sent).await {
            outcome?;
        }
        Ok(some.len())
    }

    async fn send(
        &self,
        transport: &Transport,
        sender: &Sender,
        worker: Uuid,
        mail: &Claimed,
    ) -> Result<(), DbError> {
        if mail.invoice.as_ref().is_some_and(|invoice| !invoice.is_open) {
            let (ended, why) = (MailState::Canceled, "the invoice is not to be paid any more");
            let now = self.clock.now();
            mails::settle(&self.master, mail, worker, (ended, now), Some(why), now).await?;
            return Ok(());
        }
        let outcome = self.hand_over(transport, sender, mail).await;
        crate::kill_point!("mail.handed_over");
        let now = self.clock.now();
        let (state, due_at, word) = match &outcome {
            Ok(()) => (MailState::Sent, now, "sent"),
            Err(error) if error.for_good || mail.attempts >= mail.max_attempts => {
                (MailState::Failed, now, "failed")
            }
            Err(_) => (MailState::Pending, now + wait(mail.attempts), "retried"),
        };
        let error = outcome.err().map(|error| error.what);
        let noted = mails::settle(&self.master, mail, worker, (state, due_at), error.as_deref(), now).await?;
        crate::kill_point!("mail.noted");
        count_mail(mail.kind, word);
        if let Some(error) = error.filter(|_| noted) {
            tracing::warn!(mail = %mail.id, kind = %mail.kind, state = %state, error, "a mail was not taken: {}", mail.id);
        }
        Ok(())
    }

    async fn hand_over(
        &self,
        transport: &Transport,
        sender: &Sender,
        mail: &Claimed,
    ) -> Result<(), NotTaken> {
        if mail.attempts > mail.max_attempts {
            return Err(NotTaken::for_good("its senders died"));
        }
        let (to, values) = self
            .open(mail)
            .ok_or_else(|| NotTaken::for_good("it does not open: was platform.key changed?"))?;
        let sender = sender_of(mail.kind, &values, sender);
        let content = templates::render(mail.kind, mail.locale, values).map_err(|error| {
            NotTaken::for_good(format!("its template cannot be filled: {}", error.kind()))
        })?;
        let message = compose(mail.id, &sender, &to, content, self.clock.now())?;
        transport.send(mail.id, &message).await
    }

    fn open(&self, mail: &Claimed) -> Option<(Email, Map<String, Value>)> {
        let address = self.key.open(&address_context(mail.id), &mail.address_sealed)?;
        let to = Email::parse(std::str::from_utf8(&address).ok()?).ok()?;
        let values = self.key.open(&values_context(mail.id), &mail.values_sealed)?;
        let mut values: Map<String, Value> = serde_json::from_slice(&values).ok()?;
        let url = match &mail.tenant {
            None => self.server.base_url(),
            Some(tenant) => match &tenant.host {
                Some(host) => self.server.url_of(host),
                None => self.server.tenant_url(&tenant.key),
            },
        };
        if let Some(invoice) = &mail.invoice {
            let pay_url = invoice.pay_url.clone().unwrap_or_else(|| url.clone());
            values.insert("pix_code".to_owned(), invoice.pix_code.clone().into());
            values.insert("pay_url".to_owned(), pay_url.into());
        }
        values.insert("url".to_owned(), url.into());
        let name = mail.tenant.as_ref().map(|tenant| tenant.name.clone());
        values.insert("tenant_name".to_owned(), name.into());
        Some((to, values))
    }

    /// Empties mails that have ended, after a day, and forgets what the platform's bot was to tell of them, also where there is none.
    ///
    /// # Errors
    /// When the registry fails.
    pub async fn forget(&self) -> Result<(), DbError> {
        let now = self.clock.now();
        mails::forget(&self.master, now - KEPT, now - KNOWN).await?;
        assistant::forget_old(&self.master, now).await
    }
}

/// From whom: what a tenant writes to its customers is from the tenant, and answered to it.
fn sender_of(kind: MailKind, values: &Map<String, Value>, platform: &Sender) -> Sender {
    if kind != MailKind::CustomerMessage {
        return platform.clone();
    }
    let text = |name: &str| values.get(name).and_then(Value::as_str);
    let name = text("from_name").or_else(|| text("tenant_name"));
    Sender {
        address: platform.address.clone(),
        name: name.unwrap_or(&platform.name).to_owned(),
        reply_to: text("reply_to").and_then(|address| Email::parse(address).ok()),
    }
}

/// How long to wait after so many attempts.
fn wait(attempts: i32) -> TimeDelta {
    let doubled = FIRST_WAIT * 2_i32.saturating_pow(attempts.clamp(1, 10).unsigned_abs() - 1);
    doubled.min(LONGEST_WAIT)
}

/// Sends what is due, again and again, until `stop`.
pub fn spawn(mailer: Mailer, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut beats: u32 = 0;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            while !stop.is_cancelled() {
                match mailer.send_some().await {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(%error, "mails cannot be sent");
                        break;
                    }
                }
            }
            if beats.is_multiple_of(FORGET_EVERY)
                && let Err(error) = mailer.forget().await
            {
                tracing::warn!(%error, "mails that were sent cannot be emptied");
            }
            beats = beats.wrapping_add(1);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_an_hour() {
        let minutes: Vec<i64> = (0..12).map(|attempts| wait(attempts).num_minutes()).collect();
        assert_eq!(minutes, [1, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]);
    }
}
