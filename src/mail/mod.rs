//! Mails of the platform: decided in a transaction of the registry, sent after it.
//!
//! Whoever decides that somebody is to be told calls [`enqueue`] in its own transaction; the dedupe key names what is told,
//! so that deciding again changes nothing. [`worker`] sends them, filled into [`templates`], by a [`transport`].
//!
//! A new kind: see [`MailKind`].

pub mod smtp;
pub mod templates;
pub mod transport;
pub mod worker;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::db::DbError;
use crate::db::master::MasterTx;
use crate::db::master::mails::{self, NewRow};
use crate::domain::email::Email;
use crate::domain::ids::{InvoiceId, MailId, TenantId};
pub use crate::domain::mail::MailKind;
use crate::domain::platform_key::PlatformKey;
use crate::domain::settings::Language;

/// How often sending is tried: for some seven hours.
const MOST_ATTEMPTS: i32 = 12;

/// A mail that is to be sent.
#[derive(Debug, Clone)]
pub struct NewMail {
    /// Its id; also of its `Message-ID`.
    pub id: MailId,
    /// What it is about.
    pub kind: MailKind,
    /// Whom it is about: its name and public address are looked up when the mail is sent.
    pub tenant: Option<TenantId>,
    /// The invoice that it asks to be paid: the ways to pay it are looked up when the mail is sent, and one that is not to be paid any
    /// more is not written of.
    pub invoice: Option<InvoiceId>,
    /// In which language; `None`: the tenant's, as the registry knows it.
    pub locale: Option<Language>,
    /// To whom.
    pub to: Email,
    /// An object with what [`MailKind::values`] names.
    pub values: Value,
    /// Not before.
    pub due_at: DateTime<Utc>,
    /// What is told, at most 200 characters, for example `dunning:<invoice>:d3`: one mail for each.
    pub dedupe_key: String,
}

/// Has a mail sent once `tx` is committed, unless one of this dedupe key was decided before and not taken back.
///
/// # Errors
/// When a required value is missing, a defect of the caller; when the database fails.
pub async fn enqueue(tx: &mut MasterTx, key: &PlatformKey, mail: &NewMail) -> Result<(), DbError> {
    let values = complete(mail.kind, &mail.values)?;
    let row = NewRow {
        id: mail.id,
        kind: mail.kind,
        tenant: mail.tenant,
        invoice: mail.invoice,
        locale: mail.locale,
        address_sealed: key.seal(&address_context(mail.id), mail.to.as_str().as_bytes()),
        values_sealed: key.seal(&values_context(mail.id), values.to_string().as_bytes()),
        due_at: mail.due_at,
        max_attempts: MOST_ATTEMPTS,
        dedupe_key: &mail.dedupe_key,
    };
    mails::insert(tx, &row).await
}

/// Gives up the mail of this dedupe key, unless it is being sent or was; whether it was given up.
///
/// # Errors
/// When the database fails.
pub async fn cancel(tx: &mut MasterTx, dedupe_key: &str, now: DateTime<Utc>) -> Result<bool, DbError> {
    mails::cancel(tx, dedupe_key, now).await
}

/// The values of a kind, those that may be left out as null: templates refuse what is not there.
fn complete(kind: MailKind, values: &Value) -> Result<Value, DbError> {
    let names = kind.values();
    let given = |name: &str| values.get(name).filter(|value| !value.is_null()).cloned();
    let mut complete = Map::new();
    for name in names.required {
        let value = given(name).ok_or_else(|| DbError::Other {
            code: "mail".to_owned(),
            message: format!("a mail of kind {kind} lacks the value {name}"),
        })?;
        complete.insert((*name).to_owned(), value);
    }
    for name in names.optional {
        complete.insert((*name).to_owned(), given(name).unwrap_or_default());
    }
    Ok(Value::Object(complete))
}

fn address_context(id: MailId) -> String {
    format!("mail:{id}:address")
}

fn values_context(id: MailId) -> String {
    format!("mail:{id}:values")
}
