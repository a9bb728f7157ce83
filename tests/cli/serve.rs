//! `helixai serve`: what it does not start with; and `helixai worker`, which does the rest of its work.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::program::Program;

/// A server that takes any port and writes no files.
async fn program() -> Program {
    Program::set_up()
        .await
        .with("HELIXAI__SERVER__PORT", "0")
        .with("HELIXAI__METRICS__BIND", "")
        .with("HELIXAI__LOGGING__TENANT_FILES", "false")
}

/// Starts it, waits until it listens, stops it; what it logged.
fn start_and_stop(program: &Program) -> String {
    run_until(program, "serve", "listening on 127.0.0.1:", || ())
}

/// Starts a command, waits for its first line, stops it when `done` returns; what it logged.
fn run_until(program: &Program, command: &str, says: &str, done: impl FnOnce()) -> String {
    let mut child = program
        .command(&[command])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut first = String::new();
    BufReader::new(child.stdout.take().expect("a pipe"))
        .read_line(&mut first)
        .expect("a line");
    assert!(first.starts_with(says), "{first}");
    done();
    let pid = Pid::from_raw(child.id().try_into().expect("a process number"));
    kill(pid, Signal::SIGTERM).expect("it runs");
    let mut logged = String::new();
    child
        .stderr
        .take()
        .expect("a pipe")
        .read_to_string(&mut logged)
        .expect("UTF-8");
    assert_eq!(child.wait().expect("its end").code(), Some(0), "{logged}");
    logged
}

#[tokio::test]
async fn it_does_not_start_when_tenants_are_not_kept_apart() {
    let program = program().await;
    let admin = program.admin().await;
    admin
        .batch_execute("grant usage on language plpgsql to public")
        .await
        .expect("a superuser");
    program
        .run(&["serve"])
        .expect(1)
        .says("revoke usage on language plpgsql from public");
    let accepted = program.with("HELIXAI__DATABASE__ALLOW_EXCESS_PRIVILEGES", "true");
    let logged = start_and_stop(&accepted);
    assert!(
        logged.contains("revoke usage on language plpgsql from public"),
        "{logged}"
    );
}

#[tokio::test]
async fn it_starts_on_a_sound_database_and_warns_of_too_many_connections() {
    let program = program().await;
    let logged = start_and_stop(&program);
    assert!(!logged.contains("WARN"), "{logged}");
    let greedy = program.with("HELIXAI__DATABASE__MASTER_POOL", "1000");
    let logged = start_and_stop(&greedy);
    assert!(logged.contains("1004 connections may be needed"), "{logged}");
}

#[cfg(feature = "kill_points")]
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_finishes_what_a_server_leaves_to_it() {
    use std::os::unix::process::ExitStatusExt as _;

    let program = program().await.with("HELIXAI__SERVER__BACKGROUND_WORK", "false");
    let arguments = [
        "tenant",
        "create",
        "garage",
        "--name",
        "Garage",
        "--niche",
        "cars",
        "--owner-email",
        "ana@garage.example",
        "--owner-name",
        "Ana",
    ];
    let killed = program
        .command(&arguments)
        .env("HELIXAI_KILL_AT", "onboard.intent")
        .output()
        .expect("the program runs");
    assert_eq!(killed.status.signal(), Some(9), "{killed:?}");
    let admin = program.admin().await;
    admin
        .batch_execute("update master.tenants set lease_expires_at = now() - interval '1 minute'")
        .await
        .expect("the lease has run out");
    let status = || program.json(&["tenant", "show", "garage"])["status"].clone();

    // Enough requests' worth of time for a reconciler, which begins at once.
    run_until(&program, "serve", "listening on", || {
        for _ in 0..3 {
            assert_eq!(status(), "provisioning");
        }
    });
    run_until(&program, "worker", "working", || {
        while status() != "active" {
            std::thread::yield_now();
        }
    });
}
