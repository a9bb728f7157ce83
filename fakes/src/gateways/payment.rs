//! A payment, whichever gateway it is at.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nobody has paid.
    Waiting,
    /// Somebody looks into it.
    InReview,
    /// The payer's bank said no.
    Rejected,
    /// Nobody paid in time.
    Expired,
    /// Taken back by its account.
    Canceled,
    /// The money is there.
    Paid,
    /// All of it went back.
    Refunded,
    /// The payer's bank took it back.
    ChargedBack,
}

/// How it is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// PIX.
    Pix,
    /// A page of the gateway.
    Page,
    /// A bank slip.
    Boleto,
    /// A saved card.
    Card,
}

/// Money that went back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refund {
    /// The gateway's id of it.
    pub id: String,
    /// In cents.
    pub cents: i64,
    /// What Asaas was told.
    pub description: Option<String>,
}

/// A payment, or a page at which one can be made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Payment {
    /// The gateway's id.
    pub id: String,
    /// The page's id: preference or checkout session.
    pub page: Option<String>,
    /// Whether it is a page at which nobody has paid yet: then there is no payment of this id.
    pub hidden: bool,
    /// The key of its account.
    #[serde(skip)]
    pub account: String,
    /// What the account calls it.
    pub reference: String,
    /// What is to be paid, in cents.
    pub cents: i64,
    /// What was paid.
    pub paid_cents: i64,
    /// `BRL`, unless somebody was told to pay otherwise.
    pub currency: String,
    /// How it is paid.
    pub method: Method,
    /// How far it has come.
    pub state: State,
    /// Whether the payer's bank took it back and gave it again.
    pub was_disputed: bool,
    /// What went back.
    pub refunds: Vec<Refund>,
    /// Where Mercado Pago sends its news.
    pub notification_url: Option<String>,
    /// What the payer reads.
    pub description: String,
    /// The gateway's id of the payer.
    pub customer: Option<String>,
    /// The card's token, once it has paid and may be charged again.
    pub card: Option<String>,
    /// Whether the payer's card is kept.
    pub save_card: bool,
    /// The day by which Asaas wants it paid.
    pub due_date: Option<String>,
    /// Until when it can be paid.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// What it was before its last change.
    #[serde(skip)]
    pub before: Option<Box<Payment>>,
}

impl Payment {
    /// A new one that nobody has paid.
    pub(super) fn new(id: String, account: &str, method: Method, cents: i64, now: DateTime<Utc>) -> Self {
        Self {
            id,
            page: None,
            hidden: false,
            account: account.to_owned(),
            reference: String::new(),
            cents,
            paid_cents: 0,
            currency: "BRL".to_owned(),
            method,
            state: State::Waiting,
            was_disputed: false,
            refunds: Vec::new(),
            notification_url: None,
            description: String::new(),
            customer: None,
            card: None,
            save_card: false,
            due_date: None,
            expires_at: None,
            created_at: now,
            updated_at: now,
            before: None,
        }
    }

    /// What the gateway says it is about: what was paid, before that what is to be.
    pub(super) fn told_cents(&self) -> i64 {
        match self.state {
            State::Paid | State::Refunded | State::ChargedBack => self.paid_cents,
            _ => self.cents,
        }
    }

    /// What went back, in cents.
    pub fn refunded_cents(&self) -> i64 {
        self.refunds.iter().map(|refund| refund.cents).sum()
    }

    /// Whether this is its id, its page's or its reference.
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.id == name || self.reference == name || self.page.as_deref() == Some(name)
    }
}
