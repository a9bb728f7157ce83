//! What a due knows of its charges, which are in the registry: the newest one and its PIX code, as they were last told. What is true
//! says the registry; so whatever changes what is owed has it look at the charges ([`recheck`]), by a line in `jobs`.

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use crate::db::tenant::query::Query;
use crate::domain::ids::{ChargeId, DueId, JobId, OrderId};

/// What the line in `jobs` is called.
pub const KIND: &str = "due_charges";
const MOST_ATTEMPTS: i32 = 100;

/// What is to be paid of a due that is open, and by whom. It has no `Debug`: it is personal data.
pub struct Billed {
    /// What is left to be paid, in cents.
    pub left_cents: i64,
    /// When.
    pub due_date: NaiveDate,
    /// What for.
    pub description: String,
    /// Of the customer.
    pub name: Option<String>,
    /// Where they can be written to.
    pub email: Option<String>,
    /// CPF or CNPJ.
    pub document: Option<String>,
}

/// A due that is open, as a payer is asked for it.
pub fn find_billed(due: DueId) -> Query<Option<Billed>> {
    Query::optional(
        "select d.amount_cents - d.paid_cents, d.due_date, d.description, k.name, k.email, c.document \
         from dues d join customers c on c.id = d.customer_id join contacts k on k.id = c.contact_id \
         where d.id = $1 and d.status = 'open'",
        |mut row| {
            Ok(Billed {
                left_cents: row.next()?,
                due_date: row.next()?,
                description: row.next()?,
                name: row.next()?,
                email: row.next()?,
                document: row.next()?,
            })
        },
    )
    .bind(due.as_uuid())
}

/// A PIX code that was made for a due.
#[derive(Debug, Clone)]
pub struct MadePix {
    /// The charge.
    pub charge: ChargeId,
    /// To be copied and pasted.
    pub code: String,
    /// Until when it can be paid.
    pub expires_at: DateTime<Utc>,
    /// How much it asks for, in cents.
    pub amount_cents: i64,
}

/// Shows a due's newest PIX code beside it, unless so much is not owed any more.
pub fn note(due: DueId, pix: MadePix, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        "update dues set charge_id = $2, pix_code = $3, pix_expires_at = $4, updated_at = $6 \
         where id = $1 and status = 'open' and amount_cents - paid_cents = $5 \
         and (charge_id is distinct from $2 or pix_code is distinct from $3)",
    )
    .bind(due.as_uuid())
    .bind(Some(pix.charge.as_uuid()))
    .bind(Some(pix.code))
    .bind(Some(pix.expires_at))
    .bind(pix.amount_cents)
    .bind(now)
}

/// A due that is not open shows no code by which it could be paid again. Runs in the transaction that has closed it.
pub fn forget_code(due: DueId) -> Query<u64> {
    Query::execute(
        "update dues set pix_code = null where id = $1 and status <> 'open' and pix_code is not null",
    )
    .bind(due.as_uuid())
}

macro_rules! recheck {
    ($of:literal) => {
        concat!(
            "with changed as (update dues set pix_code = null where ",
            $of,
            " = $1 and charge_id is not null returning id), ",
            "line as (insert into jobs (id, kind, payload, state, run_at, max_attempts, created_at, updated_at) ",
            "select $2, $3, jsonb_build_object('due_id', id), 'queued', $4, $5, $4, $4 from changed returning run_at) ",
            "select line.run_at from line, helixai.note_due(line.run_at)"
        )
    };
}

fn recheck_of(text: &'static str, id: Uuid, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(text)
        .bind(id)
        .bind(JobId::new().as_uuid())
        .bind(KIND)
        .bind(now)
        .bind(MOST_ATTEMPTS)
}

/// Another amount is owed of a due, or nothing: an open charge for the former amount is taken back at its gateway, by the line that
/// this writes. Nothing for a due that was never charged.
pub fn recheck(due: DueId, now: DateTime<Utc>) -> Query<u64> {
    recheck_of(recheck!("id"), due.as_uuid(), now)
}

/// The same for the due of an order.
pub fn recheck_of_order(order: OrderId, now: DateTime<Utc>) -> Query<u64> {
    recheck_of(recheck!("order_id"), order.as_uuid(), now)
}
