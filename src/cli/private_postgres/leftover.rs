//! Ends the server that a killed program left running, and the lock files that would stop the next one.
//!
//! Only called while the folder's lock is held, so nobody is using that server any more. It is ended and not
//! taken over: the next server then always runs with the settings that were asked for.

use std::ffi::OsStr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What is sent, in turn, and how long each may take: a clean stop, a stop without a checkpoint, the end.
pub(super) const STOPPING: &[(Signal, Duration)] = &[
    (Signal::SIGINT, Duration::from_secs(30)),
    (Signal::SIGQUIT, Duration::from_secs(10)),
    (Signal::SIGKILL, Duration::from_secs(10)),
];

const POLL: Duration = Duration::from_millis(10);

/// Stops the server that runs on a cluster, if there is one, and removes its lock files.
pub async fn stop_server_of(cluster: &Path) -> anyhow::Result<()> {
    let pid_file = cluster.join("postmaster.pid");
    let noted = std::fs::read_to_string(&pid_file).unwrap_or_default();
    let postmaster = noted
        .lines()
        .next()
        .and_then(|line| line.trim().parse().ok())
        .map(Pid::from_raw);
    if let Some(pid) = postmaster.filter(|pid| is_server_of(*pid, cluster)) {
        stop_process(pid, || is_server_of(pid, cluster)).await?;
    }
    // Backends whose postmaster was killed finish their statement first; a new server waits for all of them.
    let deadline = Instant::now() + Duration::from_secs(10);
    while quit_processes_in(cluster) > 0 {
        if Instant::now() > deadline {
            bail!(
                "processes of an earlier PostgreSQL still use {}",
                cluster.display()
            );
        }
        tokio::time::sleep(POLL).await;
    }
    // The number in them may by now belong to any process, and PostgreSQL would believe that it is a server.
    let _ = std::fs::remove_file(&pid_file);
    Ok(())
}

async fn stop_process(pid: Pid, still_runs: impl Fn() -> bool) -> anyhow::Result<()> {
    for (signal, patience) in STOPPING {
        match kill(pid, *signal) {
            Ok(()) => {}
            Err(Errno::ESRCH) => return Ok(()),
            Err(error) => bail!("the PostgreSQL left running as process {pid} cannot be stopped: {error}"),
        }
        let deadline = Instant::now() + *patience;
        while Instant::now() < deadline {
            if !still_runs() {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }
    bail!("the PostgreSQL left running as process {pid} does not stop")
}

/// Whether a process is the PostgreSQL server of this cluster, and not one that got its number later.
fn is_server_of(pid: Pid, cluster: &Path) -> bool {
    if Path::new("/proc/self/cwd").exists() {
        return is_postgres_in(pid.as_raw(), cluster);
    }
    // Systems without /proc: the server was started with its folder as an argument.
    let ps = std::process::Command::new("ps")
        .args(["-o", "command=", "-p", &pid.to_string()])
        .output();
    ps.is_ok_and(|ps| {
        let command = String::from_utf8_lossy(&ps.stdout);
        command.contains("postgres") && command.contains(&*cluster.to_string_lossy())
    })
}

/// A server and all its processes have the cluster as their working folder.
fn is_postgres_in(pid: i32, cluster: &Path) -> bool {
    let proc = Path::new("/proc").join(pid.to_string());
    let in_cluster = std::fs::read_link(proc.join("cwd")).is_ok_and(|cwd| cwd == cluster);
    in_cluster && std::fs::read_to_string(proc.join("comm")).is_ok_and(|comm| comm.trim() == "postgres")
}

/// Tells every process of the cluster's server to quit at once; answers how many there were.
pub(super) fn quit_processes_in(cluster: &Path) -> usize {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return 0;
    };
    processes
        .flatten()
        .filter_map(|entry| number(&entry.file_name()))
        .filter(|pid| is_postgres_in(*pid, cluster))
        .filter(|pid| kill(Pid::from_raw(*pid), Signal::SIGQUIT).is_ok())
        .count()
}

fn number(name: &OsStr) -> Option<i32> {
    name.to_str()?.parse().ok()
}
