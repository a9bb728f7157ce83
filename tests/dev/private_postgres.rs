//! What the private PostgreSQL promises: data kept, a password asked, no obstacle left by a killed program.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::process::Command;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};

use super::program::{DataDir, database_only, stderr, stdout};

#[test]
fn started_again_it_finds_its_data() {
    let data = DataDir::new();
    data.sql("create table kept as select 42 as answer");
    assert_eq!(data.sql("select answer from kept"), "42");
    assert_eq!(data.server(), None, "the server is stopped with the command");
}

#[test]
fn a_killed_program_blocks_nothing() {
    let data = DataDir::new();
    data.sql("create table kept as select 42 as answer");

    let mut running = data.start();
    running.send(Signal::SIGKILL);
    running.wait();
    let left = data.server().expect("the server outlives the program");
    assert_eq!(data.sql("select answer from kept"), "42");
    assert!(is_gone(left), "the next start ended it");

    // The whole machine died: nothing runs, and the numbers in the lock files belong to others by now.
    let mut running = data.start();
    running.send(Signal::SIGKILL);
    running.wait();
    let server = data.server().expect("the server outlives the program");
    kill(server, Signal::SIGKILL).expect("it runs");
    let pid_file = data.path().join("pg/postmaster.pid");
    let other = std::fs::read_to_string(&pid_file)
        .expect("a killed server leaves it")
        .replacen(&server.to_string(), &std::process::id().to_string(), 1);
    std::fs::write(&pid_file, other).expect("own file");
    std::fs::write(
        data.path().join("run/.s.PGSQL.5432.lock"),
        std::process::id().to_string(),
    )
    .expect("own file");
    assert_eq!(data.sql("select answer from kept"), "42");
}

#[test]
fn two_programs_do_not_share_a_folder() {
    let data = DataDir::new();
    let running = data.start();
    let second = data.run("true");
    assert_eq!(second.status.code(), Some(1));
    assert!(
        stderr(&second).contains("in use by another helixai program"),
        "{second:?}"
    );

    let other = DataDir::new();
    assert_eq!(other.sql("select 1"), "1");
    drop(running);
    assert_eq!(data.sql("select 1"), "1");
}

#[test]
fn a_password_is_asked_and_nothing_listens_on_the_network() {
    let data = DataDir::new();
    let refused = data.run(
        "url=$(echo \"$DATABASE_URL\" | sed -E 's#:[^:@]*@#@#'); PGPASSWORD= psql -w \"$url\" -c 'select 1'",
    );
    assert_ne!(refused.status.code(), Some(0), "{refused:?}");
    assert!(stderr(&refused).contains("no password supplied"), "{refused:?}");

    assert_eq!(data.sql("select current_setting('listen_addresses')"), "");
    let methods = data.sql("select string_agg(distinct auth_method, ',') from pg_hba_file_rules");
    assert_eq!(methods, "scram-sha-256");

    let mode = |name| {
        std::fs::metadata(data.path().join(name))
            .expect(name)
            .permissions()
            .mode()
            & 0o777
    };
    for secret in ["postgres.password", "postgres.log"] {
        assert_eq!(mode(secret), 0o600, "{secret}");
    }
    assert_eq!(mode("pg"), 0o700);
}

#[test]
fn settings_that_a_thousand_schemas_need() {
    let data = DataDir::new();
    let settings = data.sql(
        "select string_agg(setting, ' ' order by name) from pg_settings
         where name in ('max_locks_per_transaction', 'wal_level', 'max_connections', 'password_encryption')",
    );
    assert_eq!(settings, "300 1024 scram-sha-256 logical");
    if cfg!(target_os = "linux") {
        assert_eq!(data.sql("show recovery_init_sync_method"), "syncfs");
    }
}

#[tokio::test]
async fn every_driver_takes_the_address() {
    let data = DataDir::new();
    let running = data.start();
    let (client, connection) = tokio_postgres::connect(&running.url, tokio_postgres::NoTls)
        .await
        .expect("tokio-postgres");
    let connection = tokio::spawn(connection);
    let row = client.query_one("select 1", &[]).await.expect("a row");
    assert_eq!(row.get::<_, i32>(0), 1);
    drop(client);
    connection.await.expect("no panic").expect("a clean end");

    let pool = sqlx::PgPool::connect(&running.url).await.expect("sqlx");
    let one: i32 = sqlx::query_scalar("select 1")
        .fetch_one(&pool)
        .await
        .expect("a row");
    assert_eq!(one, 1);
    pool.close().await;
}

#[test]
fn a_deep_data_folder_gets_a_short_socket() {
    let data = DataDir::new();
    let deep = data.path().join("deep/".repeat(25));
    let output = database_only(&deep)
        .args([
            "--",
            "sh",
            "-c",
            "echo \"$DATABASE_URL\"; psql \"$DATABASE_URL\" -XAtqc 'select 1'",
        ])
        .output()
        .expect("the program runs");
    let printed = stdout(&output);
    assert!(
        printed.contains("@%2Ftmp%2Fhelixai-") && printed.ends_with("\n1"),
        "{output:?}"
    );
}

#[test]
fn root_lends_the_server_another_user() {
    if !Uid::effective().is_root() {
        return;
    }
    let data = DataDir::new();
    let running = data.start();
    let server = data.server().expect("it runs");
    let owner = std::fs::metadata(format!("/proc/{server}")).expect("linux").uid();
    assert_ne!(owner, 0);
    assert_eq!(
        std::fs::metadata(data.path().join("pg"))
            .expect("the cluster")
            .uid(),
        owner
    );
    drop(running);

    // Inside a folder that the other user cannot enter, the cluster is put elsewhere and found again.
    let closed = tempfile::tempdir().expect("a temporary folder");
    std::fs::set_permissions(closed.path(), PermissionsExt::from_mode(0o700)).expect("own folder");
    let folder = closed.path().join("data");
    let sql = |statement: &str| {
        let script = format!("psql \"$DATABASE_URL\" -XAtqc \"{statement}\"");
        let output = database_only(&folder)
            .args(["--", "sh", "-c", &script])
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{output:?}");
        stdout(&output)
    };
    sql("create table kept as select 42 as answer");
    assert_eq!(sql("select answer from kept"), "42");
    let elsewhere = std::fs::read_to_string(folder.join("postgres.location")).expect("a note");
    assert!(!folder.join("pg").exists());
    std::fs::remove_dir_all(elsewhere).expect("the cluster");
}

/// Gone, or dead and not yet waited for by its new parent.
fn is_gone(pid: Pid) -> bool {
    let state = Command::new("cat")
        .arg(format!("/proc/{pid}/stat"))
        .output()
        .expect("cat");
    kill(pid, None) == Err(Errno::ESRCH) || stdout(&state).contains(") Z ")
}
