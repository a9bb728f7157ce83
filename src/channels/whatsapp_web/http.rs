//! What is fetched besides the socket: the version of WhatsApp's page, settings that WhatsApp keeps as files, what people send.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use reqwest::{Client, RequestBuilder, Url};
use whatsapp_rust::anyhow::{self, Context as _, ensure};
use whatsapp_rust::http::{HttpClient, HttpRequest, HttpResponse};

/// The longest that an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest answer.
const MOST: usize = 16 * 1024 * 1024;
/// Where anything is fetched: the socket names addresses, and nobody else is asked for what it names.
const DOMAINS: [&str; 2] = ["whatsapp.com", "whatsapp.net"];

/// One client for all bots of a process. Cheap to clone.
#[derive(Clone)]
pub(super) struct Http {
    client: Client,
    /// Where everything is asked instead of at WhatsApp's.
    own: Option<Arc<Url>>,
}

impl Http {
    /// A client of WhatsApp, or of the one whose sockets have this address.
    pub(super) fn new(url: &str) -> Result<Self, String> {
        let own = match url {
            "" => None,
            _ => Some(Url::parse(url).map_err(|error| format!("whatsapp_url: {error}"))?),
        };
        let client = Client::builder()
            .timeout(PATIENCE)
            .connect_timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none())
            .https_only(own.is_none())
            .build()
            .map_err(|error| error.without_url().to_string())?;
        Ok(Self {
            client,
            own: own.map(Arc::new),
        })
    }

    /// Asks for something of WhatsApp's.
    pub(super) fn get(&self, url: &str) -> anyhow::Result<RequestBuilder> {
        Ok(self.client.get(self.place(url)?))
    }

    fn place(&self, url: &str) -> anyhow::Result<Url> {
        let mut url = Url::parse(url).context("an address")?;
        ensure!(is_whatsapps(&url), "an address outside of WhatsApp");
        if let Some(own) = &self.own {
            let scheme = if own.scheme() == "wss" { "https" } else { "http" };
            let moved = url.set_scheme(scheme).and_then(|()| url.set_port(own.port()));
            ensure!(
                moved.is_ok() && url.set_host(own.host_str()).is_ok(),
                "an address"
            );
        }
        Ok(url)
    }
}

fn is_whatsapps(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    url.scheme() == "https"
        && DOMAINS.iter().any(|domain| {
            host.strip_suffix(domain)
                .is_some_and(|name| name.is_empty() || name.ends_with('.'))
        })
}

#[async_trait]
impl HttpClient for Http {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        let url = self.place(&request.url)?;
        let method = reqwest::Method::from_bytes(request.method.as_bytes()).context("a method")?;
        let mut call = self.client.request(method, url);
        for (name, value) in request.headers {
            call = call.header(name, value);
        }
        if let Some(body) = request.body {
            call = call.body(body);
        }
        let answer = call.send().await.map_err(reqwest::Error::without_url)?;
        let status_code = answer.status().as_u16();
        let mut body = Vec::new();
        let mut pieces = answer.bytes_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(reqwest::Error::without_url)?;
            ensure!(body.len() + piece.len() <= MOST, "an answer that is too long");
            body.extend_from_slice(&piece);
        }
        Ok(HttpResponse { status_code, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_is_asked() {
        let asked = |url: &str| is_whatsapps(&Url::parse(url).unwrap());
        for good in [
            "https://web.whatsapp.com/sw.js",
            "https://whatsapp.net/x",
            "https://mmg.whatsapp.net/x",
        ] {
            assert!(asked(good), "{good}");
        }
        for wrong in [
            "http://web.whatsapp.com/sw.js",
            "https://evilwhatsapp.com/",
            "https://whatsapp.com.example/",
            "https://127.0.0.1/",
            "https://user@example.com/whatsapp.com",
        ] {
            assert!(!asked(wrong), "{wrong}");
        }
        let place = |own: &str| {
            Http::new(own)
                .unwrap()
                .place("https://mmg.whatsapp.net/v/x?y=1")
                .unwrap()
                .to_string()
        };
        assert_eq!(place(""), "https://mmg.whatsapp.net/v/x?y=1");
        assert_eq!(place("ws://127.0.0.1:9/ws/chat"), "http://127.0.0.1:9/v/x?y=1");
        assert_eq!(place("wss://wa.example/ws/chat"), "https://wa.example/v/x?y=1");
    }
}
