//! Sums over subscriptions, invoices and their ledger, for administrators. Months and days are those of America/Sao_Paulo.

use chrono::{DateTime, NaiveDate, Utc};

use super::MasterDb;
use crate::db::DbError;
use crate::domain::billing::report::{BillingEvents, BillingState, Overdue, PlanRevenue};
use crate::domain::ids::TenantId;

/// How the business stands; `today` is the local day.
///
/// # Errors
/// When the database fails.
pub async fn state(db: &MasterDb, today: NaiveDate) -> Result<BillingState, DbError> {
    Ok(sqlx::query_as!(
        BillingState,
        r#"select s.mrr_cents as "mrr_cents!", s.trialing as "trialing!", s.active as "active!", s.past_due as "past_due!",
                  s.suspended as "suspended!", i.overdue_invoices as "overdue_invoices!", i.overdue_cents as "overdue_cents!"
           from (select coalesce(sum(v.price_cents) filter (where s.status in ('active', 'past_due')), 0)::bigint as mrr_cents,
                        count(*) filter (where s.status = 'trialing') as trialing,
                        count(*) filter (where s.status = 'active') as active,
                        count(*) filter (where s.status = 'past_due') as past_due,
                        count(*) filter (where s.status = 'suspended') as suspended
                 from subscriptions s join plan_versions v on v.id = s.plan_version_id
                 where s.status <> 'canceled') s,
                (select count(distinct i.id) as overdue_invoices, coalesce(sum(l.amount_cents), 0)::bigint as overdue_cents
                 from invoices i join ledger_entries l on l.invoice_id = i.id
                 where i.status = 'open' and i.due_date < $1) i"#,
        today,
    )
    .fetch_one(db.pool())
    .await?)
}

/// What happened to subscriptions from one moment to another.
///
/// # Errors
/// When the database fails.
pub async fn events(
    db: &MasterDb,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<BillingEvents, DbError> {
    Ok(sqlx::query_as!(
        BillingEvents,
        r#"with lived as (
               select s.canceled_at, s.trial_ends_at, i.first_paid
               from subscriptions s
               left join (select subscription_id, min(paid_at) as first_paid from invoices
                          where subscription_id is not null and paid_at is not null group by subscription_id) i
                   on i.subscription_id = s.id
           )
           select count(*) filter (where first_paid < $1 and (canceled_at is null or canceled_at >= $1)) as "paying_at_start!",
                  count(*) filter (where first_paid < $1 and canceled_at >= $1 and canceled_at < $2) as "churned!",
                  count(*) filter (where first_paid >= $1 and first_paid < $2) as "new_paying!",
                  count(*) filter (where trial_ends_at >= $1 and trial_ends_at < $2) as "trials_ended!",
                  count(*) filter (where trial_ends_at >= $1 and trial_ends_at < $2 and first_paid is not null)
                      as "trials_converted!"
           from lived"#,
        from,
        until,
    )
    .fetch_one(db.pool())
    .await?)
}

/// What each plan brought in each month, by month and plan.
///
/// # Errors
/// When the database fails.
pub async fn revenue(
    db: &MasterDb,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<PlanRevenue>, DbError> {
    Ok(sqlx::query_as!(
        PlanRevenue,
        r#"select to_char(l.at at time zone 'America/Sao_Paulo', 'YYYY-MM') as "month!", coalesce(p.code, 'one_off') as "plan!",
                  coalesce(sum(l.amount_cents) filter (where l.kind in ('invoiced', 'voided')), 0)::bigint as "invoiced_cents!",
                  coalesce(-sum(l.amount_cents) filter (where l.kind = 'paid'), 0)::bigint as "received_cents!",
                  coalesce(sum(l.amount_cents) filter (where l.kind in ('refunded', 'charged_back')), 0)::bigint
                      as "returned_cents!"
           from ledger_entries l
           join invoices i on i.id = l.invoice_id
           left join plan_versions v on v.id = i.plan_version_id
           left join plans p on p.id = v.plan_id
           where l.at >= $1 and l.at < $2
           group by 1, 2
           order by 1, 2"#,
        from,
        until,
    )
    .fetch_all(db.pool())
    .await?)
}

/// Who owes, the longest first; `today` is the local day.
///
/// # Errors
/// When the database fails.
pub async fn overdue(db: &MasterDb, today: NaiveDate) -> Result<Vec<Overdue>, DbError> {
    let rows = sqlx::query!(
        r#"select i.tenant_id, (array_agg(i.tenant_key order by i.id))[1] as "tenant_key!",
                  (array_agg(i.customer_name order by i.id))[1] as "customer_name!", count(distinct i.id) as "invoices!",
                  sum(l.amount_cents)::bigint as "overdue_cents!", min(i.due_date) as "since!"
           from invoices i join ledger_entries l on l.invoice_id = i.id
           where i.status = 'open' and i.due_date < $1
           group by i.tenant_id
           order by min(i.due_date), i.tenant_id"#,
        today,
    )
    .fetch_all(db.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Overdue {
            tenant_id: TenantId::from_uuid(row.tenant_id),
            tenant_key: row.tenant_key,
            customer_name: row.customer_name,
            invoices: row.invoices,
            overdue_cents: row.overdue_cents,
            since: row.since,
        })
        .collect())
}
