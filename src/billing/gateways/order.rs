//! What a gateway is asked for, and what it answers, in words that are the same for all of them.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::domain::document::Document;
use crate::domain::email::Email;
use crate::domain::money::Cents;
use crate::domain::payment::{PaymentMethod, PaymentStatus};

/// One amount to be collected from one payer.
#[derive(Debug, Clone)]
pub struct PaymentOrder {
    /// Our name for it (the charge), which the gateway keeps and gives back.
    pub reference: Uuid,
    /// One key, one payment. It must never be used for anything else.
    pub idempotency_key: Uuid,
    /// How it is to be paid.
    pub method: PaymentMethod,
    /// In BRL; not zero.
    pub amount: Cents,
    /// What the payer reads. No personal data.
    pub description: String,
    /// Who pays.
    pub payer: Payer,
    /// Where the gateway tells its news: our hook for the account. Used by gateways that take it with the order.
    pub notification_url: Option<String>,
    /// Where a checkout page leads back to.
    pub return_url: String,
    /// Until when it can be paid: at Mercado Pago in 30 minutes at the earliest and 30 days at the latest. Stripe's pages are
    /// open for a day whatever stands here, and Asaas goes by the due date.
    pub expires_at: DateTime<Utc>,
    /// The day, in São Paulo, by which it should be paid.
    pub due_date: NaiveDate,
    /// Whether the payer's card is to be kept for later charges, where the gateway does so at a checkout.
    pub save_card: bool,
}

/// Who pays. Personal data: goes to the gateway, and nowhere else.
#[derive(Debug, Clone)]
pub struct Payer {
    /// Of the person or company.
    pub name: PayerName,
    /// Where the gateway may write to.
    pub email: Email,
    /// CPF or CNPJ. Asaas asks for it; others accept its absence.
    pub document: Option<Document>,
}

/// A payer's name. `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct PayerName(String);

impl PayerName {
    /// Takes a name as it is; without one, the payer is called "Cliente".
    pub fn new(name: &str) -> Self {
        let name = name.trim();
        Self(if name.is_empty() { "Cliente" } else { name }.to_owned())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// First word and the rest; the first twice when there is no rest.
    pub(super) fn parts(&self) -> (&str, &str) {
        let (first, rest) = self.0.split_once(' ').unwrap_or((&self.0, &self.0));
        (first, rest.trim())
    }
}

impl fmt::Debug for PayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PayerName(…)")
    }
}

/// An order that the gateway has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The gateway's id, for [`fetch`](super::Gateway::fetch). None for a checkout of Mercado Pago: there is a payment only once somebody
    /// pays, and [`find`](super::Gateway::find) knows it.
    pub payment_id: Option<String>,
    /// The gateway's id of the page, for [`close_page`](super::Gateway::close_page), where that is no payment.
    pub page_id: Option<String>,
    /// As the gateway sees it now.
    pub status: PaymentStatus,
    /// PIX: the text to copy, which is also what the QR code says.
    pub pix_code: Option<String>,
    /// A page on which to pay: checkout, bank slip, PIX.
    pub pay_url: Option<String>,
    /// Bank slip: the digits to type.
    pub barcode: Option<String>,
    /// Until when it can be paid, as far as the gateway says.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A payment as the gateway sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentSeen {
    /// The gateway's id. A checkout of Stripe goes by two (session and payment intent): what a payment belongs to is
    /// told by `reference`, never by comparing ids.
    pub payment_id: String,
    /// [`PaymentOrder::reference`], as the gateway kept it; whatever others have put there for payments that are not ours.
    pub reference: Option<String>,
    /// Whose money it is: the gateway's id of the account, where it says so.
    pub collector: Option<String>,
    /// How far it has come.
    pub status: PaymentStatus,
    /// What was paid once it is paid; before, what is to be.
    pub amount: Cents,
    /// What has gone back to the payer, possibly a part.
    pub refunded: Cents,
    /// Upper case, `BRL`.
    pub currency: String,
    /// How it was paid, or is to be; none when the gateway names something else.
    pub method: Option<PaymentMethod>,
    /// When the gateway last changed it, where it says so.
    pub updated_at: Option<DateTime<Utc>>,
    /// The card it was paid with, when it can be charged again.
    pub card: Option<SavedCardSeen>,
}

/// A card that can be charged again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedCardSeen {
    /// To charge it.
    pub token: CardToken,
    /// `visa`, as the gateway writes it.
    pub brand: String,
    /// The last four digits.
    pub last4: String,
}

/// What charges a card of one account. `Debug` shows nothing.
#[derive(Clone)]
pub struct CardToken(SecretString);

impl CardToken {
    /// Takes a token that was kept.
    pub fn new(token: impl Into<SecretString>) -> Self {
        Self(token.into())
    }

    /// The text, to be sealed.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for CardToken {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for CardToken {}

impl fmt::Debug for CardToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardToken(…)")
    }
}
