//! Host names as requests carry them, and what a name says about who is being addressed.
//!
//! A `Host` header is written by a stranger: it is normalised here once (case, port, trailing dot) and what is
//! not a host name is refused, so the resolver compares clean names only.

use super::{invalid::Invalid, tenant_key::TenantKey, text_value::text_value};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host name or IP address: lower case, without port, brackets or trailing dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(String);

text_value!(HostName, "A host name", "loja.example.com.br");

impl HostName {
    /// Reads the value of a `Host` header: `ACME.Example.:443`, `127.0.0.1:8080`, `[::1]:8080`.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        let refused = || Invalid::format("must be a host name");
        if value.is_empty() {
            return Err(Invalid::required());
        }
        if let Some(rest) = value.strip_prefix('[') {
            let (address, after) = rest.split_once(']').ok_or_else(refused)?;
            let address: Ipv6Addr = address.parse().map_err(|_| refused())?;
            let port_is_fine = after.is_empty() || after.strip_prefix(':').is_some_and(is_port);
            return if port_is_fine {
                Ok(Self(address.to_string()))
            } else {
                Err(refused())
            };
        }
        // Without brackets an IPv6 address is accepted too, as long as it can be nothing else.
        if let Ok(address) = value.parse::<Ipv6Addr>() {
            return Ok(Self(address.to_string()));
        }
        let name = match value.split_once(':') {
            Some((name, port)) if is_port(port) => name,
            Some(_) => return Err(refused()),
            None => value,
        };
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        if name.len() > 253 || !name.split('.').all(is_label) {
            return Err(refused());
        }
        // A name whose last label is a number can only be an IPv4 address (WHATWG URL, "ends in a number").
        let ends_in_number = name
            .rsplit('.')
            .next()
            .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
        if ends_in_number && name.parse::<Ipv4Addr>().is_err() {
            return Err(refused());
        }
        Ok(Self(name))
    }

    /// The address, if this is one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.0.parse().ok()
    }

    /// Reads a name that a tenant wants as its own domain: a full name outside the platform's.
    pub fn parse_custom_domain(value: &str, base: &BaseDomain) -> Result<Self, Invalid> {
        let name = Self::parse(value.trim())?;
        if name.ip().is_some() || !name.0.contains('.') || name.0.contains('_') {
            return Err(Invalid::format("must be a full domain name"));
        }
        match classify(&name, base) {
            HostKind::Foreign(name) => Ok(name),
            _ => Err(Invalid::reserved("belongs to the platform")),
        }
    }
}

fn is_port(text: &str) -> bool {
    // RFC 9110 allows an empty port.
    text.is_empty() || (text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok())
}

/// `_` is no letter of host names, yet browsers send it, and a tenant's key may be spelled with it.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// The domain under which every tenant has a name: `<key>.<base domain>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseDomain(HostName);

impl BaseDomain {
    /// Reads the platform's domain: `helixai.example`, or `localhost`.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        HostName::parse(value).map(Self)
    }

    /// The domain.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The tenant's host under this domain.
    pub fn host_of(&self, key: &TenantKey) -> String {
        format!("{key}.{}", self.0)
    }
}

/// Whom a host name addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKind {
    /// The platform: the base domain, or an IP address, which cannot name a tenant.
    Base,
    /// The tenant with this key, if there is one.
    Tenant(TenantKey),
    /// A name outside the base domain: perhaps a tenant's own domain.
    Foreign(HostName),
    /// A name below the base domain that no tenant can have: nobody.
    Invalid,
}

/// Says whom `host` addresses. Below the base domain only names with exactly one further label are tenants'.
pub fn classify(host: &HostName, base: &BaseDomain) -> HostKind {
    if host == &base.0 || host.ip().is_some() {
        return HostKind::Base;
    }
    match host
        .0
        .strip_suffix(base.as_str())
        .and_then(|rest| rest.strip_suffix('.'))
    {
        None => HostKind::Foreign(host.clone()),
        Some(label) => TenantKey::parse(label).map_or(HostKind::Invalid, HostKind::Tenant),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kind(host: &str, base: &str) -> Result<HostKind, Invalid> {
        Ok(classify(&HostName::parse(host)?, &BaseDomain::parse(base)?))
    }

    fn tenant(key: &str) -> Result<HostKind, Invalid> {
        TenantKey::parse(key).map(HostKind::Tenant)
    }

    #[test]
    fn port_case_and_dot_do_not_matter() {
        for (written, normal) in [
            ("ACME.X.:443", "acme.x"),
            ("acme.x.", "acme.x"),
            ("acme.x:", "acme.x"),
            ("localhost:8080", "localhost"),
            ("127.0.0.1:8080", "127.0.0.1"),
            ("[::1]:8080", "::1"),
            ("[0:0::1]", "::1"),
            ("::1", "::1"),
        ] {
            assert_eq!(
                HostName::parse(written).map(String::from),
                Ok(normal.to_owned()),
                "{written}"
            );
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for value in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a.x..",
            "a b",
            "a/b",
            "a@b",
            "a:b",
            "a:80:80",
            "a:99999",
            "[::1",
            "[x]:1",
            "[::1]x",
            "a\0",
            "é.x",
            "-a.x",
            "a-.x",
            "1.2.3.999",
            "1.2.3",
            "a.1",
            "a\r\n",
            "a%2e",
            "a:+80",
        ] {
            assert!(HostName::parse(value).is_err(), "{value:?}");
        }
        assert!(HostName::parse(&"a".repeat(64)).is_err());
        assert!(HostName::parse(&"a.".repeat(127)).is_ok());
        assert!(HostName::parse(&"a.".repeat(128)).is_err());
    }

    #[test]
    fn exactly_one_label_below_the_base_is_a_tenant() -> Result<(), Invalid> {
        assert_eq!(kind("ACME.localhost:8080", "localhost")?, tenant("acme")?);
        assert_eq!(
            kind("garage_alpha.helixai.example", "helixai.example")?,
            tenant("garage-alpha")?
        );
        for host in [
            "a.acme.helixai.example",
            "www.helixai.example",
            "xn--abc.helixai.example",
            "ab.helixai.example",
        ] {
            assert_eq!(kind(host, "helixai.example")?, HostKind::Invalid, "{host}");
        }
        Ok(())
    }

    #[test]
    fn the_base_and_addresses_are_the_platform() -> Result<(), Invalid> {
        for host in [
            "helixai.example",
            "HelixAI.Example.:443",
            "127.0.0.1:8080",
            "[::1]:8080",
            "10.0.0.7",
        ] {
            assert_eq!(kind(host, "helixai.example")?, HostKind::Base, "{host}");
        }
        assert_eq!(kind("localhost:8080", "localhost")?, HostKind::Base);
        Ok(())
    }

    #[test]
    fn a_look_alike_is_foreign() -> Result<(), Invalid> {
        for host in [
            "xhelixai.example",
            "acme.example",
            "helixai.example.evil.com",
            "example",
            "localhost",
        ] {
            assert_eq!(
                kind(host, "helixai.example")?,
                HostKind::Foreign(HostName::parse(host)?),
                "{host}"
            );
        }
        Ok(())
    }

    #[test]
    fn a_custom_domain_is_outside_the_platform() -> Result<(), Invalid> {
        let base = BaseDomain::parse("helixai.example")?;
        let parse = |value| {
            HostName::parse_custom_domain(value, &base)
                .map(String::from)
                .map_err(|e| e.code)
        };
        assert_eq!(parse(" Loja.Acme.com.br. "), Ok("loja.acme.com.br".to_owned()));
        assert_eq!(parse("acme.helixai.example"), Err("reserved"));
        assert_eq!(parse("a.b.helixai.example"), Err("reserved"));
        assert_eq!(parse("helixai.example"), Err("reserved"));
        assert_eq!(parse("10.0.0.1"), Err("invalid_format"));
        assert_eq!(parse("localhost"), Err("invalid_format"));
        assert_eq!(base.host_of(&TenantKey::parse("acme")?), "acme.helixai.example");
        Ok(())
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in any::<String>(), host in "[a-z0-9:.\\[\\]_-]{0,40}") {
            let _ = HostName::parse(&text);
            if let Ok(name) = HostName::parse(&host) {
                prop_assert_eq!(HostName::parse(name.as_str()), Ok(name.clone()));
            }
        }

        #[test]
        fn a_tenant_s_host_leads_to_the_tenant(key in "[a-zA-Z][a-zA-Z0-9_-]{1,38}[a-zA-Z0-9]", port in any::<u16>()) {
            if let (Ok(key), Ok(base)) = (TenantKey::parse(&key), BaseDomain::parse("x.localhost")) {
                for host in [base.host_of(&key), format!("{}.:{port}", base.host_of(&key).to_uppercase())] {
                    let name = HostName::parse(&host);
                    prop_assert!(name.is_ok(), "{}", host);
                    prop_assert_eq!(name.map(|name| classify(&name, &base)), Ok(HostKind::Tenant(key.clone())));
                }
            }
        }
    }
}
