//! Sockets to WhatsApp: one address and one TLS configuration for all bots of a process.

use std::sync::Arc;

use async_trait::async_trait;
use whatsapp_rust::anyhow;
use whatsapp_rust::async_channel::Receiver;
use whatsapp_rust::transport::{
    TokioWebSocketTransportFactory, Transport, TransportEvent, TransportFactory, default_tls_connector,
};

/// Opens sockets. Cheap to clone.
#[derive(Clone)]
pub(super) struct Sockets(Arc<TokioWebSocketTransportFactory>);

impl Sockets {
    /// Sockets to this address; empty: WhatsApp's own.
    pub(super) fn new(url: &str) -> Result<Self, String> {
        let sockets = TokioWebSocketTransportFactory::new().with_connector(default_tls_connector());
        if url.is_empty() {
            return Ok(Self(Arc::new(sockets)));
        }
        let parsed = reqwest::Url::parse(url).map_err(|error| format!("whatsapp_url: {error}"))?;
        if !["ws", "wss"].contains(&parsed.scheme()) {
            return Err("whatsapp_url: must begin with wss://".to_owned());
        }
        Ok(Self(Arc::new(sockets.with_url(url))))
    }
}

#[async_trait]
impl TransportFactory for Sockets {
    async fn create_transport(
        &self,
    ) -> Result<(Arc<dyn Transport>, Receiver<TransportEvent>), anyhow::Error> {
        self.0.create_transport().await
    }
}

#[cfg(test)]
mod tests {
    use super::Sockets;

    #[test]
    fn an_address_is_a_sockets() {
        for good in ["", "wss://web.whatsapp.com/ws/chat", "ws://127.0.0.1:9/ws/chat"] {
            assert!(Sockets::new(good).is_ok(), "{good}");
        }
        for wrong in ["https://web.whatsapp.com", "web.whatsapp.com", " "] {
            assert!(Sockets::new(wrong).is_err(), "{wrong}");
        }
    }
}
