//! `due_charges`: another amount is owed of a due, or nothing. Its open charges are looked at by the worker of payments, which takes
//! back at the gateway what is not owed; none is asked here, so that no tenant's gateway keeps another tenant's work waiting.

use async_trait::async_trait;
use serde::Deserialize;

use super::{Handled, Handler, Work};
use crate::billing::payments::dues::made_pix;
use crate::billing::payments::{DuePix, DueToPay, Payments};
use crate::db::DbError;
use crate::db::tenant::Access;
use crate::db::tenant::customers::charges::{self, KIND};
use crate::domain::ids::DueId;
use crate::domain::money::Cents;
use crate::platform::Platform;

/// How often a reminder waits for its PIX: for a quarter of an hour. Then it goes without.
const WAITED: i32 = 6;

/// Has the charges of dues looked at.
pub struct DueCharges {
    payments: Payments,
}

#[derive(Deserialize)]
struct Payload {
    due_id: DueId,
}

impl DueCharges {
    /// Of this platform.
    pub fn new(platform: &Platform) -> Self {
        Self {
            payments: platform.payments.clone(),
        }
    }
}

#[async_trait]
impl Handler for DueCharges {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn handle(&self, work: &Work) -> Handled {
        let Ok(payload) = serde_json::from_value::<Payload>(work.payload.clone()) else {
            return Handled::Failed("the row cannot be read".to_owned());
        };
        match self.payments.recheck_due(work.tenant, payload.due_id).await {
            Ok(()) => Handled::Done,
            Err(error) => Handled::Again(error.to_string()),
        }
    }
}

/// The PIX of a due that somebody is reminded of, for a row of work that comes again until there is one: `Err` until then. `Ok(None)`:
/// there is none, or it has been waited for long enough.
pub(super) async fn pix_for(payments: &Payments, work: &Work, due: DueId) -> Result<Option<String>, String> {
    match find_pix(payments, work, due).await {
        Ok(DuePix::Ready(charge)) => Ok(charge.pix_code),
        Ok(DuePix::Nowhere) => Ok(None),
        Ok(DuePix::Coming) if work.attempts >= WAITED => Ok(None),
        Ok(DuePix::Coming) => Err("its PIX is being made".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

async fn find_pix(payments: &Payments, work: &Work, due: DueId) -> Result<DuePix, DbError> {
    let access = Access::system(work.now);
    let billed = work.db.run(&access, charges::find_billed(due)).await?.output;
    let amount = billed
        .as_ref()
        .and_then(|billed| Cents::parse(billed.left_cents).ok());
    let Some((billed, amount)) = billed.zip(amount) else {
        return Ok(DuePix::Nowhere);
    };
    let wanted = DueToPay {
        tenant: work.tenant,
        due,
        amount,
        due_date: billed.due_date,
    };
    let pix = payments.pix_of_due(&wanted).await?;
    if let DuePix::Ready(charge) = &pix
        && let Some(made) = made_pix(charge)
    {
        work.db.run(&access, charges::note(due, made, work.now)).await?;
    }
    Ok(pix)
}
