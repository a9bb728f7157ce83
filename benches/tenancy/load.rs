//! A closed-loop HTTP/1.1 client: so many connections, each sending its next request when the last one is answered.
//!
//! Written by hand because client and server share the machine's cores, and every microsecond that the client takes
//! makes the servers look more alike: a request is bytes made beforehand, and of an answer only the status and the
//! length are read.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::cpu;

/// The bytes of a request.
#[derive(Clone)]
pub struct Request(Arc<[u8]>);

impl Request {
    /// A `GET` on the base domain.
    pub fn get(path: &str, headers: &[(&str, &str)]) -> Self {
        let mut text = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        Self(text.into_bytes().into())
    }
}

/// Which request is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Any, until the time is over.
    Random,
    /// Each one time.
    EachOnce,
}

/// What is sent to whom.
pub struct Load {
    pub address: SocketAddr,
    pub requests: Arc<[Request]>,
    pub order: Order,
    pub concurrency: usize,
    pub time: Duration,
    /// Differs from round to round, so that rounds do not repeat each other's choices.
    pub seed: u64,
    /// Whether a refusal is no failure, only no answer.
    pub may_be_refused: bool,
}

/// What came of it.
pub struct Outcome {
    pub answered: usize,
    pub took: Duration,
    /// Microseconds of each request, sorted.
    pub latencies: Vec<u32>,
    /// Time of a core that the client itself took.
    pub client_cpu: Duration,
}

/// Sends the load from a thread of its own.
///
/// # Errors
/// When an answer is not 200 and may not be: what is measured is the serving, not the refusing.
pub async fn run(load: Load) -> anyhow::Result<Outcome> {
    tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let before = cpu::of_this_thread();
        let mut outcome = LocalSet::new().block_on(&runtime, send(Rc::new(load)))?;
        outcome.client_cpu = cpu::of_this_thread().saturating_sub(before);
        Ok(outcome)
    })
    .await?
}

async fn send(load: Rc<Load>) -> anyhow::Result<Outcome> {
    let started = Instant::now();
    let next = Rc::new(Cell::new(0));
    let tasks: Vec<_> = (0..load.concurrency)
        .map(|number| tokio::task::spawn_local(client(Rc::clone(&load), number, Rc::clone(&next), started)))
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    let took = started.elapsed();
    latencies.sort_unstable();
    Ok(Outcome {
        answered: latencies.len(),
        took,
        latencies,
        client_cpu: Duration::ZERO,
    })
}

async fn client(
    load: Rc<Load>,
    number: usize,
    next: Rc<Cell<usize>>,
    started: Instant,
) -> anyhow::Result<Vec<u32>> {
    let mut connection = Connection::open(load.address).await?;
    let mut random = Random(load.seed.wrapping_add(number as u64 + 1));
    let mut latencies = Vec::with_capacity(8192);
    loop {
        let index = match load.order {
            Order::Random if started.elapsed() >= load.time => return Ok(latencies),
            Order::Random => random.below(load.requests.len()),
            Order::EachOnce => next.replace(next.get() + 1),
        };
        let Some(request) = load.requests.get(index) else {
            return Ok(latencies);
        };
        let asked = Instant::now();
        if !load.may_be_refused {
            connection.ask(request).await?;
        } else if !connection.is_served(request).await? {
            continue;
        }
        latencies.push(u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
}

/// A kept-alive connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Where the body of the last answer begins.
    body: usize,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(64 * 1024),
            body: 0,
        })
    }

    /// Sends a request and reads the whole answer; yields its body.
    pub async fn ask(&mut self, request: &Request) -> anyhow::Result<&[u8]> {
        let served = self.is_served(request).await?;
        let body = self.buffer.get(self.body..).unwrap_or_default();
        if !served {
            let head: Vec<u8> = self.buffer.iter().copied().take(40).collect();
            bail!(
                "answered {}: {}",
                String::from_utf8_lossy(&head),
                String::from_utf8_lossy(body)
            );
        }
        Ok(body)
    }

    /// Sends a request, reads the whole answer, and tells whether it is 200.
    pub async fn is_served(&mut self, request: &Request) -> anyhow::Result<bool> {
        self.stream.write_all(&request.0).await?;
        self.buffer.clear();
        let end = loop {
            let read = self.stream.read_buf(&mut self.buffer).await?;
            ensure!(read > 0, "the server closed the connection");
            if let Some(head) = self.buffer.windows(4).position(|part| part == b"\r\n\r\n") {
                self.body = head + 4;
                break self.body + content_length(self.buffer.get(..self.body).unwrap_or_default())?;
            }
        };
        while self.buffer.len() < end {
            let read = self.stream.read_buf(&mut self.buffer).await?;
            ensure!(read > 0, "the server closed the connection");
        }
        self.buffer.truncate(end);
        Ok(self.buffer.starts_with(b"HTTP/1.1 200"))
    }
}

fn content_length(head: &[u8]) -> anyhow::Result<usize> {
    let head = std::str::from_utf8(head)?;
    let length = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())
            .flatten()
    });
    length.with_context(|| format!("an answer without a length: {head}"))
}

/// xorshift64*: which tenant is next need not be unpredictable, only cheap.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let value = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(value).unwrap_or(0) % end
    }
}
