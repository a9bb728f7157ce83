//! Metrics of what is done after a commit: mails, and the work of tenants.

use ::metrics::counter;

use crate::domain::mail::MailKind;

/// Attempts to send a mail, by `kind` and `outcome` (`sent`, `retried`, `failed`).
pub const MAILS: &str = "helixai_mails_total";
/// Rows of tenants' outboxes and jobs that were worked on, by `kind` and `outcome` (`done`, `retried`, `failed`, `canceled`).
pub const WORK: &str = "helixai_tenant_work_total";

/// What can become of an attempt to send a mail.
pub(super) const MAIL_OUTCOMES: [&str; 3] = ["sent", "retried", "failed"];

/// What can become of a row of work.
pub(super) const WORK_OUTCOMES: [&str; 4] = ["done", "retried", "failed", "canceled"];

/// Counts what became of an attempt to send a mail.
pub fn count_mail(kind: MailKind, outcome: &'static str) {
    counter!(MAILS, "kind" => kind.as_str(), "outcome" => outcome).increment(1);
}

/// Counts what became of a row of work.
pub fn count_work(kind: &'static str, outcome: &'static str) {
    counter!(WORK, "kind" => kind, "outcome" => outcome).increment(1);
}
