//! A place on a lane for a new tenant; the next lane is opened when all are full.

use chrono::{DateTime, Duration, Utc};

use super::{IdempotencyKey, OnboardError, Provisioner};
use crate::db::master::MasterTx;
use crate::db::master::idempotency::{self, IdempotencyRecord};
use crate::db::master::lanes::{self, Place};
use crate::domain::ids::{ShardId, TenantId};

const SCOPE: &str = "tenants";
const KEY_KEPT: Duration = Duration::hours(24);
/// Others may fill a new lane before this request gets a place on it; so often is it tried.
pub(in crate::tenancy) const PLACE_ATTEMPTS: usize = 20;

/// What becomes of a request.
pub(in crate::tenancy) enum Begun<'a> {
    /// It has a place, and its `Idempotency-Key` is its own, in this open transaction.
    Placed(MasterTx, Place),
    /// An earlier request has its `Idempotency-Key`.
    Known(IdempotencyRecord, &'a IdempotencyKey),
}

impl Provisioner {
    pub(in crate::tenancy) async fn begin<'a>(
        &self,
        repeat: Option<&'a IdempotencyKey>,
        id: TenantId,
        now: DateTime<Utc>,
    ) -> Result<Begun<'a>, OnboardError> {
        for _ in 0..PLACE_ATTEMPTS {
            let mut tx = self.master.begin().await?;
            if let Some(repeat) = repeat {
                let scope = format!("{SCOPE}:{}", repeat.caller);
                let (key, hash) = (&repeat.key, &repeat.request_hash);
                let expires_at = now + KEY_KEPT;
                let known =
                    idempotency::claim(&mut tx, &scope, key, hash, id.as_uuid(), expires_at, now).await?;
                if let Some(known) = known {
                    return Ok(Begun::Known(known, repeat));
                }
            }
            if let Some(place) = lanes::take_place(&mut tx, None, now).await? {
                return Ok(Begun::Placed(tx, place));
            }
            drop(tx);
            self.open_next_lane(None).await?;
        }
        Err(OnboardError::NoRoom)
    }

    /// Opens a lane, on the shard `on` if one is wanted, unless another request has just done so. The login comes first, then its row: a crash leaves
    /// a login without a lane, which the next try finds and uses.
    pub(in crate::tenancy) async fn open_next_lane(&self, on: Option<ShardId>) -> Result<(), OnboardError> {
        let mut tx = self.master.begin().await?;
        let shard = lanes::lock_roomiest_shard(&mut tx, on, self.lane_capacity).await?;
        if lanes::has_room(&mut tx, on).await? {
            return Ok(());
        }
        let shard = shard.ok_or(OnboardError::NoRoom)?;
        let Some(number) = lanes::next_lane(&mut tx, shard.id, self.lane_capacity).await? else {
            // Filled while this request waited for the lock; perhaps another shard has room.
            return Ok(());
        };
        let login = shard.roles.lane(number);
        self.shards.open_lane(&shard, &login).await?;
        crate::kill_point!("lane.login_made");
        let now = self.clock.now();
        lanes::insert_lane(&mut tx, shard.id, number, &login, self.lane_capacity, now).await?;
        tx.commit().await?;
        crate::kill_point!("lane.opened");
        tracing::info!(%login, "a lane was opened: {login}");
        Ok(())
    }
}
