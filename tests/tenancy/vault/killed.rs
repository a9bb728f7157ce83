//! The program dies as by `kill -9` at any named point of a backup by the clock.

use std::process::Command;

use super::files;
use crate::tenancy::killed::{Killed, ended, must_die, points};
use crate::tenancy::snapshots::number;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_turn_killed_at_any_point_is_had_again_and_leaves_nothing_behind() {
    let killed = Killed::start(250).await;
    killed.test.onboard("garage", "cars").await;
    let admin = killed.test.admin().await;
    let folder = tempfile::tempdir().expect("a folder");
    let settings = |mut command: Command| {
        command
            .env("HELIXAI__BACKUP__FOLDER", folder.path())
            .env("HELIXAI__BACKUP__KEEP_LAST", "1")
            .env("HELIXAI__BACKUP__KEEP_DAILY", "0")
            .env("HELIXAI__BACKUP__KEEP_WEEKLY", "0")
            .env("HELIXAI__BACKUP__KEEP_MONTHLY", "0");
        command
    };
    let run = || settings(killed.command(&["backup", "run", "--all", "--json"]));
    let first = ended(run()).await;
    assert!(first.status.success(), "{first:?}");
    for point in points("vault").into_iter().chain(points("backup")) {
        must_die(run(), &point).await;
        // Whenever it dies, what a row names is there, whole.
        let named: String = admin
            .query_one("select file_name from master.tenant_backups", &[])
            .await
            .unwrap_or_else(|error| panic!("{point}: one row: {error:?}"))
            .get(0);
        let there = files(folder.path());
        let file = there.iter().find(|path| path.ends_with(&named));
        let file = file.unwrap_or_else(|| panic!("{point}: {named} of {there:?}"));
        let verify = ["tenant", "verify", file.to_str().expect("UTF-8")];
        assert!(ended(killed.command(&verify)).await.status.success(), "{point}");
        // The lease runs out.
        admin
            .batch_execute("update master.tenant_backup_turns set leased_until = now() - interval '1 second' where leased_by is not null")
            .await
            .unwrap();
        // As long as the dead one's connection is not seen to be closed, the tenant is held.
        killed.restart().await;
        let again = ended(run()).await;
        assert!(again.status.success(), "{point}: {again:?}");
        let there = files(folder.path());
        assert_eq!(there.len(), 1, "{point}: {there:?}");
        assert_eq!(
            number(&admin, "select count(*) from master.tenant_backups").await,
            1,
            "{point}"
        );
        assert_eq!(
            number(
                &admin,
                "select count(*) from master.tenant_backup_turns where failures = 0 and leased_by is null"
            )
            .await,
            1,
            "{point}"
        );
        assert_eq!(killed.consistent().await, ["garage"], "{point}");
    }
}
