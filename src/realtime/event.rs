//! What a shard's notice says: of which tenant, what, and to whom.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::db::tenant::sockets::Holder;
use crate::domain::event::EventKind;
use crate::domain::ids::TenantId;
use crate::domain::role::Role;

/// A notice as `helixai.tell` writes it.
#[derive(Deserialize)]
struct Written {
    tenant: Uuid,
    #[serde(rename = "type")]
    kind: EventKind,
    #[serde(default)]
    to: Value,
    #[serde(default)]
    data: Value,
}

/// What has happened at a tenant.
pub(super) struct Notice {
    pub(super) tenant: TenantId,
    pub(super) kind: EventKind,
    audience: Audience,
    data: Value,
}

/// Whom it concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    Everybody,
    /// Whoever may have the bot of this user: an agent has their own.
    BotOf(Option<Uuid>),
    /// This user.
    User(Option<Uuid>),
}

impl Notice {
    /// Reads a notice; `None` for what this program does not know, such as a newer one's.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let written: Written = serde_json::from_str(text).ok()?;
        let id = |value: &Value| value.as_str().and_then(|id| id.parse().ok());
        let audience = match (written.to.get("owner"), written.to.get("user")) {
            (Some(owner), _) => Audience::BotOf(id(owner)),
            (None, Some(user)) => Audience::User(id(user)),
            (None, None) => Audience::Everybody,
        };
        Some(Self {
            tenant: TenantId::from_uuid(written.tenant),
            kind: written.kind,
            audience,
            data: written.data,
        })
    }

    /// Whether it is for a socket of this holder.
    pub(super) fn is_for(&self, holder: &Holder) -> bool {
        match (self.audience, holder) {
            (Audience::Everybody, _) | (Audience::BotOf(_), Holder::ApiKey(_)) => true,
            (Audience::BotOf(owner), Holder::Session { user, role, .. }) => {
                *role != Role::Agent || owner == Some(user.as_uuid())
            }
            (Audience::User(user), Holder::Session { user: own, .. }) => user == Some(own.as_uuid()),
            (Audience::User(_), Holder::ApiKey(_)) => false,
        }
    }

    /// As a socket is told.
    pub(super) fn text(&self, now: DateTime<Utc>) -> Arc<str> {
        text(self.kind, &self.data, now)
    }
}

/// What a socket is told.
pub(super) fn text(kind: EventKind, data: &Value, now: DateTime<Utc>) -> Arc<str> {
    let data = if data.is_null() { &json!({}) } else { data };
    Arc::from(json!({ "type": kind, "at": now, "data": data }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{ApiKeyId, SessionId, UserId};

    fn holder(user: UserId, role: Role) -> Holder {
        Holder::Session {
            id: SessionId::new(),
            user,
            role,
            until: DateTime::UNIX_EPOCH,
        }
    }

    fn notice(to: &Value) -> Notice {
        let tenant = TenantId::new();
        let text = json!({ "tenant": tenant, "type": "bot.state", "to": to, "data": { "id": 1 } });
        Notice::parse(&text.to_string()).unwrap()
    }

    #[test]
    fn agents_hear_of_their_own_bots() {
        let (ana, bia) = (UserId::new(), UserId::new());
        let of_ana = notice(&json!({ "owner": ana }));
        assert!(of_ana.is_for(&holder(ana, Role::Agent)));
        assert!(!of_ana.is_for(&holder(bia, Role::Agent)));
        assert!(of_ana.is_for(&holder(bia, Role::Manager)));
        assert!(of_ana.is_for(&Holder::ApiKey(ApiKeyId::new())));
        assert!(!notice(&json!({ "owner": null })).is_for(&holder(ana, Role::Agent)));
        assert!(notice(&Value::Null).is_for(&holder(ana, Role::Agent)));
    }

    #[test]
    fn what_is_for_one_user_is_for_nobody_else() {
        let (ana, bia) = (UserId::new(), UserId::new());
        let to_ana = notice(&json!({ "user": ana }));
        assert!(to_ana.is_for(&holder(ana, Role::Agent)));
        assert!(!to_ana.is_for(&holder(bia, Role::Owner)));
        assert!(!to_ana.is_for(&Holder::ApiKey(ApiKeyId::new())));
        assert!(!notice(&json!({ "user": null })).is_for(&holder(ana, Role::Owner)));
    }

    #[test]
    fn what_is_not_known_is_passed_over() {
        for text in [
            "",
            "{}",
            r#"{"tenant":"1","type":"resync"}"#,
            r#"{"tenant":"01900000-0000-7000-8000-000000000001","type":"x"}"#,
        ] {
            assert!(Notice::parse(text).is_none(), "{text}");
        }
    }
}
