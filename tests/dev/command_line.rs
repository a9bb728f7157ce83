//! `helixai dev --database-only -- COMMAND`: exit codes, signals, nothing left behind.

use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use super::program::{DataDir, stderr, stdout};

fn helixai() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_helixai"));
    command.stdin(Stdio::null());
    command
}

#[test]
fn the_exit_code_is_the_commands() {
    let data = DataDir::new();
    let same =
        "test -n \"$DATABASE_URL\" && test \"$HELIXAI_TEST_DATABASE_URL\" = \"$DATABASE_URL\" && exit 7";
    assert_eq!(data.run(same).status.code(), Some(7));
    assert_eq!(data.run("kill -9 $$").status.code(), Some(128 + 9));
    let missing = data
        .database_only()
        .args(["--", "/no/such/program"])
        .output()
        .expect("the program runs");
    assert_eq!(missing.status.code(), Some(127));
    assert!(
        stderr(&missing).contains("/no/such/program does not run"),
        "{missing:?}"
    );
    assert_eq!(data.server(), None);
}

#[test]
fn signals_reach_the_command_and_stop_the_server() {
    let data = DataDir::new();
    for (signal, name) in [(Signal::SIGINT, "INT"), (Signal::SIGTERM, "TERM")] {
        let ready = data.path().join("ready");
        // The command needs the database still when it is told to stop.
        let script = format!(
            "trap 'psql \"$DATABASE_URL\" -XAtqc \"select 1\" >/dev/null && exit 5' {name}
             touch '{}'; while :; do sleep 0.02; done",
            ready.display()
        );
        let mut child = data
            .database_only()
            .args(["--", "sh", "-c", &script])
            .spawn()
            .expect("it runs");
        while !ready.exists() {
            assert_eq!(child.try_wait().expect("a child"), None);
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let pid = nix::unistd::Pid::from_raw(child.id().try_into().expect("a process number"));
        nix::sys::signal::kill(pid, signal).expect("it runs");
        assert_eq!(child.wait().expect("its end").code(), Some(5), "{name}");
        assert_eq!(data.server(), None, "{name}");
        std::fs::remove_file(ready).expect("own file");
    }
}

#[test]
fn without_a_command_it_waits_for_a_signal() {
    let data = DataDir::new();
    let mut running = data.start();
    assert!(running.url.starts_with("postgres://postgres:"), "{}", running.url);
    running.send(Signal::SIGTERM);
    assert_eq!(running.wait(), Some(0));
    assert_eq!(data.server(), None);
}

#[test]
fn a_temporary_folder_is_removed_also_after_a_kill() {
    let place = DataDir::new();
    std::fs::create_dir(place.path()).expect("own folder");
    std::fs::set_permissions(place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711))
        .expect("own folder");
    let folders = || std::fs::read_dir(place.path()).expect("own folder").count();
    let temporary = |script: &str| {
        let mut command = helixai();
        command.args(["dev", "--database-only", "--temporary", "--", "sh", "-c", script]);
        command.env("TMPDIR", place.path()).output().expect("it runs")
    };
    let killed = temporary("kill -9 $PPID");
    assert_eq!(killed.status.code(), None);
    assert_eq!(folders(), 1, "a killed program leaves its folder");
    let next = temporary("psql \"$DATABASE_URL\" -XAtqc 'show fsync'");
    assert_eq!(stdout(&next), "off", "{next:?}");
    assert_eq!(folders(), 0, "the next one removes both");
}

#[test]
fn wrong_arguments_are_refused() {
    for arguments in [
        &["dev", "--fast-unsafe"][..],
        &["dev", "--database-only", "--temporary", "--data-dir", "x"],
        &["dev", "--", "true"],
        &["nothing"],
    ] {
        let output = helixai().args(arguments).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
    }
}

#[test]
fn a_folder_without_postgresql_is_named() {
    let data = DataDir::new();
    let output = data
        .database_only()
        .env("HELIXAI_PG_BIN", "/usr/games")
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("/usr/games"), "{output:?}");
}
