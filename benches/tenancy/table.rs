//! What is printed.

use std::time::Duration;

use crate::platform::connect;
use crate::rounds::{Result, Sample};

/// The machine and the server, without which the numbers mean nothing.
pub async fn conditions(url: &str) -> anyhow::Result<()> {
    let server = connect(url).await?;
    let row = server
        .query_one(
            "select current_setting('server_version'), current_setting('fsync'), current_setting('shared_buffers')",
            &[],
        )
        .await?;
    let (version, fsync, buffers): (String, String, String) = (row.get(0), row.get(1), row.get(2));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown");
    println!(
        "PostgreSQL {version} (fsync {fsync}, shared_buffers {buffers}), {cores} cores shared by client, servers and \
         database; load before the start {load}"
    );
    Ok(())
}

pub fn heading(text: &str) {
    println!("\n{text}");
}

pub fn line(text: &str) {
    println!("  {text}");
}

/// One line about onboarding.
pub fn onboarding(when: &str, program: Duration, hash: Duration, rest: Duration, bare: Duration) {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    line(&format!(
        "{when}: {:.1} ms, of which argon2 {:.1}; the rest {:.1} ms = {:.2} x the bare SQL ({:.1} ms)",
        ms(program),
        ms(hash),
        ms(rest),
        ms(rest) / ms(bare),
        ms(bare),
    ));
}

/// The comparison. The first result is the limit.
pub fn results(results: &[Result]) {
    let Some(limit) = results.first() else {
        return;
    };
    println!(
        "  {:58} {:>10} {:>9} {:>8} {:>8} {:>12} {:>12}",
        "", "requests/s", "of limit", "p50 ms", "p99 ms", "program us", "database us"
    );
    for result in results {
        let of = |read: fn(&Sample) -> f64| median(result.samples.iter().map(read).collect());
        let ratio = median(
            result
                .samples
                .iter()
                .zip(&limit.samples)
                .map(|(sample, limit)| sample.per_second / limit.per_second)
                .collect(),
        );
        println!(
            "  {:58} {:>10.0} {:>9.2} {:>8.2} {:>8.2} {:>12.0} {:>12.0}",
            result.name,
            of(|sample| sample.per_second),
            ratio,
            of(|sample| sample.p50),
            of(|sample| sample.p99),
            of(|sample| sample.program_cpu),
            of(|sample| sample.postgres_cpu),
        );
    }
}

/// How to read the comparison.
pub fn legend() {
    println!(
        "  Medians of the rounds; `of limit` is the median of each round's ratio; us: time of a core per request."
    );
}

/// What the server keeps for each connection of a lane, and the program, in kilobytes.
pub fn memory(connections: &[u64], program: Option<u64>) {
    let mut sorted = connections.to_vec();
    sorted.sort_unstable();
    let middle = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    println!(
        "  Memory of the database for one connection of a lane, not shared: {} MB (median of {})",
        middle / 1024,
        sorted.len()
    );
    if let Some(kilobytes) = program {
        println!(
            "  Memory of the program, the comparisons and the load included: {} MB",
            kilobytes / 1024
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
