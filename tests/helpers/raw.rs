//! A request as bytes, for what no HTTP client would send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What came back.
#[derive(Debug)]
pub struct RawAnswer {
    /// The status.
    pub status: u16,
    /// All of it.
    pub text: String,
}

/// Sends the bytes and reads until the server closes the connection: say `Connection: close`.
pub async fn send_raw(address: SocketAddr, request: &[u8]) -> RawAnswer {
    let stream = TcpStream::connect(address).await.expect("the server listens");
    let (mut read, mut write) = stream.into_split();
    let request = request.to_vec();
    // A server that has read enough may close before everything is sent.
    let sending = tokio::spawn(async move {
        let _ = write.write_all(&request).await;
        write
    });
    let mut answer = Vec::new();
    let end = read.read_to_end(&mut answer).await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    sending.abort();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    RawAnswer {
        status: status.unwrap_or_else(|| panic!("no answer ({end:?}): {text:?}")),
        text,
    }
}

impl RawAnswer {
    /// The JSON body.
    pub fn json(&self) -> serde_json::Value {
        let (_, body) = self.text.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Must be a problem of this status and code.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.json()["code"], code, "{}", self.text);
        assert!(
            self.text.to_ascii_lowercase().contains("\r\nx-request-id: "),
            "{}",
            self.text
        );
    }
}
