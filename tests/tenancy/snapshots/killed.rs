//! The program dies as by `kill -9` at any named point of a backup, a restore or a deletion.

use helixai::tenancy::keeper::{Keeper, Purge};

use super::{kept, number, tenant_key};
use crate::helpers::cli_origin;
use crate::tenancy::killed::{Killed, ended, must_die, points};

/// A platform with a filled tenant `garage` and its snapshot.
async fn with_snapshot() -> (Killed, tempfile::TempDir, String) {
    let killed = Killed::start(250).await;
    killed.test.onboard("garage", "cars").await;
    super::fill(&killed.test.admin().await, "tenant_garage").await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a").to_str().expect("UTF-8").to_owned();
    let run = ended(killed.command(&["tenant", "backup", "garage", &file])).await;
    assert!(run.status.success(), "{run:?}");
    (killed, folder, file)
}

fn keeper(killed: &Killed) -> Keeper {
    killed.test.platform.keeper.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_killed_at_any_point_leaves_the_older_file_or_the_new_one() {
    let (killed, folder, file) = with_snapshot().await;
    let old = std::fs::read(&file).unwrap();
    for point in points("backup") {
        std::fs::write(&file, &old).unwrap();
        must_die(killed.command(&["tenant", "backup", "garage", &file]), &point).await;
        let new = std::fs::read(&file).unwrap();
        assert_eq!(new == old, point != "backup.named", "{point}");
        let run = ended(killed.command(&["tenant", "restore", &file])).await;
        assert!(run.status.success(), "{point}: {run:?}");
    }
    drop(folder);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_clone_killed_at_any_point_is_whole_or_nothing_and_what_it_leaves_is_sealed() {
    let (killed, folder, _) = with_snapshot().await;
    let temporary = folder.path().join("temporary");
    for (number, point) in points("clone").iter().enumerate() {
        std::fs::create_dir(&temporary).unwrap();
        let key = format!("clone-{number}");
        let mut command = killed.command(&["tenant", "clone", "garage", &key, "--mask"]);
        command.env("TMPDIR", &temporary);
        must_die(command, point).await;
        killed.restart().await;
        let found = killed.consistent().await.contains(&key);
        assert_eq!(found, point == "clone.restored", "{point}");
        for left in std::fs::read_dir(&temporary).unwrap() {
            let bytes = std::fs::read(left.unwrap().path()).unwrap();
            assert!(bytes.starts_with(b"\x89HXSEAL"), "{point}");
        }
        std::fs::remove_dir_all(&temporary).unwrap();
        let mut command = killed.command(&["tenant", "clone", "garage", &key, "--mask"]);
        command.env("TMPDIR", folder.path());
        let run = ended(command).await;
        assert_eq!(
            run.status.code(),
            Some(if found { 5 } else { 0 }),
            "{point}: {run:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_verification_killed_at_any_point_leaves_nothing() {
    let (killed, _folder, file) = with_snapshot().await;
    let admin = killed.test.admin().await;
    let relations = "select count(*) from pg_class";
    let before = number(&admin, relations).await;
    for point in points("verify") {
        must_die(killed.command(&["tenant", "verify", &file]), &point).await;
        killed.restart().await;
        assert_eq!(number(&admin, relations).await, before, "{point}");
        assert_eq!(killed.consistent().await, ["garage"], "{point}");
    }
    let run = ended(killed.command(&["tenant", "verify", &file])).await;
    assert!(run.status.success(), "{run:?}");
    assert_eq!(number(&admin, relations).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_restore_over_a_tenant_killed_at_any_point_is_whole_or_nothing() {
    let (killed, _folder, file) = with_snapshot().await;
    let admin = killed.test.admin().await;
    let whole = kept(&admin, "tenant_garage").await;
    for point in points("restore") {
        admin
            .batch_execute("delete from tenant_garage.messages")
            .await
            .unwrap();
        let poorer = kept(&admin, "tenant_garage").await;
        must_die(killed.command(&["tenant", "restore", &file]), &point).await;
        killed.restart().await;
        let committed =
            ["restore.committed", "restore.before_done", "restore.done"].contains(&point.as_str());
        let expected = if committed { &whole } else { &poorer };
        assert_eq!(&kept(&admin, "tenant_garage").await, expected, "{point}");
        assert_eq!(killed.consistent().await, ["garage"], "{point}");
        let noted = number(
            &admin,
            "select count(*) from master.audit_log where action = 'tenant.restore'",
        )
        .await;
        // Without waiting for any lease the command can be repeated.
        let run = ended(killed.command(&["tenant", "restore", &file])).await;
        assert!(run.status.success(), "{point}: {run:?}");
        assert_eq!(kept(&admin, "tenant_garage").await, whole, "{point}");
        let now = number(
            &admin,
            "select count(*) from master.audit_log where action = 'tenant.restore'",
        )
        .await;
        assert_eq!(now, noted + 1, "{point}");
    }
    let points = points("restore").len() as i64;
    let noted = number(
        &admin,
        "select count(*) from master.audit_log where action = 'tenant.restore'",
    )
    .await;
    assert_eq!(noted, points + 3, "each restore that happened is noted once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_copy_killed_at_any_point_is_whole_or_nothing() {
    let (killed, _folder, file) = with_snapshot().await;
    let admin = killed.test.admin().await;
    for (number, point) in points("restore").iter().enumerate() {
        // Only a restore over a tenant takes something's place.
        if point == "restore.replaced" {
            continue;
        }
        let key = format!("copy-{number}");
        must_die(killed.command(&["tenant", "restore", &file, &key]), point).await;
        if number % 2 == 0 {
            killed.restart().await;
            let committed =
                ["restore.committed", "restore.before_done", "restore.done"].contains(&point.as_str());
            let found = killed.consistent().await.contains(&key);
            assert_eq!(found, committed, "{point}");
        }
        let run = ended(killed.command(&["tenant", "restore", &file, &key])).await;
        let done = run.status.success();
        // A copy that was finished is no longer free for another.
        assert!(done || run.status.code() == Some(5), "{point}: {run:?}");
        killed.consistent().await;
        let leads = format!("select count(*) from tenant_copy_{number}.leads");
        assert_eq!(super::number(&admin, &leads).await, 61, "{point}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tenant_killed_while_it_comes_back_comes_back() {
    let (killed, _folder, file) = with_snapshot().await;
    let admin = killed.test.admin().await;
    let whole = kept(&admin, "tenant_garage").await;
    for point in points("restore") {
        if point == "restore.replaced" {
            continue;
        }
        keeper(&killed)
            .purge(&tenant_key("garage"), Purge::Anything, cli_origin())
            .await
            .unwrap();
        must_die(killed.command(&["tenant", "restore", &file]), &point).await;
        killed.restart().await;
        killed.consistent().await;
        let run = ended(killed.command(&["tenant", "restore", &file])).await;
        assert!(run.status.success(), "{point}: {run:?}");
        assert_eq!(kept(&admin, "tenant_garage").await, whole, "{point}");
        assert_eq!(killed.consistent().await, ["garage"], "{point}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_deletion_killed_at_any_point_is_finished() {
    let (killed, _folder, file) = with_snapshot().await;
    let admin = killed.test.admin().await;
    for (number, point) in points("delete").iter().enumerate() {
        must_die(
            killed.command(&["tenant", "delete", "garage", "--yes", "--now"]),
            point,
        )
        .await;
        let served = super::number(
            &admin,
            "select count(*) from master.tenants where status = 'active'",
        )
        .await;
        assert_eq!(served, 0, "{point}");
        if number % 2 == 0 {
            killed.restart().await;
        } else {
            let run = ended(killed.command(&["tenant", "delete", "garage", "--yes", "--now"])).await;
            let gone = point == "delete.done";
            assert_eq!(
                run.status.code(),
                Some(if gone { 4 } else { 0 }),
                "{point}: {run:?}"
            );
        }
        assert_eq!(killed.consistent().await, [""; 0], "{point}");
        let run = ended(killed.command(&["tenant", "restore", &file])).await;
        assert!(run.status.success(), "{point}: {run:?}");
    }
    let ends = super::number(
        &admin,
        "select count(*) from master.audit_log where action = 'tenant.purged'",
    )
    .await;
    assert_eq!(ends, points("delete").len() as i64);
}
