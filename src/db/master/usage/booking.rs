//! Reserve, settle, release, record: one statement and one round trip each, and exact however many come at once.

use chrono::{DateTime, NaiveDate, Utc};

use crate::db::DbError;
use crate::db::master::MasterDb;
use crate::domain::ids::TenantId;
use crate::domain::metering::{ActualUse, Amount, Exhausted, Reservation, ReservationState, UsageKey};
use crate::domain::month;
use crate::domain::usage::Meter;

/// What became of a request to reserve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// The amount is held.
    Now(Reservation),
    /// It had been reserved before; this is what has become of it.
    Before(Reservation),
    /// The key belongs to another meter or amount.
    KeyReused,
    /// There is no room for it.
    Refused(Exhausted),
}

/// What became of a request to settle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It is booked, and so many alerts with it.
    Now(Reservation, u32),
    /// It had been settled with this amount before.
    Before(Reservation),
    /// It had been settled with another amount.
    OtherAmount(Reservation),
    /// It had been released: nothing was used, as somebody said.
    Released,
    /// There is no such reservation.
    Unknown,
}

/// What became of a request to release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Released {
    /// It is released.
    Now(Reservation),
    /// It had been released before.
    Before(Reservation),
    /// It had been settled: what was used cannot be given back.
    Settled,
    /// There is no such reservation.
    Unknown,
}

/// What became of a request to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// It is booked, and so many alerts with it.
    Now(u32),
    /// It had been recorded before.
    Before,
    /// The key belongs to another meter or amount.
    KeyReused,
}

/// How long and in which month something is held.
#[derive(Debug, Clone, Copy)]
pub struct Hold {
    /// First day of the month that it counts in.
    pub period: NaiveDate,
    /// The moment of the request.
    pub now: DateTime<Utc>,
    /// When it is over.
    pub until: DateTime<Utc>,
}

/// Holds `amount` free, if there is room for it.
///
/// # Errors
/// `usage_counters_tenant_id_fkey` when there is no such tenant; when the database fails.
pub async fn reserve(
    db: &MasterDb,
    tenant: TenantId,
    meter: Meter,
    amount: Amount,
    key: &UsageKey,
    hold: Hold,
) -> Result<Reserved, DbError> {
    let row = sqlx::query!(
        r#"select outcome as "outcome!", its_state, its_settled, its_period, its_expiry, its_limit,
                  its_used as "its_used!", its_reserved as "its_reserved!"
           from reserve_usage($1, $2, $3, $4, $5, $6, $7)"#,
        tenant.as_uuid(),
        meter.as_str(),
        key.as_str(),
        i64::from(amount.get()),
        hold.period,
        hold.now,
        hold.until,
    )
    .fetch_one(db.pool())
    .await?;
    let reservation = || {
        let row = Row {
            outcome: String::new(),
            its_meter: Some(meter.as_str().to_owned()),
            its_amount: Some(amount.get().into()),
            its_state: row.its_state.clone(),
            its_settled: row.its_settled,
            its_period: row.its_period,
            its_expiry: row.its_expiry,
            alerts: 0,
        };
        row.reservation(key)
    };
    Ok(match row.outcome.as_str() {
        "reserved" => Reserved::Now(reservation()?),
        "again" => Reserved::Before(reservation()?),
        "reused" => Reserved::KeyReused,
        _ => Reserved::Refused(Exhausted {
            limit: row.its_limit.unwrap_or(i64::MAX),
            used: row.its_used,
            reserved: row.its_reserved,
        }),
    })
}

/// Books what was used of a reservation, also when its hold is over.
///
/// # Errors
/// When the database fails.
pub async fn settle(
    db: &MasterDb,
    tenant: TenantId,
    key: &UsageKey,
    actual: ActualUse,
    now: DateTime<Utc>,
) -> Result<Settled, DbError> {
    let row = sqlx::query_as!(
        Row,
        r#"select outcome as "outcome!", its_meter, its_amount, its_state, its_settled, its_period, its_expiry,
                  alerts as "alerts!"
           from settle_usage($1, $2, $3, $4)"#,
        tenant.as_uuid(),
        key.as_str(),
        i64::from(actual.get()),
        now,
    )
    .fetch_one(db.pool())
    .await?;
    Ok(match row.outcome.as_str() {
        "settled" => Settled::Now(row.reservation(key)?, row.alerts.unsigned_abs()),
        "again" => Settled::Before(row.reservation(key)?),
        "other_amount" => Settled::OtherAmount(row.reservation(key)?),
        "released" => Settled::Released,
        _ => Settled::Unknown,
    })
}

/// Gives a reservation back: nothing was used.
///
/// # Errors
/// When the database fails.
pub async fn release(
    db: &MasterDb,
    tenant: TenantId,
    key: &UsageKey,
    now: DateTime<Utc>,
) -> Result<Released, DbError> {
    let row = sqlx::query_as!(
        Row,
        r#"select outcome as "outcome!", its_meter, its_amount, its_state, its_settled, its_period, its_expiry,
                  0 as "alerts!"
           from release_usage($1, $2, $3)"#,
        tenant.as_uuid(),
        key.as_str(),
        now,
    )
    .fetch_one(db.pool())
    .await?;
    Ok(match row.outcome.as_str() {
        "released" => Released::Now(row.reservation(key)?),
        "again" => Released::Before(row.reservation(key)?),
        "settled" => Released::Settled,
        _ => Released::Unknown,
    })
}

/// Books what was used without a reservation, whatever the limit says.
///
/// # Errors
/// As [`reserve`].
pub async fn record(
    db: &MasterDb,
    tenant: TenantId,
    meter: Meter,
    amount: Amount,
    key: &UsageKey,
    period: NaiveDate,
    now: DateTime<Utc>,
) -> Result<Recorded, DbError> {
    let row = sqlx::query!(
        r#"select outcome as "outcome!", alerts as "alerts!" from record_usage($1, $2, $3, $4, $5, $6)"#,
        tenant.as_uuid(),
        meter.as_str(),
        key.as_str(),
        i64::from(amount.get()),
        period,
        now,
    )
    .fetch_one(db.pool())
    .await?;
    Ok(match row.outcome.as_str() {
        "recorded" => Recorded::Now(row.alerts.unsigned_abs()),
        "again" => Recorded::Before,
        _ => Recorded::KeyReused,
    })
}

/// A reservation as the functions of the schema answer it.
struct Row {
    outcome: String,
    its_meter: Option<String>,
    its_amount: Option<i64>,
    its_state: Option<String>,
    its_settled: Option<i64>,
    its_period: Option<NaiveDate>,
    its_expiry: Option<DateTime<Utc>>,
    alerts: i32,
}

impl Row {
    fn reservation(&self, key: &UsageKey) -> Result<Reservation, DbError> {
        let incomplete = || DbError::Other {
            code: "driver".to_owned(),
            message: "usage_reservations holds an unknown value".to_owned(),
        };
        let meter = self.its_meter.as_deref().map(Meter::parse);
        let state = self.its_state.as_deref().map(ReservationState::parse);
        Ok(Reservation {
            key: key.clone(),
            meter: meter.and_then(Result::ok).ok_or_else(incomplete)?,
            amount: self.its_amount.ok_or_else(incomplete)?,
            state: state.and_then(Result::ok).ok_or_else(incomplete)?,
            settled_amount: self.its_settled,
            period: month::name(self.its_period.ok_or_else(incomplete)?),
            expires_at: self.its_expiry.ok_or_else(incomplete)?,
        })
    }
}
