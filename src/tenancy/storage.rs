//! What tenants take on disks, measured again and again by one process for all: their schemas and their files. A tenant
//! that has come to the end of what its plan includes creates nothing more until it removes something or buys more; what it
//! has stays readable and removable. Between two measurements it may take more than that.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::shards::Shards;
use crate::db::DbError;
use crate::db::master::MasterDb;
use crate::db::master::duties::{self, Turn};
use crate::db::master::usage::storage::{self, Measurable, Taken};
use crate::db::shard::sizes::schema_bytes;
use crate::domain::clock::Clock;
use crate::domain::ids::TenantId;
use crate::storage::Store;

const DUTY: &str = "storage";
/// Schemas that are measured on one connection.
const AT_ONCE: i64 = 100;
/// How long a measurement may take, before another process believes that this one is gone.
const LEASE: TimeDelta = TimeDelta::minutes(10);

/// Measures what tenants take. Cheap to clone.
#[derive(Clone)]
pub struct StorageMeter {
    /// The registry.
    pub master: MasterDb,
    /// The databases that tenants live in.
    pub shards: Shards,
    /// Where tenants' files are.
    pub store: Arc<dyn Store>,
    /// Tells the time.
    pub clock: Clock,
}

impl StorageMeter {
    /// Measures all tenants; answers how many. A shard that cannot be asked keeps its former figures, and so does a tenant
    /// whose files cannot be measured.
    ///
    /// # Errors
    /// When the registry fails.
    pub async fn measure(&self) -> Result<usize, DbError> {
        let (mut measured, mut after) = (0, None);
        loop {
            let some = storage::list_measurable(&self.master, after, AT_ONCE).await?;
            let Some(last) = some.last() else {
                return Ok(measured);
            };
            after = Some((last.shard, last.tenant));
            for of_shard in some.chunk_by(|one, next| one.shard == next.shard) {
                match self.measure_some(of_shard).await {
                    Ok(taken) => {
                        storage::keep(&self.master, &taken, self.clock.now()).await?;
                        measured += taken.len();
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the storage of tenants of a shard cannot be measured")
                    }
                }
            }
        }
    }

    async fn measure_some(&self, tenants: &[Measurable]) -> Result<Vec<Taken>, DbError> {
        let Some(shard) = tenants.first().map(|tenant| tenant.shard) else {
            return Ok(Vec::new());
        };
        let admin = self.shards.administrator(shard).await?;
        let schemas: Vec<&str> = tenants.iter().map(|tenant| tenant.schema.as_str()).collect();
        let sizes: HashMap<String, i64> = schema_bytes(admin, &schemas).await?.into_iter().collect();
        let mut taken = Vec::with_capacity(tenants.len());
        for tenant in tenants {
            let Some(schema_bytes) = sizes.get(&tenant.schema).copied() else {
                continue;
            };
            let Some(file_bytes) = self.file_bytes(tenant.tenant).await else {
                continue;
            };
            taken.push(Taken {
                tenant: tenant.tenant,
                schema_bytes,
                file_bytes,
            });
        }
        Ok(taken)
    }

    /// `None` when they cannot be measured.
    async fn file_bytes(&self, tenant: TenantId) -> Option<i64> {
        match self.store.bytes(tenant).await {
            Ok(bytes) => Some(i64::try_from(bytes).unwrap_or(i64::MAX)),
            Err(error) => {
                tracing::warn!(tenant_id = %tenant, %error, "the files of {tenant} cannot be measured");
                None
            }
        }
    }

    /// Measures when a turn is due, unless another process does.
    async fn take_turn(&self, turn: DateTime<Utc>) -> Result<bool, DbError> {
        match duties::take(&self.master, DUTY, turn, LEASE, self.clock.now()).await? {
            Turn::Elsewhere => Ok(false),
            Turn::Done(_) => Ok(true),
            Turn::Mine => {
                let measured = i64::try_from(self.measure().await?).unwrap_or(i64::MAX);
                duties::finish(&self.master, DUTY, turn, measured, self.clock.now()).await?;
                Ok(true)
            }
        }
    }
}

/// Measures every `every`, counted from the beginning of time so that all processes mean the same turn, until `stop`.
pub fn spawn(meter: StorageMeter, every: Duration, stop: CancellationToken) -> JoinHandle<()> {
    let every = i64::try_from(every.as_secs()).unwrap_or(i64::MAX).max(1);
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_secs(30));
        let mut known = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            let seconds = meter.clock.now().timestamp();
            let turn = DateTime::from_timestamp(seconds - seconds.rem_euclid(every), 0);
            let Some(turn) = turn.filter(|_| known != turn) else {
                continue;
            };
            match meter.take_turn(turn).await {
                Ok(true) => known = Some(turn),
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "the storage of tenants cannot be measured"),
            }
        }
    })
}
