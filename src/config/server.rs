//! `[server]`: where the HTTP server listens and by which addresses clients know it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;

use super::error::Problems;
use super::values;

/// The HTTP server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSettings {
    /// Address to listen on.
    pub bind: IpAddr,
    /// Port to listen on; 0 takes any free one.
    pub port: u16,
    /// HTTP worker threads; 0 for one per core ([`ServerSettings::worker_count`]).
    pub workers: usize,
    /// The platform's own host name; tenants are its subdomains.
    pub base_domain: String,
    /// Scheme by which clients reach the server.
    pub public_scheme: PublicScheme,
    /// Port shown in addresses, when it differs from what scheme and `port` say.
    #[serde(deserialize_with = "values::non_zero")]
    pub public_port: Option<u16>,
    /// Proxies whose forwarding headers are believed ([`ServerSettings::trusts`]).
    #[serde(deserialize_with = "proxies")]
    pub trusted_proxies: Vec<IpNet>,
    /// Longest time one request may take.
    #[serde(rename = "request_timeout_secs", deserialize_with = "values::seconds")]
    pub request_timeout: Duration,
    /// Largest request body.
    pub body_limit_bytes: usize,
    /// Time that requests in flight get when the server stops.
    #[serde(rename = "shutdown_timeout_secs", deserialize_with = "values::seconds")]
    pub shutdown_timeout: Duration,
    /// Whether `serve` does the background work as well; else `helixai worker` must run beside it.
    pub background_work: bool,
}

/// Scheme of the addresses shown to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PublicScheme {
    /// Plain HTTP: a laptop, or tests.
    Http,
    /// HTTPS, ended by a proxy in front of the program.
    Https,
}

impl fmt::Display for PublicScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

impl ServerSettings {
    /// Address and port to listen on.
    #[must_use]
    pub fn socket_addr(&self) -> SocketAddr {
        SocketAddr::new(self.bind, self.port)
    }

    /// HTTP worker threads to start, at least one.
    #[must_use]
    pub fn worker_count(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            chosen => chosen,
        }
    }

    /// Whether `peer`, the other end of a connection, is a proxy whose `X-Forwarded-*` headers count.
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted_proxies.iter().any(|network| network.contains(&peer))
    }

    /// Whether cookies must be marked `Secure`.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.public_scheme == PublicScheme::Https
    }

    /// The address of the platform's own routes, without a final slash.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.url_of(&self.base_domain)
    }

    /// The address of a tenant's routes, without a final slash.
    #[must_use]
    pub fn tenant_url(&self, tenant_key: &str) -> String {
        self.url_of(&format!("{tenant_key}.{}", self.base_domain))
    }

    /// The address at which `host` (a custom domain, say) is served, without a final slash.
    #[must_use]
    pub fn url_of(&self, host: &str) -> String {
        let (usual, otherwise) = match self.public_scheme {
            PublicScheme::Http => (80, self.port),
            PublicScheme::Https => (443, 443),
        };
        match self.public_port.unwrap_or(otherwise) {
            port if port == usual => format!("{}://{host}", self.public_scheme),
            port => format!("{}://{host}:{port}", self.public_scheme),
        }
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        problems.range("server.workers", self.workers, 0..=1024);
        problems.range(
            "server.request_timeout_secs",
            self.request_timeout.as_secs(),
            1..=3600,
        );
        problems.range(
            "server.shutdown_timeout_secs",
            self.shutdown_timeout.as_secs(),
            0..=3600,
        );
        problems.range(
            "server.body_limit_bytes",
            self.body_limit_bytes,
            1024..=100 * 1024 * 1024,
        );
        if !is_host_name(&self.base_domain) {
            problems.add(
                "server.base_domain",
                "is not a host name: write it in lower case, without scheme, port or final dot, \
                 for example `helixai.example`",
            );
        }
    }
}

/// A lower-case DNS name: labels of letters, digits and inner hyphens.
fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // 41 characters are left for the longest tenant key and its dot.
    name.len() <= 253 - 41 && name.split('.').all(label)
}

fn proxies<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Vec<IpNet>, D::Error> {
    struct Proxy(IpNet);
    impl FromStr for Proxy {
        type Err = &'static str;
        fn from_str(text: &str) -> Result<Self, Self::Err> {
            let address = text
                .parse::<IpAddr>()
                .map(|address| IpNet::from(address.to_canonical()));
            address
                .or_else(|_| text.parse::<IpNet>())
                .map(Self)
                .map_err(|_| "write an address such as 10.0.0.7 or a network such as 10.0.0.0/8")
        }
    }
    let proxies: Vec<Proxy> = values::list(value)?;
    Ok(proxies.into_iter().map(|Proxy(network)| network).collect())
}

#[cfg(test)]
mod tests {
    use crate::config::Loader;

    #[test]
    fn addresses_shown_follow_scheme_and_port() {
        let url = |pairs: &[(&str, &str)]| {
            let mut loader = Loader::new().set("server.base_domain", "helix.example");
            for (key, value) in pairs {
                loader = loader.set(*key, *value);
            }
            loader.load().unwrap().server.tenant_url("acme")
        };
        assert_eq!(url(&[]), "http://acme.helix.example:8080");
        assert_eq!(url(&[("server.port", "80")]), "http://acme.helix.example");
        assert_eq!(
            url(&[("server.public_scheme", "https")]),
            "https://acme.helix.example"
        );
        assert_eq!(
            url(&[("server.public_scheme", "https"), ("server.public_port", "8443")]),
            "https://acme.helix.example:8443"
        );
    }

    #[test]
    fn only_listed_proxies_are_trusted() {
        let settings = Loader::new()
            .set("server.trusted_proxies", "10.0.0.0/8, 192.0.2.7,::1")
            .load()
            .unwrap();
        let trusts = |peer: &str| settings.server.trusts(peer.parse().unwrap());
        assert!(trusts("10.200.3.4"));
        assert!(trusts("192.0.2.7"));
        assert!(trusts("::1"));
        assert!(trusts("::ffff:10.1.1.1"));
        assert!(!trusts("192.0.2.8"));
        assert!(!trusts("127.0.0.1"));
        let refused = Loader::new()
            .set("server.trusted_proxies", "10.0.0.0/8,everyone")
            .load()
            .unwrap_err();
        assert!(
            refused.to_string().contains("server.trusted_proxies"),
            "{refused}"
        );
        assert!(refused.to_string().contains("`everyone`"), "{refused}");
    }

    #[test]
    fn base_domain_is_a_bare_host_name() {
        for bad in ["", "https://x.y", "x.y:80", "X.y", "x..y", "-x", "x.y.", "a b"] {
            let refused = Loader::new().set("server.base_domain", bad).load().unwrap_err();
            assert!(
                refused.to_string().contains("`server.base_domain`"),
                "{bad}: {refused}"
            );
        }
        assert!(
            Loader::new()
                .set("server.base_domain", "app.helix-ai.com.br")
                .load()
                .is_ok()
        );
    }
}
