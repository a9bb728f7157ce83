//! The short part of a move: nobody writes, the rest follows, both sides are compared, the registry names the other shard.

use std::time::{Duration, Instant};

use uuid::Uuid;

use super::{MoveError, Mover, OnProgress, Work};
use crate::db::DbError;
use crate::db::connect::AdminClient;
use crate::db::master::audit::{MasterActor, MasterAudit, Subject, insert_audit};
use crate::db::master::moves::{self, MoveEnd, MovedAmount};
use crate::db::shard::moving::compare::Comparison;
use crate::db::shard::moving::{replication, target, wait_for_locks};
use crate::db::shard::provision::{inherit_clause, set_membership};
use crate::db::shard::removal;
use crate::domain::tenant::TenantStatus;
use crate::domain::tenant_move::MovePhase;

const POLL: Duration = Duration::from_millis(2);
/// How long the tenant may stand still before the move is taken back: requests wait for about as long.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long of it requests in flight may take to end.
const DRAIN: Duration = Duration::from_secs(5);
const SLOW: &str =
    "requests in flight, or the last changes, took too long to end; the tenant is served as before";

impl Mover {
    /// Stops the tenant, waits for the rest, compares, switches and lets it be served again.
    pub(super) async fn switch(
        &self,
        work: &mut Work,
        comparison: &Comparison,
        progress: &OnProgress,
    ) -> Result<(), MoveError> {
        progress("switching", 0, 1);
        self.enter(work, MovePhase::Fencing).await?;
        let stopped = Instant::now();
        let amount = match tokio::time::timeout(PATIENCE, self.still(work, comparison)).await {
            Ok(Err(MoveError::Busy)) | Err(_) => return Err(MoveError::Stalled(SLOW.to_owned())),
            Ok(outcome) => outcome?,
        };
        self.declare(work, amount).await?;
        work.lap(MovePhase::Switched);
        self.admit(work.id, &work.record.to, &mut work.target, Some(stopped))
            .await?;
        crate::kill_point!("move.granted");
        Ok(())
    }

    /// Nobody is in the tenant from here on; everything that was written is on the other side when this ends.
    async fn still(&self, work: &mut Work, comparison: &Comparison) -> Result<MovedAmount, MoveError> {
        let (tenant, from) = (work.record.tenant.id, work.record.from.clone());
        // A wait for the tenant's lock would outlive this future, and keep requests out for as long.
        wait_for_locks(&work.source, DRAIN).await?;
        removal::fence(&mut work.source, tenant, &from.role, &from.login).await?;
        wait_for_locks(&work.source, Duration::ZERO).await?;
        crate::kill_point!("move.fenced");
        let place = replication::mark(&mut work.source).await?;
        while !replication::has_confirmed(&work.source, &work.name, &place).await? {
            tokio::time::sleep(POLL).await;
        }
        crate::kill_point!("move.confirmed");
        let due_at = target::due_work(&work.source, tenant).await?;
        target::carry_due_work(&work.target, tenant, due_at).await?;
        target::carry_channels(&work.source, &work.target, tenant).await?;
        let (here, there) = tokio::try_join!(
            comparison.look(&mut work.source),
            comparison.look(&mut work.target)
        )?;
        if let Some((table, _)) = here.iter().find(|(table, held)| there.get(*table) != Some(held)) {
            return Err(MoveError::Stalled(format!(
                "both sides do not hold the same in {table}"
            )));
        }
        work.compared = comparison.reads;
        Ok(MovedAmount {
            tables: i32::try_from(comparison.tables()).unwrap_or(i32::MAX),
            rows: here.values().map(|held| held.rows).sum(),
            bytes: comparison.bytes,
        })
    }

    /// The point of no return.
    async fn declare(&self, work: &Work, amount: MovedAmount) -> Result<(), MoveError> {
        let now = self.clock.now();
        let mut tx = self.master.begin().await?;
        let record = moves::lock_move(&mut tx, work.id).await?.ok_or(MoveError::Busy)?;
        let steps = (MovePhase::Fencing, MovePhase::Switched);
        if !moves::set_phase(&mut tx, work.id, steps, now).await? {
            return Err(MoveError::Busy);
        }
        moves::set_amount(&mut tx, work.id, amount).await?;
        moves::switch_home(&mut tx, work.id, now).await?;
        let line = MasterAudit {
            actor: MasterActor::System,
            action: "tenant.move",
            subject: Subject::Tenant(record.tenant.id),
            request_id: None,
            details: serde_json::json!({
                "move": work.id, "from": record.from.shard_name, "to": record.to.shard_name,
                "rows": amount.rows, "bytes": amount.bytes,
            }),
            at: now,
        };
        insert_audit(&mut tx, &line).await?;
        crate::kill_point!("move.before_switched");
        tx.commit().await?;
        crate::kill_point!("move.switched");
        Ok(())
    }

    /// Lets the lane at this end of the move serve the tenant, if the registry says that it is served. The tenant's row is
    /// locked meanwhile: nobody suspends it in between.
    pub(super) async fn admit(
        &self,
        id: Uuid,
        end: &MoveEnd,
        admin: &mut AdminClient,
        stopped: Option<Instant>,
    ) -> Result<(), MoveError> {
        let mut tx = self.master.begin().await?;
        let record = moves::lock_move(&mut tx, id).await?.ok_or(MoveError::Busy)?;
        if record.tenant.status == TenantStatus::Active {
            give_role(admin, end).await?;
        }
        if let Some(stopped) = stopped {
            moves::set_pause(&mut tx, id, stopped.elapsed().as_secs_f64() * 1000.0).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

async fn give_role(admin: &mut AdminClient, end: &MoveEnd) -> Result<(), DbError> {
    let inherit = inherit_clause(admin).await?;
    let transaction = admin.transaction().await?;
    set_membership(&transaction, &end.role, &end.login, true, inherit).await?;
    Ok(transaction.commit().await?)
}
