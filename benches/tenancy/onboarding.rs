//! What an onboarding costs beside the SQL that it must run in any case.

use std::time::{Duration, Instant};

use helixai::accounts::hashing;
use helixai::db::shard::template::{CORE, Template};
use helixai::domain::random;
use helixai::domain::tenant::Niche;
use helixai::platform::Platform;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use crate::platform::{Bench, onboard, password};
use crate::table;

/// Measures both ways alternately and prints the medians.
pub async fn compare(bench: &Bench, when: &str, times: usize) -> anyhow::Result<()> {
    let (mut program, mut hash, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    // The first of each opens pools and is not counted.
    for number in 0..=times {
        let key = format!("measured-{}", random::letters(10, b"abcdefghijklmnopqrstuvwxyz"));
        let sql = bare_sql(&key)?;
        let started = Instant::now();
        onboard(&bench.platform, key).await?;
        let onboarded = Instant::now();
        hashing::hash(password()?).await?;
        let hashed = Instant::now();
        run_bare(&bench.connector.administrator().await?, &sql).await?;
        if number > 0 {
            program.push(onboarded - started);
            hash.push(hashed - onboarded);
            bare.push(hashed.elapsed());
        }
    }
    let [program, hash, bare] = [program, hash, bare].map(median);
    let rest = program.saturating_sub(hash);
    table::onboarding(when, program, hash, rest, bare);
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The same role, schema, grants, files and first rows, written as one would by hand: each file one message, on a
/// connection of its own, as `psql` has it, and nothing noted anywhere.
fn bare_sql(key: &str) -> anyhow::Result<Vec<String>> {
    let template = Template::embedded()?;
    let niche = template
        .niche(&Niche::parse(Niche::CARS)?)
        .cloned()
        .unwrap_or_default();
    let (schema, role) = (format!("bare_{key}"), format!("bare_{key}_role"));
    let mut sql = vec![
        "begin".to_owned(),
        format!(
            "create role \"{role}\" nologin noinherit;
             grant \"{role}\" to current_user;
             create schema \"{schema}\";
             grant usage on schema \"{schema}\" to \"{role}\";
             set local search_path = \"{schema}\", pg_temp;
             alter default privileges in schema \"{schema}\"
                 grant select, insert, update, delete on tables to \"{role}\";
             alter default privileges in schema \"{schema}\" grant usage on sequences to \"{role}\""
        ),
    ];
    for part in [template.core(), niche] {
        sql.extend(
            part.migrations
                .iter()
                .filter_map(|migration| migration.sql())
                .map(str::to_owned),
        );
        sql.extend(Some(part.seed).filter(|seed| !seed.trim().is_empty()));
    }
    sql.push(format!(
        "revoke update, delete on audit_log from \"{role}\";
         insert into users (id, email, name, password_hash, role, status, version, created_at, updated_at)
         values ('0198c0de-0000-7000-8000-000000000001', 'dono@example.com', 'Dono', '$argon2id$x', 'owner', 'active', 1,
                 now(), now());
         insert into api_keys (id, name, prefix, key_hash, scopes, created_by, created_at)
         values ('0198c0de-0000-7000-8000-000000000002', 'default', 'abcdefgh', sha256('{CORE}'), '{{read,write}}',
                 '0198c0de-0000-7000-8000-000000000001', now())"
    ));
    sql.push("commit".to_owned());
    Ok(sql)
}

async fn run_bare(admin: &Client, sql: &[String]) -> anyhow::Result<()> {
    for message in sql {
        admin.batch_execute(message).await?;
    }
    Ok(())
}

/// One onboarding a second beside the requests.
pub struct Background {
    platform: Platform,
}

impl Background {
    pub fn new(platform: Platform) -> Self {
        Self { platform }
    }

    /// Goes on until the handle is aborted. The first one begins at once.
    pub fn start(&self) -> JoinHandle<anyhow::Result<()>> {
        let platform = self.platform.clone();
        tokio::spawn(async move {
            let mut every = tokio::time::interval(Duration::from_secs(1));
            loop {
                every.tick().await;
                let key = format!("beside-{}", random::letters(10, b"abcdefghijklmnopqrstuvwxyz"));
                onboard(&platform, key).await?;
            }
        })
    }
}
