//! The program dies as by `kill -9` in the middle of a run; the next one finds what is left.

use std::process::Command;
use std::time::{Duration, Instant};

use helixai::db::shard::template::CORE;

use super::{mirrored, next, number, reached};
use crate::tenancy::killed::{Killed, ended, must_die, points};

const TENANTS: [&str; 3] = ["garage", "imob", "shop"];

/// A program whose template has another migration of core than those who onboarded the tenants.
fn newer(killed: &Killed, folder: &tempfile::TempDir, version: i32) -> Command {
    let sql = format!("alter table leads add column more_{version} bigint");
    let files: std::collections::BTreeMap<_, _> = (next(CORE)..=version)
        .map(|number| {
            let sql = sql.replace(&format!("more_{version}"), &format!("more_{number}"));
            (format!("core/V{number}__more.sql"), sql)
        })
        .collect();
    let file = folder.path().join(version.to_string());
    std::fs::write(&file, serde_json::to_vec(&files).unwrap()).unwrap();
    let mut command = killed.command(&["migrate", "--jobs", "1", "--json"]);
    command.env("HELIXAI_TEST_MORE_TEMPLATE", file);
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_run_killed_at_any_point_is_finished_by_the_next() {
    let killed = Killed::start(250).await;
    for name in TENANTS {
        killed.test.onboard(name, "general").await;
    }
    let admin = killed.test.admin().await;
    let folder = tempfile::tempdir().unwrap();
    for (version, point) in (next(CORE)..).zip(points("migrate")) {
        must_die(newer(&killed, &folder, version), &point).await;
        let mut done = 0;
        for name in TENANTS {
            let reached = reached(&admin, name).await;
            assert!(reached == version || reached == version - 1, "{point}");
            done += i64::from(reached == version);
        }
        let committed = ["migrate.committed", "migrate.noted"].contains(&point.as_str());
        assert_eq!(done, i64::from(committed), "{point}");
        let run = ended(newer(&killed, &folder, version)).await;
        assert!(run.status.success(), "{point}: {run:?}");
        mirrored(&admin).await;
        for name in TENANTS {
            assert_eq!(reached(&admin, name).await, version, "{point}");
        }
        let audited = format!(
            "select count(*) from master.audit_log
             where action = 'tenant.migrate' and details -> 'to' ->> 'core' = '{version}'"
        );
        assert_eq!(number(&admin, &audited).await, 3, "{point}: each once");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_run_killed_at_any_moment_is_finished_by_the_next() {
    const KILLS: i32 = 8;
    let killed = Killed::start(250).await;
    for name in TENANTS {
        killed.test.onboard(name, "general").await;
    }
    let admin = killed.test.admin().await;
    let folder = tempfile::tempdir().unwrap();
    let first = next(CORE);
    let started = Instant::now();
    assert!(ended(newer(&killed, &folder, first)).await.status.success());
    let whole = started.elapsed();
    for number in 1..=KILLS {
        let mut child = newer(&killed, &folder, first + number)
            .spawn()
            .expect("the program runs");
        tokio::time::sleep(whole.mul_f64(0.4 + 0.6 * f64::from(number) / f64::from(KILLS))).await;
        child.kill().expect("a signal");
        child.wait().expect("its end");
    }
    // The server may still be at what the last one has asked for.
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let run = ended(newer(&killed, &folder, first + KILLS)).await;
        if run.status.success() {
            break;
        }
        assert!(run.status.code() == Some(6) && Instant::now() < end, "{run:?}");
    }
    mirrored(&admin).await;
    for name in TENANTS {
        assert_eq!(reached(&admin, name).await, first + KILLS);
    }
}
