//! Which tenants of a shard have work, as the shard itself notes it (`helixai.due_work`): asked by a lane's login, which belongs
//! to no tenant there. Whoever takes a tenant has it to itself until its lease is over.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::lanes::{LaneAddress, Lanes};
use super::query::Query;
use crate::db::DbError;
use crate::domain::ids::TenantId;

/// Takes tenants of the lane's shard that are due at `now`, at most `most`, those that have waited longest.
///
/// # Errors
/// When the shard cannot be asked.
pub async fn take(
    lanes: &Lanes,
    lane: &LaneAddress,
    worker: Uuid,
    (now, until): (DateTime<Utc>, DateTime<Utc>),
    most: i32,
) -> Result<Vec<TenantId>, DbError> {
    let take = Query::all("select helixai.take_due($1, $2, $3, $4)", |mut row| {
        Ok(TenantId::from_uuid(row.next()?))
    });
    let take = take.bind(worker).bind(now).bind(until).bind(most);
    lanes.run_as_login(lane, take).await
}

/// Gives a tenant back, due again at `next` (`None`: it has no more work), or when it was noted meanwhile. Nothing, when
/// another worker has taken it over.
///
/// # Errors
/// When the shard cannot be asked: the tenant is free when the lease is over.
pub async fn end(
    lanes: &Lanes,
    lane: &LaneAddress,
    tenant: TenantId,
    worker: Uuid,
    next: Option<DateTime<Utc>>,
) -> Result<(), DbError> {
    let end = Query::execute("select helixai.end_due($1, $2, $3)");
    let end = end.bind(tenant.as_uuid()).bind(worker).bind(next);
    lanes.run_as_login(lane, end).await.map(|_| ())
}
