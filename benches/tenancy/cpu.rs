//! Time of the cores, which is what a request costs whoever else uses the machine, and memory. Linux only; elsewhere
//! all is zero.

use std::path::Path;
use std::time::Duration;

/// Ticks of `utime` and `stime` are of this length on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// What this process and the server have used since they began.
#[derive(Debug, Clone, Copy, Default)]
pub struct Used {
    pub process: Duration,
    pub postgres: Duration,
}

impl Used {
    /// Now. `postmaster` is the process id of a PostgreSQL on this machine.
    pub fn now(postmaster: Option<u32>) -> Self {
        Self {
            process: ticks("self", 10),
            postgres: postmaster.map_or(Duration::ZERO, server),
        }
    }

    pub fn since(self, before: Self) -> Self {
        Self {
            process: self.process.saturating_sub(before.process),
            postgres: self.postgres.saturating_sub(before.postgres),
        }
    }
}

/// What the calling thread has used.
pub fn of_this_thread() -> Duration {
    run_time(Path::new("/proc/thread-self/schedstat"))
}

/// The process that starts PostgreSQL's others, given one of them.
pub fn parent_of(pid: u32) -> Option<u32> {
    stat_fields(&pid.to_string()).first()?.parse().ok()
}

/// Kilobytes that a process shares with no other.
pub fn private_memory(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let kilobytes = text.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        let private = matches!(name, "Private_Clean" | "Private_Dirty");
        private.then(|| value.trim().trim_end_matches(" kB").parse::<u64>().ok())?
    });
    Some(kilobytes.sum())
}

/// All of the server's processes, those that have ended included.
fn server(postmaster: u32) -> Duration {
    let children =
        std::fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).unwrap_or_default();
    let running: Duration = children
        .split_whitespace()
        .map(|pid| run_time(Path::new(&format!("/proc/{pid}/schedstat"))))
        .sum();
    running + ticks(&postmaster.to_string(), 12)
}

/// Two neighbouring times of a process, in user and in system mode: its own are fields 10 and 11, those of its
/// ended children 12 and 13. Coarse, but complete: the threads that have ended are in it.
fn ticks(process: &str, first: usize) -> Duration {
    let ticks: u32 = stat_fields(process)
        .iter()
        .skip(first)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u32>().ok())
        .sum();
    TICK * ticks
}

/// The fields of `/proc/<pid>/stat` from the parent's id on: the name before it may hold blanks.
fn stat_fields(process: &str) -> Vec<String> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    rest.split(' ').skip(1).map(str::to_owned).collect()
}

fn run_time(schedstat: &Path) -> Duration {
    std::fs::read_to_string(schedstat)
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .map_or(Duration::ZERO, Duration::from_nanos)
}
