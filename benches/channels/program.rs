//! `helixai serve` in a process of its own: asked over HTTP, and measured from outside. Linux only.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::Method;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::place::{Place, Tenant};

/// How long it may take to begin, and to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Requests that are under way at once.
pub const AT_ONCE: usize = 8;
/// Ticks of `utime` and `stime` are of this length on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// A running program. It is killed when this is dropped.
pub struct Program {
    child: Child,
    pid: u32,
    address: String,
    http: reqwest::Client,
    /// Until it is closed, the program may write there.
    _stdout: BufReader<ChildStdout>,
}

/// Memory of a process, in KiB.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// All that it has in memory, its own code included.
    pub resident: u64,
    /// What it has asked for: heap and stacks.
    pub anonymous: u64,
}

/// What a process does while nobody wants anything of it.
#[derive(Debug, Clone, Copy)]
pub struct Idle {
    /// Part of one core.
    pub core: f64,
    /// Transactions a second.
    pub transactions: f64,
}

impl Program {
    /// Starts it, with `more` settings than those of the place.
    pub async fn start(place: &Place, more: &[(&str, &str)]) -> anyhow::Result<Self> {
        let stderr = std::fs::File::create(place.folder.path().join("stderr.log"))?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_helixai"));
        command.arg("serve").stdin(Stdio::null()).kill_on_drop(true);
        let given = place
            .settings
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        for (key, value) in given.chain(more.iter().copied()) {
            let key = key.to_uppercase().replace('.', "__");
            command.env(format!("HELIXAI__{key}"), value);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn()?;
        let pid = child.id().context("a process")?;
        let mut stdout = BufReader::new(child.stdout.take().context("its output")?);
        let mut line = String::new();
        tokio::time::timeout(PATIENCE, stdout.read_line(&mut line))
            .await
            .context("it does not begin")??;
        let address = line
            .strip_prefix("listening on ")
            .and_then(|rest| rest.split_whitespace().next())
            .with_context(|| format!("it has not begun: {line}"))?
            .to_owned();
        Ok(Self {
            child,
            pid,
            address,
            http: reqwest::Client::builder().timeout(PATIENCE).no_proxy().build()?,
            _stdout: stdout,
        })
    }

    /// A request of a tenant, answered well.
    pub async fn call(
        &self,
        tenant: &Tenant,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Value> {
        let mut request = self
            .http
            .request(method, format!("http://{}{path}", self.address))
            .header("x-tenant-key", &tenant.key)
            .bearer_auth(&tenant.api_key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{path}: {status} {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// How long a request of a tenant takes, to the last byte.
    pub async fn time(&self, tenant: &Tenant, path: &str) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let request = self
            .http
            .get(format!("http://{}{path}", self.address))
            .header("x-tenant-key", &tenant.key)
            .bearer_auth(&tenant.api_key);
        let answer = request.send().await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        let taken = begun.elapsed();
        ensure!(status.is_success() && !body.is_empty(), "{path}: {status}");
        Ok(taken)
    }

    /// Each tenant asks once: from then on it is known.
    pub async fn greet(&self, tenants: &[Tenant]) -> anyhow::Result<()> {
        stream::iter(tenants)
            .map(|tenant| self.call(tenant, Method::GET, "/api/bots/my", None))
            .buffer_unordered(AT_ONCE)
            .try_for_each(|_| std::future::ready(Ok(())))
            .await
    }

    /// What it has now.
    pub fn memory(&self) -> anyhow::Result<Memory> {
        let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid))?;
        let of = |wanted: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(wanted));
            let line = line.with_context(|| format!("no {wanted} in smaps_rollup"))?;
            anyhow::Ok(line.trim().trim_end_matches(" kB").parse()?)
        };
        Ok(Memory {
            resident: of("Rss:")?,
            anonymous: of("Anonymous:")?,
        })
    }

    /// Time of the cores that it has used since it began.
    pub fn used(&self) -> anyhow::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        // The name before it may hold blanks.
        let (_, fields) = stat.rsplit_once(") ").context("fields")?;
        let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u32>);
        let ticks: u32 = ticks.sum::<Result<u32, _>>()?;
        Ok(TICK * ticks)
    }

    /// What it does for so long.
    pub async fn idle(&self, place: &Place, watched: Duration) -> anyhow::Result<Idle> {
        let (used, made, begun) = (self.used()?, place.transactions().await?, Instant::now());
        tokio::time::sleep(watched).await;
        let (used, made) = (self.used()? - used, place.transactions().await? - made);
        let seconds = begun.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let transactions = made as f64 / seconds;
        Ok(Idle {
            core: used.as_secs_f64() / seconds,
            transactions,
        })
    }

    /// Ends it in order.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        kill(Pid::from_raw(i32::try_from(self.pid)?), Signal::SIGTERM)?;
        match tokio::time::timeout(PATIENCE, self.child.wait()).await {
            Ok(status) if status.as_ref().is_ok_and(|status| status.success()) => Ok(()),
            Ok(status) => bail!("it has ended with {status:?}"),
            Err(_) => bail!("it does not end"),
        }
    }
}
