//! Tokens that stand for a login or an API key: made here, shown once, kept only as a hash.
//!
//! A token says by its prefix what it is, so that one found in a log or a repository can be recognised, and one
//! of the wrong kind is refused before any database is asked. It holds 256 random bits: a plain SHA-256 of it
//! can be stored, as there is nothing to guess. A new kind is a variant of [`TokenKind`] and a row of its table.

use super::{invalid::Invalid, random};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use std::fmt;

/// What a token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// A signed-in user of a tenant: `hxs_<43>`.
    Session,
    /// A signed-in operator of the platform: `hxa_<43>`.
    AdminSession,
    /// An API key of a tenant: `hxk_<8>_<43>`; the eight characters are its name in lists.
    ApiKey,
    /// Whoever reads the mail of a user or an operator, and may choose their password: `hxp_<43>`. It opens nothing else.
    PasswordLink,
    /// Opens one socket of a user of a tenant, once and soon: `hxt_<43>`. It stands in an address, so it opens nothing else.
    SocketTicket,
}

/// SHA-256 of a whole token: what is stored and looked up.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

/// A token just made: the only time that its text is known.
#[derive(Debug)]
pub struct NewToken {
    /// What it stands for.
    pub kind: TokenKind,
    /// Its text, to be handed to its owner once.
    pub plain: SecretString,
    /// What is stored.
    pub hash: TokenHash,
    /// The public part of an API key, with which people tell their keys apart.
    pub prefix: Option<String>,
}

/// A token as presented. Its text is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedToken {
    /// What it stands for.
    pub kind: TokenKind,
    /// What to look up.
    pub hash: TokenHash,
    /// The public part of an API key.
    pub prefix: Option<String>,
}

const PREFIX: usize = 8;
const PREFIX_LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const SECRET: usize = 43;

impl TokenKind {
    const fn lead(self) -> &'static str {
        match self {
            Self::Session => "hxs_",
            Self::AdminSession => "hxa_",
            Self::ApiKey => "hxk_",
            Self::PasswordLink => "hxp_",
            Self::SocketTicket => "hxt_",
        }
    }
}

impl NewToken {
    /// Makes a token from the operating system's randomness.
    pub fn generate(kind: TokenKind) -> Self {
        let secret = URL_SAFE_NO_PAD.encode(random::bytes::<32>());
        let prefix = (kind == TokenKind::ApiKey).then(|| random::letters(PREFIX, PREFIX_LETTERS));
        let text = match &prefix {
            Some(prefix) => format!("{}{prefix}_{secret}", kind.lead()),
            None => format!("{}{secret}", kind.lead()),
        };
        Self {
            kind,
            hash: TokenHash::of(&text),
            prefix,
            plain: SecretString::from(text),
        }
    }
}

impl ParsedToken {
    /// Reads a presented token; anything that this program cannot have made is refused.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        let refused = || Invalid::format("is not a token");
        let kinds = [
            TokenKind::Session,
            TokenKind::AdminSession,
            TokenKind::ApiKey,
            TokenKind::PasswordLink,
            TokenKind::SocketTicket,
        ];
        let (kind, rest) = kinds
            .into_iter()
            .find_map(|kind| value.strip_prefix(kind.lead()).map(|rest| (kind, rest)))
            .ok_or_else(refused)?;
        let (prefix, secret) = match kind {
            TokenKind::Session
            | TokenKind::AdminSession
            | TokenKind::PasswordLink
            | TokenKind::SocketTicket => (None, rest),
            TokenKind::ApiKey => {
                let (prefix, secret) = rest.split_once('_').ok_or_else(refused)?;
                if prefix.len() != PREFIX || !prefix.bytes().all(|byte| PREFIX_LETTERS.contains(&byte)) {
                    return Err(refused());
                }
                (Some(prefix.to_owned()), secret)
            }
        };
        let is_ours = secret.len() == SECRET
            && URL_SAFE_NO_PAD
                .decode(secret)
                .is_ok_and(|bytes| bytes.len() == 32);
        if is_ours {
            Ok(Self {
                kind,
                hash: TokenHash::of(value),
                prefix,
            })
        } else {
            Err(refused())
        }
    }
}

impl TokenHash {
    /// The hash of a token's whole text.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Takes a hash that was stored.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash as it is stored.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    const KINDS: [TokenKind; 4] = [
        TokenKind::Session,
        TokenKind::AdminSession,
        TokenKind::ApiKey,
        TokenKind::PasswordLink,
    ];

    #[test]
    fn a_made_token_is_read_back() -> Result<(), Invalid> {
        for kind in KINDS {
            let made = NewToken::generate(kind);
            let read = ParsedToken::parse(made.plain.expose_secret())?;
            assert_eq!(
                (read.kind, read.hash, read.prefix),
                (kind, made.hash, made.prefix)
            );
            assert_ne!(read.hash, NewToken::generate(kind).hash);
        }
        Ok(())
    }

    #[test]
    fn the_text_is_as_documented() {
        let session = NewToken::generate(TokenKind::Session);
        assert_eq!(session.plain.expose_secret().len(), 47);
        let key = NewToken::generate(TokenKind::ApiKey);
        let prefix = key.prefix.clone().unwrap_or_default();
        assert!(key.plain.expose_secret().starts_with(&format!("hxk_{prefix}_")));
        assert_eq!((prefix.len(), key.plain.expose_secret().len()), (8, 56));
    }

    #[test]
    fn the_hash_is_sha_256_of_the_whole_text() {
        assert_eq!(
            crate::domain::hex::hex(TokenHash::of("abc").as_bytes()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn neither_text_nor_hash_is_shown() {
        let made = NewToken::generate(TokenKind::Session);
        let shown = format!("{made:?}");
        assert!(
            !shown.contains(made.plain.expose_secret()) && shown.contains("TokenHash(…)"),
            "{shown}"
        );
    }

    #[test]
    fn what_was_not_made_here_is_refused() {
        let secret = "A".repeat(43);
        for text in [
            String::new(),
            "hxs_".to_owned(),
            secret.clone(),
            format!("hxz_{secret}"),
            format!("HXS_{secret}"),
            format!("hxs_{secret}A"),
            format!("hxs_{}=", "A".repeat(42)),
            format!("hxs_{}B", "A".repeat(42)),
            format!(" hxs_{secret}"),
            format!("hxk_{secret}"),
            format!("hxk_ABCDEFGH_{secret}"),
            format!("hxk_abcdefg_{secret}"),
            format!("hxk_abcdefgh{secret}"),
        ] {
            assert!(ParsedToken::parse(&text).is_err(), "{text}");
        }
        assert!(ParsedToken::parse(&format!("hxs_{secret}")).is_ok());
        assert!(ParsedToken::parse(&format!("hxk_abcdefg9_{secret}")).is_ok());
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in any::<String>(), near in "hx[ska]_[a-z0-9_]{0,60}") {
            let _ = ParsedToken::parse(&text);
            let _ = ParsedToken::parse(&near);
        }

        #[test]
        fn one_changed_character_is_another_token(kind in 0..4usize, at in 0..56usize, by in 33..127u8) {
            let kind = KINDS.get(kind).copied().unwrap_or(TokenKind::Session);
            let made = NewToken::generate(kind);
            let text = made.plain.expose_secret();
            let change = |(i, c)| if i == at { char::from(by) } else { c };
            let changed: String = text.chars().enumerate().map(change).collect();
            if changed != text {
                prop_assert_ne!(ParsedToken::parse(&changed).map(|token| token.hash), Ok(made.hash));
            }
        }
    }
}
