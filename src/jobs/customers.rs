//! `customers_day`: what falls due for a tenant's customers by the calendar. `send_email`: what a customer is told goes to the
//! registry's outbox of mails. `take_back_mails`: what nobody is to be told any more is taken back there.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::due_charges::pix_for;
use super::{Handled, Handler, Work};
use crate::billing::customers::{Customers, KIND};
use crate::billing::payments::Payments;
use crate::db::DbError;
use crate::db::master::{MasterDb, mails, tenants};
use crate::db::tenant::customers::reminders::TAKE_BACK;
use crate::domain::email::Email;
use crate::domain::ids::{DueId, MailId};
use crate::domain::platform_key::PlatformKey;
use crate::domain::settings::Language;
use crate::mail::{MailKind, NewMail, enqueue};
use crate::platform::Platform;

/// Looks at the calendar of a tenant's customers. The row sets itself to the next day.
pub struct CustomersDay {
    master: MasterDb,
}

impl CustomersDay {
    /// Of this platform.
    pub fn new(platform: &Platform) -> Self {
        Self {
            master: platform.master.clone(),
        }
    }

    async fn try_handle(&self, work: &Work) -> Result<Handled, DbError> {
        let Some(tenant) = tenants::find_active_by_id(&self.master, work.tenant).await? else {
            return Ok(Handled::Again("the tenant is not served".to_owned()));
        };
        let customers = Customers {
            tenant: work.tenant,
            name: &tenant.name,
            db: &work.db,
        };
        customers.work(work.now).await?;
        Ok(Handled::Done)
    }
}

#[async_trait]
impl Handler for CustomersDay {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn handle(&self, work: &Work) -> Handled {
        let handled = self.try_handle(work).await;
        handled.unwrap_or_else(|error| Handled::Again(error.to_string()))
    }
}

/// Hands messages to customers to the registry, once for each row however often it comes; a reminder once for each step of what is
/// owed, also when a restore has it decided again. The row's id is the mail's: by it the mail is taken back.
pub struct CustomerEmail {
    master: MasterDb,
    key: PlatformKey,
    payments: Payments,
}

#[derive(Deserialize)]
struct Payload {
    to: String,
    subject: String,
    text: String,
    from_name: Option<String>,
    reply_to: Option<String>,
    language: Option<Language>,
    /// What is told, when that is more than this row.
    once: Option<String>,
    due_id: Option<DueId>,
    with_pix: Option<WithPix>,
}

/// The same words with a mark where the PIX is to be.
#[derive(Deserialize)]
struct WithPix {
    mark: String,
    text: String,
}

impl CustomerEmail {
    /// Of this platform.
    pub fn new(platform: &Platform) -> Self {
        Self {
            master: platform.master.clone(),
            key: platform.key.clone(),
            payments: platform.payments.clone(),
        }
    }
}

#[async_trait]
impl Handler for CustomerEmail {
    fn kind(&self) -> &'static str {
        "send_email"
    }

    async fn handle(&self, work: &Work) -> Handled {
        let payload = serde_json::from_value::<Payload>(work.payload.clone()).ok();
        let read = payload.and_then(|payload| Some((Email::parse(&payload.to).ok()?, payload)));
        let Some((to, payload)) = read else {
            return Handled::Failed("the row cannot be read".to_owned());
        };
        let once = payload
            .once
            .map(|once| format!("reminder:{}:{once}", work.tenant));
        let text = match payload.due_id.zip(payload.with_pix) {
            None => payload.text,
            Some((due, words)) => match pix_for(&self.payments, work, due).await {
                Ok(Some(pix)) => words.text.replace(&words.mark, &pix),
                Ok(None) => payload.text,
                Err(why) => return Handled::Again(why),
            },
        };
        let mail = NewMail {
            id: MailId::from_uuid(work.id),
            kind: MailKind::CustomerMessage,
            tenant: Some(work.tenant),
            invoice: None,
            locale: Some(payload.language.unwrap_or(Language::PtBr)),
            to,
            values: json!({
                "subject": payload.subject, "text": text, "from_name": payload.from_name, "reply_to": payload.reply_to,
            }),
            due_at: work.now,
            dedupe_key: once.unwrap_or_else(|| format!("outbox:{}", work.id)),
        };
        let done = async {
            let mut tx = self.master.begin().await?;
            enqueue(&mut tx, &self.key, &mail).await?;
            tx.commit().await
        };
        match done.await {
            Ok(()) => Handled::Done,
            Err(error) => Handled::Again(error.to_string()),
        }
    }
}

/// Has the registry take back mails that it was handed: those of a due that was paid, or of somebody who is forgotten.
pub struct TakeBackMails {
    master: MasterDb,
}

#[derive(Deserialize)]
struct TakenBack {
    mails: Vec<Uuid>,
}

impl TakeBackMails {
    /// Of this platform.
    pub fn new(platform: &Platform) -> Self {
        Self {
            master: platform.master.clone(),
        }
    }
}

#[async_trait]
impl Handler for TakeBackMails {
    fn kind(&self) -> &'static str {
        TAKE_BACK
    }

    async fn handle(&self, work: &Work) -> Handled {
        let Ok(taken_back) = serde_json::from_value::<TakenBack>(work.payload.clone()) else {
            return Handled::Failed("the row cannot be read".to_owned());
        };
        match mails::take_back(&self.master, work.tenant, &taken_back.mails, work.now).await {
            Ok(0) => Handled::Done,
            Ok(_) => Handled::Again("they are being sent".to_owned()),
            Err(error) => Handled::Again(error.to_string()),
        }
    }
}
