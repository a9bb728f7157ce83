//! Money that came in for dues, or went back: a line for each time, and the due follows in the same statement.

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use crate::db::DbError;
use crate::db::tenant::query::{Columns, Query};
use crate::domain::due::DuePayment;
use crate::domain::ids::{DueId, DuePaymentId};

fn read(mut row: Columns<'_>) -> Result<DuePayment, DbError> {
    Ok(DuePayment {
        id: DuePaymentId::from_uuid(row.next()?),
        kind: row.next()?,
        method: row.next()?,
        amount_cents: row.next()?,
        paid_on: row.next()?,
        charge_id: row.next()?,
        created_at: row.next()?,
    })
}

/// The payments of a due, in the order in which they were noted.
pub fn list(due: DueId) -> Query<Vec<DuePayment>> {
    Query::all(
        "select id, kind, method, amount_cents, paid_on, charge_id, created_at from due_payments where due_id = $1 order by id",
        read,
    )
    .bind(due.as_uuid())
}

/// The due of `$line` with the money of it: paid when nothing is left, whatever it was before.
macro_rules! apply {
    ($line:literal) => {
        concat!(
            "with line as (",
            $line,
            " returning due_id, amount_cents, paid_on) update dues d set paid_cents = d.paid_cents + line.amount_cents, ",
            "status = case when d.paid_cents + line.amount_cents >= d.amount_cents then 'paid' else d.status end, ",
            "paid_on = case when d.paid_cents + line.amount_cents >= d.amount_cents then coalesce(d.paid_on, line.paid_on) end, ",
            "version = d.version + 1, updated_at = $7 from line where d.id = line.due_id"
        )
    };
}

/// What a person writes down: `amount`, or all that is left. Runs after [`super::dues::lock_open`].
pub fn insert(
    due: DueId,
    id: DuePaymentId,
    method: &'static str,
    amount: Option<i64>,
    paid_on: NaiveDate,
    now: DateTime<Utc>,
) -> Query<u64> {
    Query::execute(apply!(
        "insert into due_payments (due_id, id, kind, method, amount_cents, paid_on, charge_id, created_at) \
         select d.id, $2, 'paid', $3, coalesce($4, d.amount_cents - d.paid_cents), $5, $6, $7 from dues d where d.id = $1"
    ))
    .bind(due.as_uuid())
    .bind(id.as_uuid())
    .bind(method)
    .bind(amount)
    .bind(paid_on)
    .bind(None::<Uuid>)
    .bind(now)
}

/// Locks a due, whatever its state; nothing when there is none.
pub fn lock(due: DueId) -> Query<Option<DueId>> {
    Query::optional("select id from dues where id = $1 for update", |mut row| {
        Ok(DueId::from_uuid(row.next()?))
    })
    .bind(due.as_uuid())
}

/// What a charge has brought in: once, however often it is told. Yields whether it was new. Runs after [`lock`].
pub fn settle(
    due: DueId,
    charge: Uuid,
    method: &'static str,
    amount: i64,
    paid_on: NaiveDate,
    now: DateTime<Utc>,
) -> Query<bool> {
    Query::execute(apply!(
        "insert into due_payments (due_id, id, kind, method, amount_cents, paid_on, charge_id, created_at) \
         select d.id, $2, 'paid', $3, $4, $5, $6, $7 from dues d where d.id = $1 \
         on conflict on constraint due_payments_charge_id_kind_key do nothing"
    ))
    .bind(due.as_uuid())
    .bind(DuePaymentId::new().as_uuid())
    .bind(method)
    .bind(amount)
    .bind(paid_on)
    .bind(Some(charge))
    .bind(now)
    .map(|changed| changed > 0)
}

/// What of a charge went back in all: however often it is told, once, and of a further part only what is more. A due of which
/// something is to be paid again is open. Yields whether it was new. Runs after [`lock`].
pub fn reverse(
    due: DueId,
    charge: Uuid,
    method: &'static str,
    amount: i64,
    on: NaiveDate,
    now: DateTime<Utc>,
) -> Query<bool> {
    Query::execute(
        "with known as (select coalesce(max(amount_cents), 0) as cents from due_payments \
         where due_id = $1 and charge_id = $6 and kind = 'reversed'), \
         told as (insert into due_payments (due_id, id, kind, method, amount_cents, paid_on, charge_id, created_at) \
         select p.due_id, $2, 'reversed', $3, least($4, p.amount_cents), $5, $6, $7 from due_payments p \
         where p.due_id = $1 and p.charge_id = $6 and p.kind = 'paid' \
         on conflict on constraint due_payments_charge_id_kind_key do update set amount_cents = excluded.amount_cents \
         where due_payments.amount_cents < excluded.amount_cents returning due_id, amount_cents), \
         line as (select told.due_id, told.amount_cents - known.cents as amount_cents from told, known) \
         update dues d set paid_cents = d.paid_cents - line.amount_cents, \
         status = case when d.status = 'paid' and d.paid_cents - line.amount_cents < d.amount_cents then 'open' else d.status end, \
         paid_on = case when d.paid_cents - line.amount_cents >= d.amount_cents then d.paid_on end, \
         version = d.version + 1, updated_at = $7 from line where d.id = line.due_id",
    )
    .bind(due.as_uuid())
    .bind(DuePaymentId::new().as_uuid())
    .bind(method)
    .bind(amount)
    .bind(on)
    .bind(Some(charge))
    .bind(now)
    .map(|changed| changed > 0)
}

/// Locks a due with this payment, which a person has written down; refuses when there is none, and with
/// [`crate::db::Refusal::State`] when a charge has brought it in.
pub fn lock_written(due: DueId, id: DuePaymentId) -> Query<u64> {
    Query::execute(
        "select case when p.id is null then helixai.refuse('HX404') \
         when p.charge_id is not null then helixai.refuse('HX412') else 0 end \
         from (values (true)) as request (one) left join (select id from dues where id = $1 for update) d on true \
         left join due_payments p on p.due_id = d.id and p.id = $2",
    )
    .bind(due.as_uuid())
    .bind(id.as_uuid())
}

/// Takes back what a person has written down; the due is open again when something of it is to be paid. Runs after
/// [`lock_written`].
pub fn delete(due: DueId, id: DuePaymentId, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        "with line as (delete from due_payments where due_id = $1 and id = $2 returning due_id, amount_cents) \
         update dues d set paid_cents = d.paid_cents - line.amount_cents, \
         status = case when d.status = 'paid' and d.paid_cents - line.amount_cents < d.amount_cents then 'open' else d.status end, \
         paid_on = case when d.paid_cents - line.amount_cents >= d.amount_cents then d.paid_on end, \
         version = d.version + 1, updated_at = $3 from line where d.id = line.due_id",
    )
    .bind(due.as_uuid())
    .bind(id.as_uuid())
    .bind(now)
}
