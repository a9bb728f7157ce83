//! The line between the program and PostgreSQL, to be cut, held silent and mended while both live.

use std::str::FromStr as _;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// What the line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Carries.
    Up,
    /// Ends every connection, new ones at once.
    Cut,
    /// Takes connections and bytes and carries nothing: a network that has lost its other side.
    Silent,
}

/// A proxy in the way; it ends with the test's runtime.
pub struct Line {
    port: u16,
    state: watch::Sender<State>,
}

impl Line {
    /// Stands before the server of `url`.
    pub async fn start(url: &str) -> Self {
        let config = Arc::new(Config::from_str(url).expect("an address"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("a port").port();
        let (state, seen) = watch::channel(State::Up);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (config, seen) = (Arc::clone(&config), seen.clone());
                tokio::spawn(async move {
                    let port = config.get_ports().first().copied().unwrap_or(5432);
                    match config.get_hosts().first() {
                        Some(Host::Unix(folder)) => {
                            let path = folder.join(format!(".s.PGSQL.{port}"));
                            carry(client, UnixStream::connect(path).await, seen).await;
                        }
                        Some(Host::Tcp(host)) => {
                            carry(client, TcpStream::connect((host.as_str(), port)).await, seen).await;
                        }
                        None => panic!("the address names no host"),
                    }
                });
            }
        });
        Self { port, state }
    }

    /// The address over this line instead of `url`.
    pub fn url(&self, url: &str) -> String {
        through(url, self.port)
    }

    /// From now on it does this.
    pub fn set(&self, state: State) {
        self.state.send_replace(state);
    }
}

/// The address `url`, but by way of a port of this machine.
pub fn through(url: &str, port: u16) -> String {
    let config = Config::from_str(url).expect("an address");
    let password = config.get_password().map_or(String::new(), |password| {
        format!(":{}", std::str::from_utf8(password).expect("UTF-8"))
    });
    format!(
        "postgres://{}{password}@127.0.0.1:{port}/{}?sslmode=disable",
        config.get_user().expect("a user"),
        config.get_dbname().expect("a database"),
    )
}

async fn carry<S>(client: TcpStream, server: std::io::Result<S>, mut state: watch::Receiver<State>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Ok(mut server) = server else { return };
    let mut client = client;
    let (mut up, mut down) = ([0; 8192], [0; 8192]);
    let mut was_silent = false;
    loop {
        let now = *state.borrow_and_update();
        match now {
            State::Cut => return,
            // What was lost is not made good: the connection has a gap.
            State::Up if was_silent => return,
            State::Up => {}
            State::Silent => was_silent = true,
        }
        tokio::select! {
            changed = state.changed() => if changed.is_err() { return },
            read = client.read(&mut up) => match read {
                Ok(length @ 1..) if now == State::Up => if server.write_all(&up[..length]).await.is_err() { return },
                Ok(1..) => {}
                _ => return,
            },
            read = server.read(&mut down), if now == State::Up => match read {
                Ok(length @ 1..) => if client.write_all(&down[..length]).await.is_err() { return },
                _ => return,
            },
        }
    }
}
