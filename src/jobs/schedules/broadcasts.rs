//! Broadcasts: begun, filled with recipients, and told at their pace, one step in one transaction with the broadcast's row locked.

use chrono::TimeDelta;

use super::Turn;
use crate::db::DbError;
use crate::db::tenant::schedules::broadcasts::{self, Due};
use crate::db::tenant::schedules::recipients::{self, Recipient, Settled, Told};
use crate::db::tenant::{Batch, TenantTx};
use crate::domain::broadcast::{BroadcastReason, BroadcastState, Room, TICK};
use crate::domain::message_variables::Addressed;

/// Contacts that are looked at in one transaction when recipients are fixed.
const PAGE: i64 = 500;
/// Steps of a turn; what is left is due still.
const STEPS: usize = 10;
/// When one is tried again that has failed.
const LATER: TimeDelta = TimeDelta::hours(1);
/// When one is looked at again with which nothing happens: its bot is away.
const STILL: TimeDelta = TimeDelta::seconds(30);

/// Takes the steps that are due.
pub(super) async fn go_on(turn: &Turn<'_>) -> Result<(), DbError> {
    for _ in 0..STEPS {
        let lock = broadcasts::lock_due(turn.now);
        let (tx, reply) = turn.db.begin(&turn.access, lock).await?;
        let Some(due) = reply.output else {
            return tx.rollback().await;
        };
        match step(turn, tx, &due).await {
            // Its own fault: the others, and what else is due, do not wait for it.
            Err(error) if error.refusal().is_none() && !error.is_transient() => {
                tracing::error!(broadcast_id = %due.id, %error, "a broadcast cannot go on, and is tried again later: {}", due.id);
                let put_off = broadcasts::put_off(due.id, Some(turn.now + LATER), None);
                turn.db.run(&turn.access, put_off).await?;
            }
            stepped => stepped?,
        }
        crate::kill_point!("schedules.stepped");
    }
    Ok(())
}

async fn step(turn: &Turn<'_>, tx: TenantTx, due: &Due) -> Result<(), DbError> {
    let goes_on = matches!(due.state, BroadcastState::Scheduled | BroadcastState::Running);
    let hindered = match (turn.speaks, due.has_bot) {
        (false, _) => Some(BroadcastReason::SubscriptionInactive),
        (_, false) => Some(BroadcastReason::NoBot),
        (true, true) => None,
    };
    match (due.state, hindered) {
        (_, Some(reason)) if goes_on => pause(turn, tx, due, reason).await,
        (BroadcastState::Scheduled, _) => done(tx, broadcasts::run(due.id, turn.now)).await,
        (BroadcastState::Running, _) if !due.filled => {
            crate::kill_point!("schedules.filling");
            done(tx, recipients::fill(due, PAGE, turn.now)).await
        }
        _ => tell(turn, tx, due, goes_on).await,
    }
}

async fn done<B: Batch>(tx: TenantTx, batch: B) -> Result<(), DbError> {
    tx.commit(batch).await.map(|_| ())
}

/// Stands still, and says why; what is under way is looked at in a while.
async fn pause(turn: &Turn<'_>, mut tx: TenantTx, due: &Due, reason: BroadcastReason) -> Result<(), DbError> {
    let paused = broadcasts::pause(due.id, Some(reason), turn.now).map(|paused| paused.progress.queued);
    let under_way = tx.run(paused).await? > 0;
    let next_at = under_way.then(|| turn.now + TICK);
    done(tx, broadcasts::put_off(due.id, next_at, None)).await
}

/// Notes what became of what was under way and, if it goes on, tells as many as there is room for.
async fn tell(turn: &Turn<'_>, mut tx: TenantTx, due: &Due, goes_on: bool) -> Result<(), DbError> {
    let Settled {
        queued,
        over,
        limited,
    } = tx.run(recipients::settle(due.id)).await?;
    if !goes_on {
        let next_at = (queued > 0).then(|| turn.now + if over > 0 { TICK } else { STILL });
        return done(tx, broadcasts::put_off(due.id, next_at, None)).await;
    }
    if limited > 0 {
        return pause(turn, tx, due, BroadcastReason::LimitExceeded).await;
    }
    let room = Room::at(due.pace_per_minute, due.paced_at, queued, turn.now);
    // One more than there is room for tells whether anybody is left.
    let mut pending = tx
        .run(recipients::list_pending(
            due.id,
            due.instance,
            room.most + 1,
            turn.now,
        ))
        .await?;
    if pending.is_empty() && queued == 0 {
        return done(tx, broadcasts::end(due.id, turn.now)).await;
    }
    let left = pending.len() > usize::try_from(room.most).unwrap_or(usize::MAX);
    if left {
        pending.pop();
    }
    let told: Vec<_> = pending
        .into_iter()
        .map(|recipient| (recipient.contact, words(turn, due, recipient)))
        .collect();
    let said = told.iter().filter(|(_, told)| matches!(told, Told::Words(_)));
    let said = i32::try_from(said.count()).unwrap_or(i32::MAX);
    let moves = over > 0 || said > 0 || queued == 0;
    let next_at = turn.now + if moves { TICK } else { STILL };
    let next_at = if left {
        next_at.max(room.again(said))
    } else {
        next_at
    };
    crate::kill_point!("schedules.telling");
    let batch = (
        recipients::tell(due.id, told, turn.now),
        broadcasts::put_off(due.id, Some(next_at), Some(room.used(said))),
    );
    done(tx, batch).await
}

fn words(turn: &Turn<'_>, due: &Due, recipient: Recipient) -> Told {
    let to = Addressed {
        name: recipient.name,
        company: turn.company.clone(),
    };
    match (recipient.reachable, recipient.opted_out) {
        (false, _) => Told::Skipped,
        (true, true) => Told::OptedOut,
        (true, false) => due
            .variables
            .fill(&due.body, &to)
            .map_or(Told::Skipped, Told::Words),
    }
}
