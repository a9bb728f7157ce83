//! E-mail addresses, as a person's name to log in with and as the place to write to.
//!
//! One address has one form (trimmed, lower case), so a person cannot be registered twice. The syntax accepted
//! is that of addresses in use, not all of RFC 5322: no quotes, comments, address literals or other scripts
//! (domains of other scripts are accepted in their `xn--` form).

use super::{invalid::Invalid, text_value::text_value};

/// An address in its normal form.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email(String);

text_value!(Email, "An e-mail address", "ana@garage-alpha.com.br", private);

/// Most characters of an address (RFC 3696, erratum 1690).
const MAX: usize = 254;
/// Most characters before the `@` (RFC 5321, 4.5.3.1.1).
const MAX_LOCAL: usize = 64;

impl Email {
    /// Reads an address.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        let value = value.trim();
        if value.is_empty() {
            return Err(Invalid::required());
        }
        if value.len() > MAX {
            return Err(Invalid::too_long(MAX));
        }
        let email = value.to_ascii_lowercase();
        match email.split_once('@') {
            Some((local, domain)) if is_local(local) && is_domain(domain) => Ok(Self(email)),
            _ => Err(Invalid::format("must be an e-mail address")),
        }
    }
}

fn is_local(local: &str) -> bool {
    let is_atom = |atom: &str| {
        !atom.is_empty()
            && atom
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    };
    local.len() <= MAX_LOCAL && local.split('.').all(is_atom)
}

fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let top_is_word = domain
        .rsplit_once('.')
        .is_some_and(|(_, top)| top.bytes().any(|b| b.is_ascii_alphabetic()));
    top_is_word && domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn has_one_form() {
        for value in ["Ana@Garage.com.br", " ana@garage.com.br\n", "ANA@GARAGE.COM.BR"] {
            assert_eq!(
                Email::parse(value).map(String::from),
                Ok("ana@garage.com.br".to_owned())
            );
        }
        assert!(Email::parse("o'neil+vendas.sp@xn--caf-dma.example").is_ok());
        assert!(Email::parse("owner@demo.localhost").is_ok());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for value in [
            "ana",
            "@x.com",
            "ana@",
            "ana@x",
            "a@b@c.com",
            "a b@x.com",
            "ana@x..com",
            "ana@-x.com",
            "ana@x.com.",
            ".ana@x.com",
            "ana.@x.com",
            "a..b@x.com",
            "ana@[127.0.0.1]",
            "ana@127.0.0.1",
            "a\0@x.com",
            "ana@x.com\r\nBcc: y@z.com",
            "joão@x.com",
            "\"a b\"@x.com",
            "<ana@x.com>",
        ] {
            assert_eq!(
                Email::parse(value).map_err(|e| e.code),
                Err("invalid_format"),
                "{value:?}"
            );
        }
        assert_eq!(Email::parse(" ").map_err(|e| e.code), Err("required"));
        assert!(Email::parse(&format!("{}@x.com", "a".repeat(65))).is_err());
        assert_eq!(
            Email::parse(&format!("a@{}.com", "b.".repeat(130))).map_err(|e| e.code),
            Err("too_long")
        );
    }

    #[test]
    fn does_not_show_itself_in_logs() -> Result<(), Invalid> {
        assert_eq!(format!("{:?}", Email::parse("ana@x.com")?), "Email(…)");
        Ok(())
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in any::<String>(), near in "[A-Za-z0-9.@+ -]{0,30}") {
            let _ = Email::parse(&text);
            if let Ok(email) = Email::parse(&near) {
                prop_assert_eq!(Email::parse(email.as_str()), Ok(email.clone()));
            }
        }
    }
}
