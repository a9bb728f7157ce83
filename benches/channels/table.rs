//! What is printed: tables in Markdown.

use std::time::Duration;

use crate::place::connect;
use crate::program::{Idle, Memory};
use crate::traffic::Answered;

/// The machine and the server, without which the numbers mean nothing.
pub async fn conditions(url: &str) -> anyhow::Result<()> {
    let server = connect(url).await?;
    let setting = "select current_setting('server_version'), current_setting('fsync')";
    let row = server.query_one(setting, &[]).await?;
    let (version, fsync): (String, String) = (row.get(0), row.get(1));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown");
    println!(
        "PostgreSQL {version} (fsync {fsync}), {cores} cores shared by the program, its providers and the database; load before \
         the start {load}"
    );
    Ok(())
}

/// Heads the table of stages.
pub fn stages(seconds: u64) {
    println!(
        "\n| one process | resident | heap and stacks | for each (resident) | idle for {seconds} s: of a core | transactions/s |\n\
         |---|---|---|---|---|---|"
    );
}

/// One stage; `since`: what there was before, and how many have come.
pub fn stage(name: &str, memory: Memory, since: Option<(Memory, usize)>, idle: Idle) {
    let each = match since {
        Some((before, count)) if count > 0 => format!(
            "{:.0} KiB ({:.0} KiB)",
            per(memory.anonymous, before.anonymous, count),
            per(memory.resident, before.resident, count)
        ),
        _ => "–".to_owned(),
    };
    println!(
        "| {name} | {} MiB | {} MiB | {each} | {:.1} % | {:.1} |",
        memory.resident / 1024,
        memory.anonymous / 1024,
        idle.core * 100.0,
        idle.transactions
    );
}

#[expect(clippy::cast_precision_loss, reason = "millions")]
fn per(now: u64, before: u64, count: usize) -> f64 {
    now.saturating_sub(before) as f64 / count as f64
}

/// Messages that came in and were answered.
pub fn answered(all: &[Answered]) {
    println!(
        "\n| greeted, each for the first time | a second | of a core for each, the program alone |\n|---|---|---|"
    );
    for one in all {
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let count = one.messages as f64;
        println!(
            "| {} people on {} | {:.0} | {:.2} ms |",
            one.messages,
            one.channel,
            count / one.took.as_secs_f64(),
            ms(one.used) / count
        );
    }
}

/// Heads the table of the inbox.
pub fn inbox(messages: usize, conversations: usize) {
    println!(
        "\n| one tenant, {messages} messages in {conversations} conversations | program p50 | p99 | bare SQL p50 | p99 | ratio of p50 |\n\
         |---|---|---|---|---|---|"
    );
}

/// One question to the inbox; the times are sorted.
pub fn asked(name: &str, program: &[Duration], sql: &[Duration], ratio: f64) {
    println!(
        "| {name} | {:.1} ms | {:.1} ms | {:.1} ms | {:.1} ms | {ratio:.2} |",
        ms(at(program, 50)),
        ms(at(program, 99)),
        ms(at(sql, 50)),
        ms(at(sql, 99))
    );
}

/// The percentile of sorted times.
pub fn at(sorted: &[Duration], percent: usize) -> Duration {
    let place = sorted.len().saturating_sub(1) * percent / 100;
    sorted.get(place).copied().unwrap_or_default()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
