//! `dunning_steps`: what was decided about telling somebody of an invoice.

use chrono::{DateTime, Utc};

use super::MasterTx;
use crate::db::DbError;
use crate::domain::billing::dunning::{DunningOutcome, DunningStep};
use crate::domain::ids::InvoiceId;

/// The steps that were decided.
///
/// # Errors
/// When the database fails.
pub async fn list_decided(tx: &mut MasterTx, invoice: InvoiceId) -> Result<Vec<DunningStep>, DbError> {
    let words = sqlx::query_scalar!(
        "select step from dunning_steps where invoice_id = $1",
        invoice.as_uuid()
    )
    .fetch_all(tx.connection())
    .await?;
    words
        .iter()
        .map(|word| {
            word.parse().map_err(|_| DbError::Other {
                code: "driver".to_owned(),
                message: "dunning_steps.step holds an unknown value".to_owned(),
            })
        })
        .collect()
}

/// Notes what was decided; `false` when somebody has decided before.
///
/// # Errors
/// When the database fails.
pub async fn insert_step(
    tx: &mut MasterTx,
    invoice: InvoiceId,
    step: DunningStep,
    outcome: DunningOutcome,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let inserted = sqlx::query!(
        "insert into dunning_steps (invoice_id, step, decided_at, outcome) values ($1, $2, $3, $4)
         on conflict on constraint dunning_steps_pkey do nothing",
        invoice.as_uuid(),
        step.as_str(),
        now,
        outcome.as_str(),
    )
    .execute(tx.connection())
    .await?;
    Ok(inserted.rows_affected() == 1)
}
