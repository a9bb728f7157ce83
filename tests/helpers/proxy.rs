//! A loopback proxy before PostgreSQL that understands just enough of the protocol to count round trips.
//!
//! A round trip begins when a client that owes no answer sends something that will be answered with
//! `ReadyForQuery`. Answers are held back for a moment: a client that waits in between is then seen to wait.

use std::collections::HashMap;
use std::str::FromStr as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_postgres::Config;
use tokio_postgres::config::Host;

const HELD_BACK: Duration = Duration::from_millis(15);

/// What the connections of one login have done.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    /// Round trips, without those of connecting.
    pub round_trips: usize,
    /// Texts parsed into a named statement: prepared.
    pub prepared: Vec<String>,
    /// Texts parsed and run at once.
    pub unprepared: Vec<String>,
    /// Statements run, prepared or not.
    pub executed: usize,
    /// Texts of the simple protocol.
    pub simple: Vec<String>,
    /// Connections opened.
    pub connections: usize,
}

/// The proxy; it ends with the test's runtime.
pub struct Proxy {
    port: u16,
    traffic: Arc<Mutex<HashMap<String, Traffic>>>,
}

enum Server {
    Unix(std::path::PathBuf),
    Tcp(String, u16),
}

impl Proxy {
    /// Stands before the server of `url`.
    pub async fn start(url: &str) -> Self {
        let config = Config::from_str(url).expect("an address");
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let server = Arc::new(match config.get_hosts().first() {
            Some(Host::Unix(folder)) => Server::Unix(folder.join(format!(".s.PGSQL.{port}"))),
            Some(Host::Tcp(host)) => Server::Tcp(host.clone(), port),
            None => panic!("the address names no host"),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("a port").port();
        let traffic = Arc::new(Mutex::new(HashMap::new()));
        let shared = Arc::clone(&traffic);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, traffic) = (Arc::clone(&server), Arc::clone(&shared));
                tokio::spawn(async move {
                    client.set_nodelay(true).expect("no delay");
                    match &*server {
                        Server::Unix(path) => relay(client, UnixStream::connect(path).await, traffic).await,
                        Server::Tcp(host, port) => {
                            relay(client, TcpStream::connect((host.as_str(), *port)).await, traffic).await;
                        }
                    }
                });
            }
        });
        Self { port, traffic }
    }

    /// The address through the proxy instead of `url`.
    pub fn url(&self, url: &str) -> String {
        super::line::through(url, self.port)
    }

    /// What a login has done since the last call.
    pub fn take(&self, login: &str) -> Traffic {
        self.traffic.lock().unwrap().remove(login).unwrap_or_default()
    }
}

/// One connection, between the two directions.
struct Connection {
    login: String,
    /// Answers owed to the client.
    owed: usize,
    traffic: Arc<Mutex<HashMap<String, Traffic>>>,
}

impl Connection {
    fn note(&self, change: impl FnOnce(&mut Traffic)) {
        change(
            self.traffic
                .lock()
                .unwrap()
                .entry(self.login.clone())
                .or_default(),
        );
    }

    fn will_be_answered(&mut self) {
        if self.owed == 0 {
            self.note(|traffic| traffic.round_trips += 1);
        }
        self.owed += 1;
    }

    fn client_sent(&mut self, kind: u8, body: &[u8]) {
        match kind {
            b'Q' => {
                self.will_be_answered();
                self.note(|traffic| traffic.simple.push(text(body).0));
            }
            b'S' => self.will_be_answered(),
            b'P' => {
                let (name, rest) = text(body);
                let (query, _) = text(rest);
                self.note(|traffic| match name.is_empty() {
                    true => traffic.unprepared.push(query),
                    false => traffic.prepared.push(query),
                });
            }
            b'E' => self.note(|traffic| traffic.executed += 1),
            _ => {}
        }
    }

    fn server_sent(&mut self, kind: u8) {
        if kind == b'Z' {
            self.owed -= 1;
        }
    }
}

/// A zero-terminated text and what follows it.
fn text(bytes: &[u8]) -> (String, &[u8]) {
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .expect("a terminated text");
    (
        String::from_utf8_lossy(&bytes[..end]).into_owned(),
        &bytes[end + 1..],
    )
}

async fn relay<S>(
    mut client: TcpStream,
    server: std::io::Result<S>,
    traffic: Arc<Mutex<HashMap<String, Traffic>>>,
) where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let Ok(mut server) = server.map(Box::pin) else {
        return;
    };
    let Ok(length) = client.read_u32().await else {
        return;
    };
    let mut startup = vec![0; length as usize - 4];
    if client.read_exact(&mut startup).await.is_err() {
        return;
    }
    let login = startup_user(&startup);
    let connection = Connection {
        login,
        // The end of connecting is a `ReadyForQuery`, too.
        owed: 1,
        traffic,
    };
    connection.note(|traffic| traffic.connections += 1);
    let _ = server.write_u32(length).await;
    let _ = server.write_all(&startup).await;
    let connection = Arc::new(Mutex::new(connection));
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let seen = Arc::clone(&connection);
    let there = async move {
        let mut messages = Messages::default();
        while messages
            .pass(&mut from_client, &mut to_server, Duration::ZERO, |kind, body| {
                seen.lock().unwrap().client_sent(kind, body);
            })
            .await
        {}
        let _ = to_server.shutdown().await;
    };
    let back = async move {
        let mut messages = Messages::default();
        while messages
            .pass(&mut from_server, &mut to_client, HELD_BACK, |kind, _| {
                connection.lock().unwrap().server_sent(kind);
            })
            .await
        {}
        let _ = to_client.shutdown().await;
    };
    tokio::join!(there, back);
}

fn startup_user(startup: &[u8]) -> String {
    let mut rest = &startup[4..];
    while rest.first().is_some_and(|byte| *byte != 0) {
        let (name, after) = text(rest);
        let (value, after) = text(after);
        if name == "user" {
            return value;
        }
        rest = after;
    }
    panic!("a startup message names its user: TLS is not spoken here");
}

/// Cuts a stream into messages: one byte of kind, four of length, the body.
#[derive(Default)]
struct Messages {
    buffer: Vec<u8>,
}

impl Messages {
    async fn pass(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        held_back: Duration,
        mut see: impl FnMut(u8, &[u8]),
    ) -> bool {
        let mut chunk = vec![0; 16 * 1024];
        let Ok(read) = from.read(&mut chunk).await else {
            return false;
        };
        if read == 0 {
            return false;
        }
        if !held_back.is_zero() {
            tokio::time::sleep(held_back).await;
        }
        self.buffer.extend_from_slice(&chunk[..read]);
        while let Some(length) = self.buffer.get(1..5) {
            let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize + 1;
            if self.buffer.len() < length {
                break;
            }
            see(self.buffer[0], &self.buffer[5..length]);
            self.buffer.drain(..length);
        }
        to.write_all(&chunk[..read]).await.is_ok()
    }
}
