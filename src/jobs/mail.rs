//! `mail`: what a tenant's user is to be told goes to the registry's outbox of mails, which sends it.
//!
//! The row names the user, and holds the token, sealed; address, name and language are looked up now. The registry takes a mail for
//! each row once, however often the row comes.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::json;

use super::{Handled, Handler, Work};
use crate::accounts::links::open_token;
use crate::db::DbError;
use crate::db::master::MasterDb;
use crate::db::tenant::{Access, password_links};
use crate::domain::email::Email;
use crate::domain::ids::{MailId, UserId};
use crate::domain::password_link::LinkPurpose;
use crate::domain::platform_key::PlatformKey;
use crate::domain::settings::Language;
use crate::mail::{MailKind, NewMail, enqueue};
use crate::platform::Platform;

/// Hands mails to the registry.
pub struct Mail {
    master: MasterDb,
    key: PlatformKey,
}

#[derive(Deserialize)]
struct Payload {
    purpose: LinkPurpose,
    user_id: UserId,
    token_sealed: String,
}

impl Mail {
    /// Of this platform.
    pub fn new(platform: &Platform) -> Self {
        Self {
            master: platform.master.clone(),
            key: platform.key.clone(),
        }
    }

    async fn try_handle(&self, work: &Work) -> Result<Handled, DbError> {
        let unreadable = || Handled::Failed("the row cannot be read".to_owned());
        let Ok(payload) = serde_json::from_value::<Payload>(work.payload.clone()) else {
            return Ok(unreadable());
        };
        let Some(token) = open_token(&self.key, work.tenant, work.id, &payload.token_sealed) else {
            return Ok(unreadable());
        };
        let find = password_links::find_addressee(payload.user_id);
        let Some(to) = work.db.run(&Access::system(work.now), find).await?.output else {
            return Ok(Handled::Canceled);
        };
        let Ok(address) = Email::parse(&to.email) else {
            return Ok(unreadable());
        };
        let (kind, mut values) = match payload.purpose {
            LinkPurpose::Reset => {
                let hours = LinkPurpose::Reset.life().num_hours();
                (MailKind::PasswordReset, json!({ "valid_hours": hours }))
            }
            LinkPurpose::Invitation => {
                let days = LinkPurpose::Invitation.life().num_days();
                (MailKind::Invitation, json!({ "valid_days": days }))
            }
        };
        if let Some(values) = values.as_object_mut() {
            values.insert("name".to_owned(), to.name.into());
            values.insert("token".to_owned(), token.into());
        }
        let language = to.language.and_then(|language| Language::parse(&language).ok());
        let mail = NewMail {
            id: MailId::new(),
            kind,
            tenant: Some(work.tenant),
            invoice: None,
            locale: Some(language.unwrap_or(Language::PtBr)),
            to: address,
            values,
            due_at: work.now,
            dedupe_key: format!("outbox:{}", work.id),
        };
        let mut tx = self.master.begin().await?;
        enqueue(&mut tx, &self.key, &mail).await?;
        tx.commit().await?;
        Ok(Handled::Done)
    }
}

#[async_trait]
impl Handler for Mail {
    fn kind(&self) -> &'static str {
        "mail"
    }

    async fn handle(&self, work: &Work) -> Handled {
        let handled = self.try_handle(work).await;
        handled.unwrap_or_else(|error| Handled::Again(error.to_string()))
    }
}
