//! A connection's bytes: opened and logged in by `tokio-postgres`, then spoken on by whoever holds it.
//!
//! `tokio-postgres` synchronises after every statement, which costs a small request more than its query does. So it
//! does here what it does best (addresses, authentication, start-up) and hands the stream back.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use postgres_protocol::message::frontend;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::{Handle, Id};
use tokio::sync::oneshot;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::{MakeTlsConnect, NoTls, TlsConnect as _};
use tokio_postgres::{Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::DbError;

/// The bytes of one connection.
pub struct Stream {
    bytes: Bytes,
    /// The same socket, to be looked at without reading.
    probe: socket2::Socket,
}

enum Bytes {
    Plain(Socket),
    Tls(Box<<MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>),
}

impl Stream {
    /// Connects and logs in.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn open(config: &Config, tls: &MakeRustlsConnect) -> Result<Self, DbError> {
        let opening = async {
            let socket = Socket::connect(config).await.map_err(unavailable)?;
            let probe = socket.probe().map_err(unavailable)?;
            let bytes = encrypt(config, socket, tls).await?;
            login(config, Self { bytes, probe }).await
        };
        match config.get_connect_timeout() {
            Some(limit) => tokio::time::timeout(*limit, opening)
                .await
                .map_err(|_| DbError::Unavailable("connection timed out".to_owned()))?,
            None => opening.await,
        }
    }

    /// Whether the server has sent nothing, not even its end. Asks the kernel: a runtime that has not driven this socket
    /// before knows nothing of it.
    pub fn is_quiet(&self) -> bool {
        let looked = self.probe.peek(&mut [MaybeUninit::uninit()]);
        matches!(looked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

fn unavailable(error: impl std::fmt::Display) -> DbError {
    DbError::Unavailable(error.to_string())
}

async fn encrypt(config: &Config, mut socket: Socket, tls: &MakeRustlsConnect) -> Result<Bytes, DbError> {
    let Some(Host::Tcp(host)) = config.get_hosts().first() else {
        return Ok(Bytes::Plain(socket));
    };
    if config.get_ssl_mode() == SslMode::Disable {
        return Ok(Bytes::Plain(socket));
    }
    let mut request = bytes::BytesMut::new();
    frontend::ssl_request(&mut request);
    socket.write_all(&request).await.map_err(unavailable)?;
    if socket.read_u8().await.map_err(unavailable)? != b'S' {
        return match config.get_ssl_mode() {
            SslMode::Prefer => Ok(Bytes::Plain(socket)),
            _ => Err(unavailable("the server does not offer TLS")),
        };
    }
    let connect = MakeTlsConnect::<Socket>::make_tls_connect(&mut tls.clone(), host).map_err(unavailable)?;
    let encrypted = connect.connect(socket).await.map_err(unavailable)?;
    Ok(Bytes::Tls(Box::new(encrypted)))
}

async fn login(config: &Config, stream: Stream) -> Result<Stream, DbError> {
    let (back, mut returned) = oneshot::channel();
    let lent = Lent {
        stream: Some(stream),
        back: Some(back),
    };
    let mut config = config.clone();
    config.ssl_mode(SslMode::Disable);
    // Dropped at once, which says nothing to the server: it only gives the stream back.
    drop(
        config
            .connect_raw(lent, NoTls)
            .await
            .map_err(|error: Error| error)?,
    );
    returned.try_recv().map_err(unavailable)
}

/// A stream on loan: returned when it is dropped.
struct Lent {
    stream: Option<Stream>,
    back: Option<oneshot::Sender<Stream>>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(back), Some(stream)) = (self.back.take(), self.stream.take()) {
            // Nobody waits for it any more when opening has been given up.
            let _ = back.send(stream);
        }
    }
}

/// Where the address does not say: how often a silent server is asked whether it is there, and how many times.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(10);
const KEEPALIVES: u32 = 3;
/// How long what was sent may stay unacknowledged.
const UNANSWERED: Duration = Duration::from_secs(30);

/// A socket that is driven by the runtime that uses it, whichever opened it: each of the server's threads has its
/// own, and an answer that arrives at another thread has to wake this one, which costs a fifth of a small request.
pub struct Socket {
    /// There but for a moment in [`Socket::here`].
    kind: Option<Kind>,
    runtime: Id,
}

enum Kind {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    async fn connect(config: &Config) -> io::Result<Self> {
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let kind = match (config.get_hostaddrs().first(), config.get_hosts().first()) {
            (Some(address), _) => {
                Self::tcp(TcpStream::connect(SocketAddr::new(*address, port)).await?, config)?
            }
            (None, Some(Host::Tcp(host))) => {
                Self::tcp(TcpStream::connect((host.as_str(), port)).await?, config)?
            }
            (None, Some(Host::Unix(folder))) => {
                Kind::Unix(UnixStream::connect(folder.join(format!(".s.PGSQL.{port}"))).await?)
            }
            (None, None) => return Err(io::Error::other("the address names no host")),
        };
        Ok(Self {
            kind: Some(kind),
            runtime: Handle::current().id(),
        })
    }

    fn tcp(stream: TcpStream, config: &Config) -> io::Result<Kind> {
        stream.set_nodelay(true)?;
        if config.get_keepalives() {
            let keepalive = socket2::TcpKeepalive::new()
                .with_time(config.get_keepalives_idle())
                .with_interval(config.get_keepalives_interval().unwrap_or(KEEPALIVE_EVERY))
                .with_retries(config.get_keepalives_retries().unwrap_or(KEEPALIVES));
            socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
        }
        // A network that swallows what is sent is noticed by this alone.
        #[cfg(target_os = "linux")]
        socket2::SockRef::from(&stream)
            .set_tcp_user_timeout(Some(config.get_tcp_user_timeout().copied().unwrap_or(UNANSWERED)))?;
        Ok(Kind::Tcp(stream))
    }

    /// A second handle.
    fn probe(&self) -> io::Result<socket2::Socket> {
        match &self.kind {
            Some(Kind::Tcp(stream)) => socket2::SockRef::from(stream).try_clone(),
            Some(Kind::Unix(stream)) => socket2::SockRef::from(stream).try_clone(),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// The socket, driven by the current runtime.
    fn here(&mut self) -> io::Result<&mut Kind> {
        let runtime = Handle::try_current().map_err(io::Error::other)?.id();
        if runtime != self.runtime {
            self.kind = Some(match self.kind.take() {
                Some(Kind::Tcp(stream)) => Kind::Tcp(TcpStream::from_std(stream.into_std()?)?),
                Some(Kind::Unix(stream)) => Kind::Unix(UnixStream::from_std(stream.into_std()?)?),
                None => return Err(io::ErrorKind::NotConnected.into()),
            });
            self.runtime = runtime;
        }
        self.kind
            .as_mut()
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

/// Hands reading and writing on to what is inside.
macro_rules! delegate_io {
    ($outer:ty, $self:ident, $context:ident => $($inner:pat => $stream:expr),+ ; in $place:expr) => {
        impl AsyncRead for $outer {
            fn poll_read(
                self: Pin<&mut Self>, $context: &mut Context<'_>, buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                let $self = self.get_mut();
                match $place { $($inner => Pin::new($stream).poll_read($context, buffer),)+ }
            }
        }

        impl AsyncWrite for $outer {
            fn poll_write(
                self: Pin<&mut Self>, $context: &mut Context<'_>, bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                let $self = self.get_mut();
                match $place { $($inner => Pin::new($stream).poll_write($context, bytes),)+ }
            }

            fn poll_flush(self: Pin<&mut Self>, $context: &mut Context<'_>) -> Poll<io::Result<()>> {
                let $self = self.get_mut();
                match $place { $($inner => Pin::new($stream).poll_flush($context),)+ }
            }

            fn poll_shutdown(self: Pin<&mut Self>, $context: &mut Context<'_>) -> Poll<io::Result<()>> {
                let $self = self.get_mut();
                match $place { $($inner => Pin::new($stream).poll_shutdown($context),)+ }
            }
        }
    };
}

delegate_io!(Socket, this, context => Kind::Tcp(stream) => stream, Kind::Unix(stream) => stream; in this.here()?);
delegate_io!(Stream, this, context => Bytes::Plain(stream) => stream, Bytes::Tls(stream) => stream.as_mut(); in &mut this.bytes);
delegate_io!(Lent, this, context => stream => stream; in this.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?);
