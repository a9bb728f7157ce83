//! Many tenants: so many at a time, those that are in use again after a pause, and an end when too many fail.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::try_join_all;
use serde::Serialize;

use super::work::{Connection, Done};
use super::{Migrator, Order, Patience};
use crate::db::DbError;
use crate::db::master::ledger::Pending;
use crate::domain::ids::ShardId;
use crate::tenancy::keeper::OnProgress;
use crate::tenancy::lifecycle::Origin;

/// What became of the tenants that were behind.
#[derive(Debug, Default, Serialize)]
pub struct Outcome {
    /// Tenants whose schema was changed.
    pub migrated: usize,
    /// Tenants that were up to date; the registry knows it now.
    pub up_to_date: usize,
    /// Tenants that are being restored or removed: whoever does that brings them to where they should be.
    pub left_alone: usize,
    /// Tenants with a migration that cannot be applied.
    pub failed: Vec<Trouble>,
    /// Tenants that stayed in use, or whose shard cannot be reached: nothing is wrong with them.
    pub waiting: Vec<Trouble>,
    /// Tenants that were not begun, because too many or a canary had failed.
    pub not_begun: usize,
}

/// A tenant that was not migrated, and why.
#[derive(Debug, Serialize)]
pub struct Trouble {
    /// Whose.
    pub tenant_key: String,
    /// Why.
    pub error: String,
}

/// A run under way.
pub(super) struct Run<'a> {
    migrator: &'a Migrator,
    origin: Origin,
    progress: &'a OnProgress,
    of: usize,
    state: Mutex<State>,
}

/// What the workers share.
#[derive(Default)]
struct State {
    outcome: Outcome,
    queue: VecDeque<Pending>,
    /// To be tried again in the next round.
    waiting: Vec<(Pending, String)>,
    /// In this round.
    unreachable: HashMap<ShardId, String>,
}

impl Migrator {
    /// Migrates the canaries and, when all of them are done, the others.
    ///
    /// # Errors
    /// When the registry fails.
    pub(super) async fn waves(
        &self,
        (canaries, others): (Vec<Pending>, Vec<Pending>),
        order: &Order,
        origin: Origin,
        progress: &OnProgress,
    ) -> Result<Outcome, DbError> {
        let run = Run {
            migrator: self,
            origin,
            progress,
            of: canaries.len() + others.len(),
            state: Mutex::default(),
        };
        let jobs = order.jobs.get();
        run.wave(canaries, jobs, 0).await?;
        let canaries_failed = {
            let outcome = &run.lock().outcome;
            !outcome.failed.is_empty() || !outcome.waiting.is_empty()
        };
        if canaries_failed {
            run.lock().outcome.not_begun += others.len();
        } else {
            run.wave(others, jobs, order.max_failures).await?;
        }
        let state = run.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(state.outcome)
    }
}

impl Run<'_> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Migrates these tenants, until more than `most` have failed. Those that are in use are tried again in further rounds,
    /// so that they keep nobody waiting.
    async fn wave(&self, tenants: Vec<Pending>, jobs: usize, most: usize) -> Result<(), DbError> {
        let Patience { rounds, pause, .. } = self.migrator.patience;
        self.lock().queue = tenants.into();
        for round in 0..=rounds {
            let workers = jobs.min(self.lock().queue.len());
            try_join_all((0..workers).map(|_| self.work(most))).await?;
            if round == rounds || !self.begin_again() {
                break;
            }
            tokio::time::sleep(pause * (1 << round.min(4))).await;
        }
        let State {
            outcome,
            queue,
            waiting,
            ..
        } = &mut *self.lock();
        outcome.not_begun += queue.drain(..).count();
        let trouble = |(tenant, error): (Pending, String)| Trouble {
            tenant_key: tenant.key,
            error,
        };
        outcome.waiting.extend(waiting.drain(..).map(trouble));
        Ok(())
    }

    /// Whether there is anybody for another round: who was in use, unless the run was ended.
    fn begin_again(&self) -> bool {
        let mut state = self.lock();
        state.unreachable.clear();
        if state.waiting.is_empty() || !state.queue.is_empty() {
            return false;
        }
        let waiting = std::mem::take(&mut state.waiting);
        state.queue = waiting.into_iter().map(|(tenant, _)| tenant).collect();
        true
    }

    async fn work(&self, most: usize) -> Result<(), DbError> {
        let mut connection = Connection::default();
        while let Some(tenant) = self.next(most) {
            let done = self
                .migrator
                .migrate_one(&mut connection, &tenant, &self.origin)
                .await?;
            self.note(tenant, done);
        }
        Ok(())
    }

    fn next(&self, most: usize) -> Option<Pending> {
        let mut state = self.lock();
        if state.outcome.failed.len() > most {
            return None;
        }
        loop {
            let tenant = state.queue.pop_front()?;
            match state.unreachable.get(&tenant.shard).cloned() {
                Some(error) => state.waiting.push((tenant, error)),
                None => return Some(tenant),
            }
        }
    }

    fn note(&self, tenant: Pending, done: Done) {
        let mut state = self.lock();
        let outcome = &mut state.outcome;
        match done {
            Done::Migrated => outcome.migrated += 1,
            Done::UpToDate => outcome.up_to_date += 1,
            Done::LeftAlone => outcome.left_alone += 1,
            Done::Failed(error) => outcome.failed.push(Trouble {
                tenant_key: tenant.key,
                error,
            }),
            Done::Waiting(error) => state.waiting.push((tenant, error.to_string())),
            Done::Unreachable(error) => {
                state.unreachable.insert(tenant.shard, error.to_string());
                state.waiting.push((tenant, error.to_string()));
            }
        }
        let outcome = &state.outcome;
        let ended = outcome.migrated + outcome.up_to_date + outcome.left_alone + outcome.failed.len();
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        (self.progress)("migrating tenants", number(ended), number(self.of));
    }
}
