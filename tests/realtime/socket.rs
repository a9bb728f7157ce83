//! The other side of a WebSocket, by hand: just enough of RFC 6455 to see what a browser would.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::helpers::TestTenant;

/// Whoever waits for longer waits for nothing.
const PATIENCE: Duration = Duration::from_secs(20);

/// An open socket.
pub struct WebSocket {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// What comes.
#[derive(Debug, PartialEq)]
pub enum Frame {
    Text(Value),
    Close(u16),
}

/// A refusal before the upgrade.
#[derive(Debug, PartialEq)]
pub struct RefusedWith(pub u16, pub String);

impl WebSocket {
    /// Asks for a socket at the tenant's address with these headers.
    pub async fn ask(
        address: SocketAddr,
        tenant: &TestTenant,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, RefusedWith> {
        let mut request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n",
            tenant.host()
        );
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        let mut stream = TcpStream::connect(address).await.expect("the server listens");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut socket = Self {
            stream,
            unread: Vec::new(),
        };
        let head = loop {
            let end = socket.unread.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                let head: Vec<u8> = socket.unread.drain(..end + 4).collect();
                break String::from_utf8(head).expect("UTF-8");
            }
            assert!(socket.read().await, "an answer");
        };
        let status: u16 = head
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .expect("a status");
        if status == 101 {
            return Ok(socket);
        }
        let lower = head.to_ascii_lowercase();
        let length = lower.split("content-length: ").nth(1).expect("a length");
        let length: usize = length
            .split("\r\n")
            .next()
            .expect("a line")
            .parse()
            .expect("a number");
        while socket.unread.len() < length {
            assert!(socket.read().await, "a whole answer");
        }
        let problem: Value = serde_json::from_slice(&socket.unread[..length]).expect("JSON");
        Err(RefusedWith(
            status,
            problem["code"].as_str().expect("a code").to_owned(),
        ))
    }

    /// Opens a socket and waits until it hears.
    pub async fn open(
        address: SocketAddr,
        tenant: &TestTenant,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Self {
        let mut socket = Self::ask(address, tenant, path, headers).await.expect("a socket");
        assert_eq!(socket.next().await["type"], "ready");
        socket
    }

    /// A socket of whoever has this token.
    pub async fn of(address: SocketAddr, tenant: &TestTenant, token: &str) -> Self {
        let bearer = format!("Bearer {token}");
        Self::open(address, tenant, "/ws", &[("authorization", &bearer)]).await
    }

    async fn read(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let read = timeout(PATIENCE, self.stream.read(&mut bytes))
            .await
            .expect("something comes");
        let length = read.unwrap_or(0);
        self.unread.extend_from_slice(&bytes[..length]);
        length > 0
    }

    /// The next text or close; `None` when the connection is over. Pings are answered.
    pub async fn frame(&mut self) -> Option<Frame> {
        loop {
            while let Some((opcode, payload)) = self.whole() {
                match opcode {
                    1 => return Some(Frame::Text(serde_json::from_slice(&payload).expect("JSON"))),
                    8 => return Some(Frame::Close(u16::from_be_bytes([payload[0], payload[1]]))),
                    9 => self.send(10, &payload).await,
                    other => panic!("opcode {other}"),
                }
            }
            if !self.read().await {
                return None;
            }
        }
    }

    fn whole(&mut self) -> Option<(u8, Vec<u8>)> {
        let (first, second) = (*self.unread.first()?, *self.unread.get(1)?);
        assert_eq!(second & 0x80, 0, "a server does not mask");
        let (length, start) = match second & 0x7f {
            126 => (
                usize::from(u16::from_be_bytes([*self.unread.get(2)?, *self.unread.get(3)?])),
                4,
            ),
            127 => panic!("nothing is so long"),
            short => (usize::from(short), 2),
        };
        let payload = self.unread.get(start..start + length)?.to_vec();
        self.unread.drain(..start + length);
        Some((first & 0x0f, payload))
    }

    /// Sends a frame, masked with zeros.
    pub async fn send(&mut self, opcode: u8, payload: &[u8]) {
        let length = u8::try_from(payload.len()).expect("short");
        let mut frame = vec![0x80 | opcode, 0x80 | length, 0, 0, 0, 0];
        frame.extend_from_slice(payload);
        self.stream.write_all(&frame).await.expect("sent");
    }

    /// The next text.
    pub async fn next(&mut self) -> Value {
        match self.frame().await {
            Some(Frame::Text(event)) => event,
            other => panic!("no text: {other:?}"),
        }
    }

    /// The next event of this type; others may come before.
    pub async fn event(&mut self, kind: &str) -> Value {
        loop {
            let event = self.next().await;
            if event["type"] == kind {
                return event;
            }
        }
    }

    /// With which code the server closes it; texts may come before.
    pub async fn closed(&mut self) -> u16 {
        loop {
            match self.frame().await {
                Some(Frame::Text(_)) => {}
                Some(Frame::Close(code)) => return code,
                None => panic!("it ends without a word"),
            }
        }
    }
}
