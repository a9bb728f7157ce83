//! Links by which somebody chooses a password: the token goes into one mail and is stored nowhere in clear.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use crate::domain::ids::TenantId;
use crate::domain::platform_key::PlatformKey;
use crate::domain::token::{NewToken, TokenHash, TokenKind};

/// A link of a tenant's user, before it is stored and mailed.
pub struct NewLink {
    /// What is stored with the user.
    pub hash: TokenHash,
    /// The outbox row that mails it.
    pub mail: Uuid,
    /// The token, sealed for that row.
    pub token_sealed: String,
}

impl NewLink {
    /// A new link at this tenant.
    pub fn generate(key: &PlatformKey, tenant: TenantId) -> Self {
        let token = NewToken::generate(TokenKind::PasswordLink);
        let mail = Uuid::now_v7();
        let sealed = key.seal(&context(tenant, mail), token.plain.expose_secret().as_bytes());
        Self {
            hash: token.hash,
            mail,
            token_sealed: STANDARD.encode(sealed),
        }
    }
}

/// The token that the outbox row `mail` of this tenant is to send.
pub fn open_token(key: &PlatformKey, tenant: TenantId, mail: Uuid, sealed: &str) -> Option<String> {
    let sealed = STANDARD.decode(sealed).ok()?;
    let token = key.open(&context(tenant, mail), &sealed)?;
    String::from_utf8(token.to_vec()).ok()
}

fn context(tenant: TenantId, mail: Uuid) -> String {
    format!("password_link:{tenant}:{mail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_at_its_own_tenant_and_row_only() {
        let key = PlatformKey::new(&[1; 32]);
        let (here, there) = (TenantId::new(), TenantId::new());
        let link = NewLink::generate(&key, here);
        let token = open_token(&key, here, link.mail, &link.token_sealed).unwrap();
        assert_eq!(TokenHash::of(&token), link.hash);
        assert_eq!(open_token(&key, there, link.mail, &link.token_sealed), None);
        assert_eq!(open_token(&key, here, Uuid::now_v7(), &link.token_sealed), None);
        assert!(!link.token_sealed.contains("hxp_"));
    }
}
