//! The program dies as by `kill -9` at any named point of an archive, of bringing back, and of a new key.

use super::*;
use crate::tenancy::killed::{Killed, ended, must_die, points};

async fn filled() -> Killed {
    let killed = Killed::start(250).await;
    killed.test.onboard("garage", "cars").await;
    fill(&killed.test.admin().await, "tenant_garage").await;
    killed
}

async fn succeeds(killed: &Killed, arguments: &[&str], told: &str) {
    let run = ended(killed.command(arguments)).await;
    assert!(run.status.success(), "{told}: {run:?}");
}

/// Points of what an archive is made of: its own, those of the snapshot and those of the removal.
fn of_an_archive() -> Vec<String> {
    let mut points = points("archive");
    points.extend(super::super::killed::points("backup"));
    points.push("delete.batch".to_owned());
    points
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_archive_killed_at_any_point_is_finished_and_loses_nothing() {
    let killed = filled().await;
    let whole = kept(&killed.test.admin().await, "tenant_garage").await;
    let points = of_an_archive();
    for (turn, point) in points.iter().enumerate() {
        must_die(killed.command(&["tenant", "archive", "garage"]), point).await;
        let begun = point != "archive.before_intent";
        let status = archive_of(&killed.test, "garage").await.0;
        assert_eq!(status != TenantStatus::Active, begun, "{point}");
        if turn % 2 == 0 {
            killed.restart().await;
        }
        let status = archive_of(&killed.test, "garage").await.0;
        let finished = (turn % 2 == 0 && begun) || point == "archive.done";
        assert_eq!(status == TenantStatus::Archived, finished, "{point}");
        // Without waiting for any lease the command can be repeated.
        succeeds(&killed, &["tenant", "archive", "garage"], point).await;
        assert_eq!(killed.consistent().await, [""; 0], "{point}");
        assert_eq!(files(&killed.test).len(), 1, "{point}");
        succeeds(&killed, &["tenant", "restore-archived", "garage"], point).await;
        assert_eq!(
            kept(&killed.test.admin().await, "tenant_garage").await,
            whole,
            "{point}"
        );
        assert_eq!(killed.consistent().await, ["garage"], "{point}");
        assert_eq!(files(&killed.test), [""; 0], "{point}");
    }
    let ends = "select count(*) from master.audit_log where action = 'tenant.archived'";
    let ends = number(&killed.test.admin().await, ends).await;
    assert_eq!(ends, points.len() as i64, "each is noted once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tenant_killed_while_it_is_brought_back_comes_back() {
    let killed = filled().await;
    let whole = kept(&killed.test.admin().await, "tenant_garage").await;
    let mut points = points("bring_back");
    points.extend(super::super::killed::points("restore"));
    // Only a restore over a tenant takes something's place.
    points.retain(|point| point != "restore.replaced");
    for (turn, point) in points.iter().enumerate() {
        succeeds(&killed, &["tenant", "delete", "garage", "--yes"], point).await;
        must_die(killed.command(&["tenant", "restore-archived", "garage"]), point).await;
        if turn % 2 == 0 && point != "bring_back.before_intent" {
            killed.restart().await;
        } else {
            succeeds(&killed, &["tenant", "restore-archived", "garage"], point).await;
        }
        assert_eq!(killed.consistent().await, ["garage"], "{point}");
        assert_eq!(
            kept(&killed.test.admin().await, "tenant_garage").await,
            whole,
            "{point}"
        );
        let left = number(
            &killed.test.admin().await,
            "select count(*) from master.tenant_archives",
        )
        .await;
        // What is only left to be swept is swept by the next server.
        killed.restart().await;
        assert!(left <= 1 && files(&killed.test).is_empty(), "{point}");
    }
    let ends = "select count(*) from master.audit_log where action = 'tenant.restore'";
    let ends = number(&killed.test.admin().await, ends).await;
    assert_eq!(ends, points.len() as i64, "each is noted once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_new_key_killed_at_any_point_is_the_old_one_or_the_new_one() {
    let killed = filled().await;
    let mut from = "garage".to_owned();
    for (turn, point) in points("rename").iter().enumerate() {
        let to = format!("oficina-{turn}");
        let command = ["tenant", "rename", &from, &to];
        must_die(killed.command(&command), point).await;
        let done = point == "rename.done";
        let now = if done { &to } else { &from };
        assert_eq!(killed.consistent().await, [now.as_str()], "{point}");
        succeeds(&killed, &command, point).await;
        assert_eq!(killed.consistent().await, [to.as_str()], "{point}");
        from = to;
    }
    let sql = "select count(*) from master.audit_log where action = 'tenant.rename'";
    let noted = number(&killed.test.admin().await, sql).await;
    assert_eq!(noted, points("rename").len() as i64);
}
