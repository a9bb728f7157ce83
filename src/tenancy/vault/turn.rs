//! One tenant's turn.

use std::sync::Arc;
use std::time::Duration as StdDuration;

use chrono::{DateTime, Duration, Utc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Round, TurnError, Vault, files};
use crate::db::DbError;
use crate::db::master::audit::{MasterActor, MasterAudit, Subject, insert_audit};
use crate::db::master::backups::{self, BackupFile, BackupRecord, Turn};
use crate::telemetry::metrics::{count_backup, count_backup_verification};
use crate::tenancy::keeper::{BackedUp, KeeperError, OnProgress, Target};
use crate::tenancy::snapshot::SnapshotError;

/// How long others leave a turn alone whose worker says nothing.
pub(super) const LEASE: Duration = Duration::minutes(2);
/// How often its worker says something.
const RENEWED: StdDuration = StdDuration::from_secs(30);
/// The first wait after a failure; each further one is twice as long, up to the usual time between two snapshots.
const AGAIN: Duration = Duration::minutes(5);

/// What is known of a file that was written.
enum Proof {
    /// It was restored into a scratch schema and compared.
    Good,
    /// Whether it is good was not asked, or could not be.
    Unknown,
    /// It is not to be trusted.
    Bad(String),
}

impl Vault {
    /// Serves a turn that was taken: in the end it is noted, given back, or another's.
    pub(super) async fn serve(
        &self,
        turn: &Turn,
        round: &mut Round,
        stop: &CancellationToken,
    ) -> Result<(), DbError> {
        let outcome = tokio::select! {
            outcome = self.back_up(turn) => outcome,
            () = self.keep_turn(turn) => Err(TurnError::Lost),
            () = stop.cancelled() => return backups::release(&self.keeper.master, turn).await,
        };
        match outcome {
            Ok(Proof::Bad(_)) => {
                round.written += 1;
                round.failed += 1;
            }
            Ok(proof) => {
                round.written += 1;
                round.verified += usize::from(matches!(proof, Proof::Good));
            }
            Err(TurnError::Lost) => {
                tracing::warn!(tenant_id = %turn.tenant, "the backup of {} was taken over by another process", turn.key);
            }
            Err(TurnError::Keeper(KeeperError::Busy | KeeperError::Unknown | KeeperError::WrongState(_))) => {
                // It is being restored, moved or deleted, or was a moment ago: nothing is missing.
                let due_at = self.keeper.clock.now() + AGAIN.min(self.schedule.every);
                let mut tx = self.keeper.master.begin().await?;
                backups::end_turn(&mut tx, turn, turn.failures, due_at).await?;
                tx.commit().await?;
            }
            Err(error) => {
                round.failed += 1;
                count_backup("failed");
                tracing::error!(tenant_id = %turn.tenant, %error, "{} cannot be backed up: {error}", turn.key);
                self.note_failure(turn, &error.to_string()).await?;
            }
        }
        Ok(())
    }

    /// Ends when the turn is lost.
    async fn keep_turn(&self, turn: &Turn) {
        loop {
            tokio::time::sleep(RENEWED).await;
            let until = self.keeper.clock.now() + LEASE;
            // While the registry does not answer, the lease goes on as long as it lasts.
            if let Ok(false) = backups::renew(&self.keeper.master, turn, until).await {
                return;
            }
        }
    }

    async fn back_up(&self, turn: &Turn) -> Result<Proof, TurnError> {
        let mut known = backups::list_of(&self.keeper.master, turn.tenant).await?;
        let named = known
            .iter()
            .filter_map(|backup| Some(backup.file.as_ref()?.name.clone()));
        let folder = files::folder_of(&self.schedule.folder, turn.tenant);
        files::prepare(folder.clone(), named.collect()).await?;
        let name = files::name(self.keeper.clock.now());
        let target = Target {
            file: folder.join(&name),
            encrypted: self.schedule.encrypt,
        };
        let silent: OnProgress = Arc::new(|_, _, _| {});
        let made = self.keeper.write_snapshot(&turn.key, &target, &silent).await?;
        crate::kill_point!("vault.written");
        let proof = match self.is_to_be_verified(turn) {
            true => self.prove(&made, &target, &silent).await,
            false => Proof::Unknown,
        };
        crate::kill_point!("vault.verified");
        let record = self.record(made, name, &proof);
        known.insert(0, record.clone());
        let now = self.keeper.clock.now();
        let dropped = self.not_kept(&known, true, now);
        let ids: Vec<Uuid> = dropped.iter().map(|backup| backup.id).collect();
        let (failures, due_at) = match proof {
            Proof::Bad(_) => (turn.failures.saturating_add(1), self.again(turn, now)),
            Proof::Good | Proof::Unknown => (0, self.next(turn, now)),
        };
        let mut tx = self.keeper.master.begin().await?;
        if !backups::end_turn(&mut tx, turn, failures, due_at).await? {
            drop(tx);
            self.remove_files(turn.tenant, &[record]).await;
            return Err(TurnError::Lost);
        }
        backups::insert_backup(&mut tx, &record).await?;
        backups::delete_backups(&mut tx, turn.tenant, &ids).await?;
        if let Proof::Bad(why) = &proof {
            insert_audit(&mut tx, &audit(turn, why, now)).await?;
        }
        crate::kill_point!("vault.before_noted");
        tx.commit().await?;
        crate::kill_point!("vault.noted");
        count_backup("written");
        self.remove_files(turn.tenant, &dropped).await;
        Ok(proof)
    }

    /// Whether the snapshot of this turn is to be proven: of so many of a tenant one is, and not those of all tenants on the
    /// same day.
    fn is_to_be_verified(&self, turn: &Turn) -> bool {
        let period = turn
            .due_at
            .timestamp()
            .div_euclid(self.schedule.every.num_seconds().max(1));
        let shift = turn.tenant.lock_key() & 0xffff;
        (period + shift).checked_rem_euclid(self.schedule.verify_every.into()) == Some(0)
    }

    async fn prove(&self, made: &BackedUp, target: &Target, progress: &OnProgress) -> Proof {
        match self.keeper.rehearse(&target.file, false, progress).await {
            Ok(found) if found.rows == made.rows && found.id == made.id => {
                count_backup_verification("good");
                Proof::Good
            }
            Ok(found) => self.distrust(
                made,
                format!("{} rows were written and {} came back", made.rows, found.rows),
            ),
            Err(error) if is_verdict(&error) => self.distrust(made, error.to_string()),
            Err(error) => {
                count_backup_verification("unknown");
                tracing::warn!(tenant_id = %made.id, %error, "the snapshot of {} cannot be verified now", made.tenant_key);
                Proof::Unknown
            }
        }
    }

    fn distrust(&self, made: &BackedUp, why: String) -> Proof {
        count_backup_verification("bad");
        tracing::error!(tenant_id = %made.id, "the snapshot of {} is not to be trusted: {why}", made.tenant_key);
        Proof::Bad(why)
    }

    fn record(&self, made: BackedUp, name: String, proof: &Proof) -> BackupRecord {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        BackupRecord {
            id: Uuid::now_v7(),
            tenant: made.id,
            file: Some(BackupFile {
                name,
                bytes: number(made.bytes),
                sha256: made.sha256.to_vec(),
                rows: number(made.rows),
            }),
            taken_at: made.made_at,
            verified_at: matches!(proof, Proof::Good).then(|| self.keeper.clock.now()),
            encrypted: made.encrypted,
            error: match proof {
                Proof::Bad(why) => Some(why.clone()),
                Proof::Good | Proof::Unknown => None,
            },
        }
    }

    /// Notes that there is no snapshot. Only the newest of such notes is kept.
    async fn note_failure(&self, turn: &Turn, why: &str) -> Result<(), DbError> {
        let known = backups::list_of(&self.keeper.master, turn.tenant).await?;
        let older = known.iter().filter(|backup| backup.file.is_none());
        let older: Vec<Uuid> = older.map(|backup| backup.id).collect();
        let now = self.keeper.clock.now();
        let mut tx = self.keeper.master.begin().await?;
        let failures = turn.failures.saturating_add(1);
        if !backups::end_turn(&mut tx, turn, failures, self.again(turn, now)).await? {
            return Ok(());
        }
        backups::delete_backups(&mut tx, turn.tenant, &older).await?;
        let record = BackupRecord {
            id: Uuid::now_v7(),
            tenant: turn.tenant,
            file: None,
            taken_at: now,
            verified_at: None,
            encrypted: self.schedule.encrypt,
            error: Some(why.to_owned()),
        };
        backups::insert_backup(&mut tx, &record).await?;
        tx.commit().await
    }

    /// The first time after `now` at which the tenant is due: its hour of the day stays what it is.
    fn next(&self, turn: &Turn, now: DateTime<Utc>) -> DateTime<Utc> {
        let every = self.schedule.every.num_seconds().max(1);
        let passed = (now - turn.due_at).num_seconds().div_euclid(every) + 1;
        turn.due_at + Duration::seconds(every.saturating_mul(passed))
    }

    fn again(&self, turn: &Turn, now: DateTime<Utc>) -> DateTime<Utc> {
        let doubled = u32::try_from(turn.failures).unwrap_or(0).min(10);
        now + (AGAIN * 2_i32.pow(doubled)).min(self.schedule.every)
    }
}

/// Whether an error is about the snapshot, and not about a database or a disk that cannot be used now.
fn is_verdict(error: &KeeperError) -> bool {
    match error {
        KeeperError::Snapshot(SnapshotError::Io(_)) => false,
        KeeperError::Snapshot(_) | KeeperError::Misfit(_) => true,
        _ => false,
    }
}

fn audit(turn: &Turn, why: &str, at: DateTime<Utc>) -> MasterAudit {
    MasterAudit {
        actor: MasterActor::System,
        action: "tenant.backup_distrusted",
        subject: Subject::Tenant(turn.tenant),
        request_id: None,
        details: serde_json::json!({ "why": why }),
        at,
    }
}
