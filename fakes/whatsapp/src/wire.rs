//! Frames of three length bytes over a WebSocket: in clear during the handshake ([`Wire`]), sealed afterwards ([`Channel`]).

use anyhow::{Context, Result, bail};
use bytes::BytesMut;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_websockets::{Message, ServerBuilder, WebSocketStream};
use wacore::framing::{FrameDecoder, encode_frame};
use wacore::noise::NoiseCipher;
use wacore_binary::consts::WA_CONN_HEADER;
use wacore_binary::util::unpack_bytes;
use wacore_binary::{Node, OwnedNodeRef, marshal};

/// Frames as they travel.
pub(crate) struct Wire {
    socket: WebSocketStream<TcpStream>,
    decoder: FrameDecoder,
    /// Whether the client has said which protocol it speaks.
    announced: bool,
}

impl Wire {
    /// Upgrades a connection to a WebSocket.
    pub(crate) async fn accept(stream: TcpStream) -> Result<Self> {
        let (_, socket) = ServerBuilder::new().accept(stream).await?;
        Ok(Self {
            socket,
            decoder: FrameDecoder::new(),
            announced: false,
        })
    }

    /// The next frame; none when the client has gone. May be cancelled without loss.
    pub(crate) async fn frame(&mut self) -> Result<Option<BytesMut>> {
        loop {
            if let Some(frame) = self.decoder.decode_frame() {
                return Ok(Some(frame));
            }
            let Some(message) = self.socket.next().await else {
                return Ok(None);
            };
            let message = message?;
            if message.is_close() {
                return Ok(None);
            }
            if message.is_binary() {
                self.feed(&message.into_payload())?;
            }
        }
    }

    fn feed(&mut self, mut data: &[u8]) -> Result<()> {
        if !self.announced {
            let Some(rest) = data.strip_prefix(&WA_CONN_HEADER) else {
                bail!("the first bytes are not this protocol's");
            };
            (data, self.announced) = (rest, true);
        }
        self.decoder.feed(data);
        Ok(())
    }

    /// Sends one frame.
    pub(crate) async fn send(&mut self, payload: &[u8]) -> Result<()> {
        let frame = encode_frame(payload, None)?;
        Ok(self.socket.send(Message::binary(frame)).await?)
    }
}

/// Stanzas, sealed with the keys that the handshake gave.
pub(crate) struct Channel {
    wire: Wire,
    read: NoiseCipher,
    write: NoiseCipher,
    received: u32,
    sent: u32,
}

impl Channel {
    pub(crate) fn new(wire: Wire, read: NoiseCipher, write: NoiseCipher) -> Self {
        Self {
            wire,
            read,
            write,
            received: 0,
            sent: 0,
        }
    }

    /// The next stanza; none when the client has gone. May be cancelled without loss.
    pub(crate) async fn receive(&mut self) -> Result<Option<Node>> {
        let Some(mut frame) = self.wire.frame().await? else {
            return Ok(None);
        };
        self.read
            .decrypt_in_place_with_counter(self.received, &mut frame)
            .context("a frame that cannot be opened")?;
        self.received += 1;
        let node = OwnedNodeRef::new(unpack_bytes(frame)?)?;
        Ok(Some(node.to_owned_node()))
    }

    /// Sends one stanza.
    pub(crate) async fn send(&mut self, node: &Node) -> Result<()> {
        let sealed = self.write.encrypt_with_counter(self.sent, &marshal(node)?)?;
        self.sent += 1;
        self.wire.send(&sealed).await
    }

    /// Says goodbye to the client, which sees an orderly end.
    pub(crate) async fn close(mut self) {
        // The client may have gone first.
        let _gone = self.wire.socket.close().await;
    }
}
