//! `subscriptions` as billing sees and changes them. Every change makes the billing clock look at the row (`V17`); only [`rest`]
//! says when it will look again.

mod change;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{MasterDb, MasterTx};
use crate::db::DbError;
use crate::domain::billing::period::Period;
use crate::domain::ids::{PlanVersionId, SubscriptionId, TenantId};
use crate::domain::money::Cents;
use crate::domain::month::local_day;
use crate::domain::subscription::SubscriptionState;
use crate::domain::tenant::TenantStatus;

pub use change::{
    activate, begin_period, note_brought_back, note_put_away, rest, set_cancel_at_period_end,
    set_cancel_reason, set_next_plan, set_plan, sink, touch,
};

/// A version of a plan that somebody has, or will have.
#[derive(Debug, Clone)]
pub struct BilledPlan {
    /// Its id.
    pub version: PlanVersionId,
    /// Code of the plan.
    pub code: String,
    /// Name of the plan.
    pub name: String,
    /// Of a period.
    pub price: Cents,
}

impl BilledPlan {
    pub(super) fn new(version: Uuid, code: String, name: String, price_cents: i64) -> Result<Self, DbError> {
        Ok(Self {
            version: PlanVersionId::from_uuid(version),
            code,
            name,
            price: Cents::parse(price_cents).map_err(|_| unknown("plan_versions.price_cents"))?,
        })
    }
}

/// A subscription that is locked until the transaction ends.
#[derive(Debug, Clone)]
pub struct Billed {
    /// Its id.
    pub id: SubscriptionId,
    /// Whose.
    pub tenant: TenantId,
    /// Its tenant's state.
    pub tenant_status: TenantStatus,
    /// Its tenant's first user.
    pub owner_email: String,
    /// When its tenant was last put into service.
    pub in_service_since: Option<DateTime<Utc>>,
    /// What was last decided.
    pub state: SubscriptionState,
    /// The trial, or the period that was last begun.
    pub period: Period,
    /// Local day on which periods begin.
    pub anchor_day: i16,
    /// It begins when it is first paid.
    pub awaits_first_payment: bool,
    /// It ends with what is paid.
    pub cancel_at_period_end: bool,
    /// What it includes.
    pub plan: BilledPlan,
    /// What it includes from the next period on, when that is another.
    pub next_plan: Option<BilledPlan>,
}

impl Billed {
    /// The plan of the next period.
    pub fn plan_to_come(&self) -> &BilledPlan {
        self.next_plan.as_ref().unwrap_or(&self.plan)
    }

    /// Whether its period is the trial.
    pub fn is_in_trial_period(&self) -> bool {
        self.state.trial_ends_at == Some(self.period.end)
    }

    /// The day that begins periods from `period` on: kept, unless that does not follow the present one.
    pub fn anchor_of(&self, period: Period) -> i16 {
        if period == self.period || period.start == self.period.end {
            self.anchor_day
        } else {
            local_day(period.start)
        }
    }

    /// From when on an invoice of a period is that of the next one.
    pub fn next_from(&self) -> DateTime<Utc> {
        if self.awaits_first_payment {
            self.period.start
        } else {
            self.period.end
        }
    }
}

/// Subscriptions that the clock has to look at, those that wait longest first.
///
/// # Errors
/// When the database fails.
pub async fn list_due(db: &MasterDb, now: DateTime<Utc>, limit: i64) -> Result<Vec<SubscriptionId>, DbError> {
    let ids = sqlx::query_scalar!(
        "select id from subscriptions where clock_at <= $1 order by clock_at limit $2",
        now,
        limit,
    )
    .fetch_all(db.pool())
    .await?;
    Ok(ids.into_iter().map(SubscriptionId::from_uuid).collect())
}

/// Locks the living subscription of a tenant.
///
/// # Errors
/// When the database fails.
pub async fn lock_living(tx: &mut MasterTx, tenant: TenantId) -> Result<Option<Billed>, DbError> {
    let id = sqlx::query_scalar!(
        "select id from subscriptions where tenant_id = $1 and status <> 'canceled' for update",
        tenant.as_uuid(),
    )
    .fetch_optional(tx.connection())
    .await?;
    match id {
        Some(id) => lock(tx, SubscriptionId::from_uuid(id)).await,
        None => Ok(None),
    }
}

/// Code of the plan that a tenant had last.
///
/// # Errors
/// When the database fails.
pub async fn find_last_plan(tx: &mut MasterTx, tenant: TenantId) -> Result<Option<String>, DbError> {
    Ok(sqlx::query_scalar!(
        "select p.code from subscriptions s
         join plan_versions v on v.id = s.plan_version_id join plans p on p.id = v.plan_id
         where s.tenant_id = $1 order by s.created_at desc, s.id desc limit 1",
        tenant.as_uuid(),
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Locks a subscription. `None`: it went with its tenant.
///
/// # Errors
/// When the database fails.
pub async fn lock(tx: &mut MasterTx, id: SubscriptionId) -> Result<Option<Billed>, DbError> {
    // The row alone first: who waits for it in a join would see its plans as they were before.
    sqlx::query!("select from subscriptions where id = $1 for update", id.as_uuid())
        .fetch_optional(tx.connection())
        .await?;
    let row = sqlx::query_as!(
        Row,
        r#"select s.id, s.tenant_id, t.status as tenant_status, t.owner_email, t.activated_at, s.status, s.trial_ends_at,
                  s.past_due_at, s.current_period_start, s.current_period_end, s.anchor_day,
                  (s.status = 'suspended' and s.suspended_at is not distinct from s.started_at) as "awaits!",
                  s.cancel_at_period_end, v.id as version_id, p.code, p.name, v.price_cents,
                  w.id as "next_id?", q.code as "next_code?", q.name as "next_name?", w.price_cents as "next_price_cents?"
           from subscriptions s
           join tenants t on t.id = s.tenant_id
           join plan_versions v on v.id = s.plan_version_id
           join plans p on p.id = v.plan_id
           left join plan_versions w on w.id = s.next_plan_version_id
           left join plans q on q.id = w.plan_id
           where s.id = $1"#,
        id.as_uuid(),
    )
    .fetch_optional(tx.connection())
    .await?;
    row.map(TryInto::try_into).transpose()
}

struct Row {
    id: Uuid,
    tenant_id: Uuid,
    tenant_status: String,
    owner_email: String,
    activated_at: Option<DateTime<Utc>>,
    status: String,
    trial_ends_at: Option<DateTime<Utc>>,
    past_due_at: Option<DateTime<Utc>>,
    current_period_start: DateTime<Utc>,
    current_period_end: DateTime<Utc>,
    anchor_day: i16,
    awaits: bool,
    cancel_at_period_end: bool,
    version_id: Uuid,
    code: String,
    name: String,
    price_cents: i64,
    next_id: Option<Uuid>,
    next_code: Option<String>,
    next_name: Option<String>,
    next_price_cents: Option<i64>,
}

impl TryFrom<Row> for Billed {
    type Error = DbError;

    fn try_from(row: Row) -> Result<Self, DbError> {
        let next = row.next_id.zip(row.next_code).zip(row.next_name);
        let next_plan = next.zip(row.next_price_cents);
        Ok(Self {
            id: SubscriptionId::from_uuid(row.id),
            tenant: TenantId::from_uuid(row.tenant_id),
            tenant_status: row.tenant_status.parse().map_err(|_| unknown("tenants.status"))?,
            owner_email: row.owner_email,
            in_service_since: row.activated_at,
            state: SubscriptionState {
                status: row.status.parse().map_err(|_| unknown("subscriptions.status"))?,
                trial_ends_at: row.trial_ends_at,
                past_due_at: row.past_due_at,
            },
            period: Period {
                start: row.current_period_start,
                end: row.current_period_end,
            },
            anchor_day: row.anchor_day,
            awaits_first_payment: row.awaits,
            cancel_at_period_end: row.cancel_at_period_end,
            plan: BilledPlan::new(row.version_id, row.code, row.name, row.price_cents)?,
            next_plan: next_plan
                .map(|(((id, code), name), price)| BilledPlan::new(id, code, name, price))
                .transpose()?,
        })
    }
}

fn unknown(column: &str) -> DbError {
    DbError::Other {
        code: "driver".to_owned(),
        message: format!("{column} holds an unknown value"),
    }
}
