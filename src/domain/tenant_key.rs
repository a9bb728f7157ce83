//! The name by which a tenant is addressed: a DNS label, a header value, and part of its schema's name.
//!
//! Everything that reads a key from outside goes through [`TenantKey::parse`], for new tenants and for existing
//! ones alike, so that two spellings of one key cannot be two tenants. The rules keep a key safe in all three
//! places; a word the platform needs for itself is added to `RESERVED`.

use super::{invalid::Invalid, text_value::text_value};

/// A tenant's key in its normal form: 3 to 40 of `a-z`, `0-9`, `-`; begins with a letter, ends with a letter or
/// digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantKey(String);

text_value!(
    TenantKey,
    "A tenant's key: 3 to 40 of a-z, 0-9 and -, beginning with a letter and ending with a letter or digit",
    "garage-alpha"
);

/// Fewest characters of a key.
pub const MIN: usize = 3;
/// Most characters of a key.
pub const MAX: usize = 40;

/// Words that would be taken for a part of the platform or of the network.
const RESERVED: &str = "abuse account accounts admin administrator api app apps assets auth autoconfig autodiscover \
    billing broadcasthost cdn dashboard dns docs email ext ftp graphql health healthz helixai help \
    hooks hostmaster http https imap img information-schema internal invalid isatap local localdomain \
    localhost login logout logs mail master media metrics mx1 mx2 noc ns1 ns2 ns3 ns4 null oauth \
    openapi pay payments pop pop3 postgres postmaster private proxy public readyz root secure \
    security signin signup sip smtp sql ssh ssl sso staging static stats status support sys system \
    telegram tenant tenants tls undefined uploads vpn webhook webhooks webmail webmaster whatsapp wpad \
    ws wss www www1 www2";

impl TenantKey {
    /// Reads a key as a host name or a header spells it: ASCII case is folded and `_` is read as `-`.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        if value.is_empty() {
            return Err(Invalid::required());
        }
        if !value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        {
            return Err(Invalid::format("may contain only the letters a-z, digits and -"));
        }
        // From here on every character is one byte.
        if value.len() < MIN {
            return Err(Invalid::too_short(MIN));
        }
        if value.len() > MAX {
            return Err(Invalid::too_long(MAX));
        }
        let key = value.to_ascii_lowercase().replace('_', "-");
        if !key.starts_with(|first: char| first.is_ascii_lowercase()) {
            return Err(Invalid::format("must begin with a letter"));
        }
        if key.ends_with('-') {
            return Err(Invalid::format("must end with a letter or digit"));
        }
        // RFC 5890 keeps labels with hyphens in the third and fourth place; `xn--` is the form of other scripts.
        if key.get(2..4) == Some("--") {
            return Err(Invalid::reserved(
                "must not have -- in the third and fourth place",
            ));
        }
        if key.starts_with("pg") || RESERVED.split(' ').any(|word| word == key) {
            return Err(Invalid::reserved("is reserved"));
        }
        Ok(Self(key))
    }

    /// The name a new tenant's schema gets. Stored at creation and never derived again.
    pub fn schema_name(&self) -> String {
        format!("tenant_{}", self.0.replace('-', "_"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code(value: &str) -> Result<String, &'static str> {
        TenantKey::parse(value)
            .map(String::from)
            .map_err(|refusal| refusal.code)
    }

    #[test]
    fn spellings_of_one_key_are_one_key() {
        for spelling in ["garage-alpha", "garage_alpha", "GARAGE-Alpha", "Garage_ALPHA"] {
            assert_eq!(code(spelling), Ok("garage-alpha".to_owned()));
        }
        assert_eq!(
            TenantKey::parse("a-1_b").map(|key| key.schema_name()),
            Ok("tenant_a_1_b".to_owned())
        );
    }

    #[test]
    fn length_is_bounded() {
        assert_eq!(code(""), Err("required"));
        assert_eq!(code("ab"), Err("too_short"));
        assert_eq!(code("abc"), Ok("abc".to_owned()));
        assert_eq!(code(&"a".repeat(40)), Ok("a".repeat(40)));
        assert_eq!(code(&"a".repeat(41)), Err("too_long"));
        assert_eq!(code(&"a".repeat(75)), Err("too_long"));
    }

    #[test]
    fn anything_but_a_label_is_refused() {
        for value in [
            "1abc",
            "-abc",
            "_abc",
            "abc-",
            "abc_",
            "a b",
            "a.b",
            "a'b",
            "a\"b",
            "a`b",
            "a;b",
            "a/b",
            "../etc",
            "a\\b",
            "a\0b",
            "abc\n",
            " abc",
            "abc ",
            "ção",
            "аbc",
            "K\u{212A}k",
            "a%00b",
            "a$b",
            "a:b",
            "---",
        ] {
            assert_eq!(code(value), Err("invalid_format"), "{value:?}");
        }
    }

    #[test]
    fn words_of_the_platform_are_refused() {
        for value in [
            "www",
            "WWW",
            "api",
            "admin",
            "app",
            "public",
            "pg_catalog",
            "pg-toast",
            "pgbouncer",
            "postgres",
            "information_schema",
            "information-schema",
            "master",
            "localhost",
            "helixai",
            "ns1",
            "healthz",
            "xn--80ak6aa92e",
            "XN--abc",
            "ab--cd",
            "ab__cd",
        ] {
            assert_eq!(code(value), Err("reserved"), "{value:?}");
        }
        assert!(
            RESERVED.split(' ').is_sorted(),
            "kept in order, so that nothing is written twice"
        );
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in any::<String>()) {
            let _ = TenantKey::parse(&text);
        }

        #[test]
        fn a_key_is_its_own_normal_form(text in "[a-zA-Z0-9_-]{1,45}") {
            if let Ok(key) = TenantKey::parse(&text) {
                prop_assert_eq!(TenantKey::parse(key.as_str()), Ok(key.clone()));
                prop_assert!((MIN..=MAX).contains(&key.as_str().len()));
                prop_assert!(key.as_str().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
                // The name is a plain identifier that PostgreSQL does not cut.
                let schema = key.schema_name();
                prop_assert!(schema.len() <= 63);
                prop_assert!(schema.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
            }
        }

        #[test]
        fn two_keys_never_share_a_schema(a in "[a-z][a-z0-9_-]{1,8}[a-z0-9]", b in "[a-z][a-z0-9_-]{1,8}[a-z0-9]") {
            if let (Ok(a), Ok(b)) = (TenantKey::parse(&a), TenantKey::parse(&b)) {
                prop_assert_eq!(a == b, a.schema_name() == b.schema_name());
            }
        }
    }
}
