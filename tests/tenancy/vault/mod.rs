//! Backups by the clock: whose turn it is, what is kept, and what becomes of a snapshot that is not good.

#[cfg(feature = "kill_points")]
mod killed;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use chrono::{TimeDelta, Utc};
use helixai::db::master::backups::{self, BackupRecord};
use helixai::domain::clock::Clock;
use helixai::domain::ids::TenantId;
use helixai::platform::{Platform, doctor};
use helixai::tenancy::keeper::{Purge, RestoreRequest};
use helixai::tenancy::vault::{Round, Vault};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::snapshots::{fill, number, silent, tenant_key};
use crate::helpers::{Builder, TestPlatform, cli_origin};

/// A platform with a folder of backups and a clock that is moved by hand.
struct Case {
    test: TestPlatform,
    clock: Clock,
    folder: TempDir,
}

impl Case {
    async fn start() -> Self {
        Self::with(|builder| builder).await
    }

    async fn with(settings: impl FnOnce(Builder) -> Builder) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Clock::fixed(Utc::now());
        let builder = TestPlatform::builder()
            .clock(clock.clone())
            .set("backup.folder", folder.path().display());
        let test = settings(builder).start().await;
        Self { test, clock, folder }
    }

    fn vault(&self) -> Vault {
        vault(&self.test.platform)
    }

    async fn run(&self) -> Round {
        run(&self.vault(), false).await
    }

    async fn onboard(&self, key: &str) -> TenantId {
        let made = self.test.onboard(key, "cars").await;
        made.id
    }

    async fn known(&self, tenant: TenantId) -> Vec<BackupRecord> {
        backups::list_of(&self.test.platform.master, tenant)
            .await
            .expect("rows")
    }

    /// Paths of all files in the folder of backups, without the folder itself.
    fn files(&self) -> BTreeSet<PathBuf> {
        files(self.folder.path())
    }

    /// What the doctor says of backups.
    async fn findings(&self) -> Vec<(&'static str, String)> {
        let doctor = doctor(&self.test.settings, 1, &self.clock).expect("the settings are right");
        let found = doctor.examine().await.into_iter();
        found
            .filter(|finding| finding.check.starts_with("backup_"))
            .map(|finding| (finding.check, finding.what))
            .collect()
    }
}

fn vault(platform: &Platform) -> Vault {
    platform.vault.clone().expect("a folder is set")
}

async fn run(vault: &Vault, all: bool) -> Round {
    vault
        .run(all, &CancellationToken::new())
        .await
        .expect("the registry is there")
}

fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for tenant in std::fs::read_dir(folder).expect("the folder") {
        for file in std::fs::read_dir(tenant.expect("a folder").path()).expect("a tenant's folder") {
            found.insert(file.expect("a file").path());
        }
    }
    found
}

#[tokio::test]
async fn each_tenant_has_its_turn_once_in_a_period_and_at_its_own_hour() {
    let case = Case::start().await;
    let mut tenants = Vec::new();
    for number in 0..5 {
        tenants.push(case.onboard(&format!("garage-{number}")).await);
    }
    assert_eq!(case.run().await, Round::default(), "nobody is due yet");
    let admin = case.test.admin().await;
    let hours = "select count(distinct due_at) from master.tenant_backup_turns";
    assert_eq!(number(&admin, hours).await, 5, "they are spread");
    let mut turns = Vec::new();
    for _ in 0..3 {
        case.clock.advance(TimeDelta::hours(24));
        let round = case.run().await;
        assert_eq!((round.written, round.verified, round.failed), (5, 5, 0));
        assert_eq!(case.run().await, Round::default());
        let rows = admin
            .query("select to_char(due_at at time zone 'UTC', 'HH24:MI:SS.US') from master.tenant_backup_turns order by tenant_id", &[])
            .await
            .unwrap();
        turns.push(rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>());
    }
    assert!(turns.iter().all(|turn| *turn == turns[0]), "{turns:?}");
    for tenant in tenants {
        let known = case.known(tenant).await;
        assert_eq!(known.len(), 3);
        for backup in known {
            let path = case.vault().path(&backup).expect("a file");
            let bytes = std::fs::read(&path).unwrap();
            let file = backup.file.expect("a file");
            assert_eq!(file.sha256[..], Sha256::digest(&bytes)[..]);
            assert_eq!(file.bytes as usize, bytes.len());
            assert!(backup.verified_at.is_some() && backup.error.is_none());
            assert_eq!(
                std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }
    assert_eq!(case.files().len(), 15);
    assert_eq!(case.findings().await, []);
}

#[tokio::test]
async fn a_shorter_period_holds_at_once_and_all_are_served_when_all_are_asked_for() {
    let case = Case::start().await;
    for number in 0..3 {
        case.onboard(&format!("garage-{number}")).await;
    }
    let mut vault = case.vault();
    vault.schedule.every = TimeDelta::days(31);
    for _ in 0..2 {
        case.clock.advance(TimeDelta::seconds(1));
        assert_eq!(run(&vault, true).await.written, 3, "due or not");
    }
    assert_eq!(case.run().await, Round::default());
    case.clock.advance(TimeDelta::hours(24));
    assert_eq!(case.run().await.written, 3);
}

#[tokio::test]
async fn what_is_kept_can_be_restored_and_what_is_not_is_gone_from_the_disk() {
    let case = Case::with(|builder| {
        builder
            .set("backup.encrypt", true)
            .set("backup.verify_every", 10)
            .set("backup.keep_last", 2)
            .set("backup.keep_daily", 3)
            .set("backup.keep_weekly", 2)
            .set("backup.keep_monthly", 0)
    })
    .await;
    let tenant = case.onboard("garage").await;
    let admin = case.test.admin().await;
    fill(&admin, "tenant_garage").await;
    case.run().await;
    let mut verified = 0;
    for _ in 0..20 {
        case.clock.advance(TimeDelta::hours(24));
        let round = case.run().await;
        assert_eq!(round.written, 1);
        verified += round.verified;
        let known = case.known(tenant).await;
        let named: BTreeSet<_> = known
            .iter()
            .filter_map(|backup| case.vault().path(backup))
            .collect();
        assert_eq!(named, case.files());
        assert!((1..=5).contains(&known.len()), "{known:?}");
    }
    assert_eq!(verified, 2, "one of ten");
    let known = case.known(tenant).await;
    assert!(
        known.len() >= 4 && known.iter().all(|backup| backup.encrypted),
        "{known:?}"
    );
    let oldest = case.vault().path(known.last().unwrap()).unwrap();
    admin
        .batch_execute("delete from tenant_garage.messages")
        .await
        .unwrap();
    let request = RestoreRequest {
        file: oldest,
        key: None,
        any_platform: false,
    };
    let keeper = &case.test.platform.keeper;
    keeper
        .restore(request, cli_origin(), &silent())
        .await
        .expect("the oldest is good");
    assert_eq!(
        number(&admin, "select count(*) from tenant_garage.messages").await,
        200
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_share_the_work_and_no_tenant_is_served_twice() {
    let case = Case::with(|builder| builder.set("backup.jobs", 2)).await;
    for number in 0..8 {
        case.onboard(&format!("garage-{number}")).await;
    }
    let others = [case.test.second().await, case.test.second().await];
    let vaults = [case.vault(), vault(&others[0]), vault(&others[1])];
    let rounds = futures_util::future::join_all(vaults.iter().map(|vault| run(vault, true))).await;
    let written: Vec<usize> = rounds.iter().map(|round| round.written).collect();
    assert_eq!(written.iter().sum::<usize>(), 8, "{written:?}");
    let admin = case.test.admin().await;
    let once =
        "select count(*) from (select from master.tenant_backups group by tenant_id having count(*) = 1) o";
    assert_eq!(number(&admin, once).await, 8);
    assert_eq!(case.files().len(), 8);
    let left = "select count(*) from master.tenant_backup_turns where leased_by is not null or failures > 0";
    assert_eq!(number(&admin, left).await, 0);
    for platform in others {
        platform.close().await;
    }
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_restored_is_told_of_until_there_is_a_good_one() {
    let case = Case::start().await;
    let tenant = case.onboard("garage").await;
    let admin = case.test.admin().await;
    fill(&admin, "tenant_garage").await;
    admin
        .batch_execute(
            "alter table tenant_garage.leads drop constraint leads_stage_fkey;
             update tenant_garage.leads set stage = 'nowhere'",
        )
        .await
        .unwrap();
    case.run().await;
    case.clock.advance(TimeDelta::hours(24));
    let round = case.run().await;
    assert_eq!((round.written, round.verified, round.failed), (1, 0, 1));
    let known = case.known(tenant).await;
    assert_eq!(known.len(), 1);
    let why = known[0].error.as_deref().expect("an error");
    assert!(
        why.contains("leads_stage_fkey") && known[0].verified_at.is_none(),
        "{why}"
    );
    assert_eq!(case.files().len(), 1, "it stays, to be looked at");
    let noted = "select count(*) from master.audit_log where action = 'tenant.backup_distrusted' and actor_kind = 'system'";
    assert_eq!(number(&admin, noted).await, 1);
    let findings = case.findings().await;
    assert!(
        matches!(&findings[..], [("backup_distrusted", what)] if what.contains("garage") && what.contains("leads_stage_fkey")),
        "{findings:?}"
    );
    // It is tried again soon, not tomorrow; and what is good takes its place.
    assert_eq!(case.run().await, Round::default());
    admin
        .batch_execute("update tenant_garage.leads set stage = 'new'")
        .await
        .unwrap();
    case.clock.advance(TimeDelta::minutes(5));
    assert_eq!(case.run().await.verified, 1);
    let known = case.known(tenant).await;
    assert_eq!((known.len(), known[0].error.as_deref()), (1, None));
    assert_eq!(case.files().len(), 1);
    assert_eq!(case.findings().await, []);
}

#[tokio::test]
async fn a_backup_that_fails_is_noted_tried_again_and_does_not_stand_in_the_way_of_others() {
    let case = Case::start().await;
    let (good, bad) = (case.onboard("garage").await, case.onboard("other").await);
    let admin = case.test.admin().await;
    let stranger = "create table tenant_other.stranger (id int primary key)";
    admin.batch_execute(stranger).await.unwrap();
    let round = run(&case.vault(), true).await;
    assert_eq!((round.written, round.failed), (1, 1));
    assert_eq!(case.known(good).await.len(), 1);
    // Its own hour of the day may be near.
    let later = "update master.tenant_backup_turns set due_at = $2 where tenant_id = $1";
    let tomorrow = case.clock.now() + TimeDelta::hours(23);
    let moved = admin.execute(later, &[&good.as_uuid(), &tomorrow]).await;
    assert_eq!(moved.unwrap(), 1);
    for minutes in [5, 10, 20] {
        let known = case.known(bad).await;
        assert_eq!(known.len(), 1, "only the newest failure is kept");
        assert!(
            known[0].file.is_none() && known[0].error.as_deref().unwrap_or_default().contains("stranger")
        );
        case.clock
            .advance(TimeDelta::minutes(minutes) - TimeDelta::seconds(1));
        assert_eq!(case.run().await, Round::default(), "each wait is longer");
        case.clock.advance(TimeDelta::seconds(1));
        assert_eq!(case.run().await.failed, 1);
    }
    let findings = case.findings().await;
    assert!(
        matches!(&findings[..], [("backup_failed", what)] if what.contains("of other")),
        "{findings:?}"
    );
    assert_eq!(case.files().len(), 1, "nothing of it is left");
    admin
        .batch_execute("drop table tenant_other.stranger")
        .await
        .unwrap();
    case.clock.advance(TimeDelta::minutes(40));
    assert_eq!(case.run().await.verified, 1);
    let known = case.known(bad).await;
    assert_eq!((known.len(), known[0].error.as_deref()), (1, None));
}

#[tokio::test]
async fn tenants_that_have_waited_too_long_are_named() {
    let case = Case::start().await;
    for number in 0..7 {
        case.onboard(&format!("garage-{number}")).await;
    }
    assert_eq!(case.findings().await, [], "they are new");
    let admin = case.test.admin().await;
    admin
        .batch_execute("update master.tenants set created_at = created_at - interval '49 hours'")
        .await
        .unwrap();
    let findings = case.findings().await;
    assert!(
        matches!(&findings[..], [("backup_age", what)]
                 if what.contains("garage-4 and 2 more") && what.contains("48 hours")),
        "{findings:?}"
    );
    let master = &case.test.platform.master;
    let since = case.clock.now() - TimeDelta::hours(48);
    assert_eq!(backups::count_overdue(master, since).await.unwrap(), 7);
    run(&case.vault(), true).await;
    assert_eq!(case.findings().await, []);
    assert_eq!(backups::count_overdue(master, since).await.unwrap(), 0);
}

#[tokio::test]
async fn a_turn_belongs_to_one_worker() {
    let case = Case::start().await;
    case.onboard("garage").await;
    let master = &case.test.platform.master;
    let now = case.clock.now();
    let (soon, later) = (now + TimeDelta::minutes(2), now + TimeDelta::days(2));
    backups::enrol(master, 3600, now).await.unwrap();
    let claim = |until, at| backups::claim(master, Uuid::now_v7(), later, (&[], now), until, at);
    let first = claim(soon, now).await.unwrap().expect("a turn");
    assert!(claim(soon, now).await.unwrap().is_none());
    assert!(backups::renew(master, &first, soon).await.unwrap());
    // Its worker says nothing for too long.
    let second = claim(later, soon + TimeDelta::seconds(1))
        .await
        .unwrap()
        .expect("a turn");
    assert!(!backups::renew(master, &first, later).await.unwrap());
    let mut tx = master.begin().await.unwrap();
    assert!(!backups::end_turn(&mut tx, &first, 0, later).await.unwrap());
    assert!(backups::end_turn(&mut tx, &second, 0, later).await.unwrap());
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_deleted_tenants_snapshots_outlive_it_for_as_long_as_they_are_kept() {
    let case = Case::with(|builder| {
        builder
            .set("backup.keep_daily", 3)
            .set("backup.keep_weekly", 0)
            .set("backup.keep_monthly", 0)
    })
    .await;
    let tenant = case.onboard("garage").await;
    run(&case.vault(), true).await;
    let keeper = &case.test.platform.keeper;
    keeper
        .purge(&tenant_key("garage"), Purge::Anything, cli_origin())
        .await
        .unwrap();
    let found = backups::find_tenant(&case.test.platform.master, &tenant_key("garage")).await;
    assert_eq!(found.unwrap(), Some(tenant));
    let file = case.vault().path(&case.known(tenant).await[0]).expect("a file");
    assert_eq!(case.vault().forget_the_gone().await.unwrap(), 0);
    let request = RestoreRequest {
        file,
        key: None,
        any_platform: false,
    };
    keeper
        .restore(request, cli_origin(), &silent())
        .await
        .expect("it comes back");
    keeper
        .purge(&tenant_key("garage"), Purge::Anything, cli_origin())
        .await
        .unwrap();
    case.clock.advance(TimeDelta::days(3));
    assert_eq!(case.vault().forget_the_gone().await.unwrap(), 1);
    assert_eq!(case.known(tenant).await, []);
    assert_eq!(std::fs::read_dir(case.folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_a_worker_has_left_of_a_tenant_that_is_gone_is_removed_and_nobody_elses() {
    let case = Case::start().await;
    let (gone, lives) = (case.onboard("garage").await, case.onboard("other").await);
    // A restored platform knows nothing of a folder that is all that is left of somebody.
    let stranger = TenantId::new();
    for tenant in [gone, lives, stranger] {
        let folder = case.folder.path().join(tenant.to_string());
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("20260101T000000000000Z.snapshot"), "rows").unwrap();
        std::fs::write(folder.join(".20260102T000000000000Z.snapshot.x.partial"), "rows").unwrap();
    }
    case.vault().forget_the_gone().await.unwrap();
    assert_eq!(case.files().len(), 6, "it may be at work");
    let keeper = &case.test.platform.keeper;
    keeper
        .purge(&tenant_key("garage"), Purge::Anything, cli_origin())
        .await
        .unwrap();
    case.vault().forget_the_gone().await.unwrap();
    assert!(!case.folder.path().join(gone.to_string()).exists());
    assert_eq!(case.files().len(), 4);
}
