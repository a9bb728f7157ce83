//! What the client fetches besides its socket: the version of WhatsApp's page, and settings that WhatsApp keeps as files.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
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
pub(super) struct Http(reqwest::Client);

impl Http {
    pub(super) fn new() -> Result<Self, String> {
        reqwest::Client::builder()
            .timeout(PATIENCE)
            .connect_timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none())
            .https_only(true)
            .build()
            .map(Self)
            .map_err(|error| error.without_url().to_string())
    }
}

fn is_whatsapps(url: &reqwest::Url) -> bool {
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
        let url = reqwest::Url::parse(&request.url).context("an address")?;
        ensure!(is_whatsapps(&url), "an address outside of WhatsApp");
        let method = reqwest::Method::from_bytes(request.method.as_bytes()).context("a method")?;
        let mut call = self.0.request(method, url);
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
        let asked = |url: &str| is_whatsapps(&reqwest::Url::parse(url).unwrap());
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
    }
}
