//! Mails: what they are about, and which values their templates are filled with.
//!
//! A new kind is a word here, its values in [`MailKind::values`], a migration that adds the word to `mails_kind_check`,
//! and a folder of `mail_templates/`. `mail_templates/README.md` says what each value is.

use chrono::TimeDelta;

use super::text_enum::text_enum;

text_enum! {
    /// What a mail is about: the name of its folder in `mail_templates/`.
    pub enum MailKind {
        /// To the owner of a new tenant.
        Welcome = "welcome",
        /// To a user who was asked in.
        Invitation = "invitation",
        /// To a user or an administrator who has forgotten the password.
        PasswordReset = "password_reset",
        /// An invoice is there, with the ways to pay it.
        InvoiceIssued = "invoice_issued",
        /// An invoice was paid.
        PaymentReceived = "payment_received",
        /// An invoice is due soon, today, or was due: the value `step` says which.
        Dunning = "dunning",
        /// The subscription is suspended for want of payment.
        Suspended = "suspended",
        /// The subscription has ended, or is about to.
        Canceled = "canceled",
        /// A tenant has used much or all of what its plan includes.
        UsageAlert = "usage_alert",
        /// To a customer of a tenant, in the tenant's own words.
        CustomerMessage = "customer_message",
        /// To administrators: backups that did not come to be.
        BackupFailed = "backup_failed",
    }
}

/// The names of the values of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueNames {
    /// Must be there and not null.
    pub required: &'static [&'static str],
    /// May be null or left out.
    pub optional: &'static [&'static str],
}

impl MailKind {
    /// The values that a mail of this kind is filled with. Besides these, every template knows `url` (the public address of
    /// the tenant, or of the platform), `tenant_name` (null for a mail about no tenant) and `locale`.
    pub const fn values(self) -> ValueNames {
        let (required, optional): (&[&str], &[&str]) = match self {
            Self::Welcome => (&["name", "email"], &["token"]),
            Self::Invitation => (&["name", "token", "valid_days"], &[]),
            Self::PasswordReset => (&["name", "token", "valid_hours"], &[]),
            Self::InvoiceIssued => (&["number", "total_cents", "due_date"], &["pix_code", "pay_url"]),
            Self::PaymentReceived => (&["number", "amount_cents", "paid_on"], &[]),
            Self::Dunning => (
                &["step", "number", "total_cents", "due_date"],
                &["pix_code", "pay_url"],
            ),
            Self::Suspended => (&["number", "total_cents", "due_date"], &["pix_code", "pay_url"]),
            Self::Canceled => (&["ends_on"], &[]),
            Self::UsageAlert => (&["meter", "threshold", "used", "limit", "month"], &[]),
            Self::CustomerMessage => (&["subject", "text"], &["from_name", "reply_to"]),
            Self::BackupFailed => (&["tenant_keys"], &[]),
        };
        ValueNames { required, optional }
    }

    /// How much earlier than it is due a mail of this kind has its turn: whoever waits for a link goes before what can wait.
    pub const fn head_start(self) -> TimeDelta {
        match self {
            Self::Welcome | Self::Invitation | Self::PasswordReset => TimeDelta::hours(1),
            Self::CustomerMessage => TimeDelta::zero(),
            _ => TimeDelta::minutes(30),
        }
    }
}

text_enum! {
    /// What has become of a mail.
    pub enum MailState {
        /// To be sent, or being sent.
        Pending = "pending",
        /// The mail server has taken it.
        Sent = "sent",
        /// It will not be sent any more.
        Failed = "failed",
        /// It is not wanted any more, or mails are not sent at all.
        Canceled = "canceled",
    }
}
