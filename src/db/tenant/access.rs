//! Who asks and how far they may reach, proven by the tenant's own schema inside the request's round trip.
//!
//! The statement runs after the guard, as the tenant's role, and *raises* when the credentials fail: nothing
//! after it runs. There is no cache, so a logout or a revoked key counts at once.

use chrono::{DateTime, Utc};

use super::query::{Columns, Query};
use crate::db::DbError;
use crate::domain::ids::{ApiKeyId, SessionId, UserId};
use crate::domain::rights::{Need, roles_allowed, scope_for_api_key};
use crate::domain::role::{Role, Scope};
use crate::domain::token::{ParsedToken, TokenHash, TokenKind};

/// What a request must prove before its statements run.
#[derive(Clone)]
pub struct Access {
    proof: Proof,
    need: Need,
    now: DateTime<Utc>,
    /// Decides whose connections it may use up, nothing else.
    is_known: bool,
}

#[derive(Clone)]
pub(super) enum Proof {
    Session(TokenHash),
    ApiKey(TokenHash),
    /// Known to the program by other means than a token: by a chat that they have linked.
    User(UserId),
    /// Served to anybody: the storefront, the login.
    Public,
    /// The program itself: jobs, onboarding.
    System,
}

/// Who was recognised.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The user or key behind the request.
    pub actor: Actor,
}

/// The kinds of callers.
#[derive(Debug, Clone)]
pub enum Actor {
    /// A person who has logged in.
    User {
        /// The user's id.
        id: UserId,
        /// The session whose token was used.
        session: SessionId,
        /// The user's role at this moment.
        role: Role,
    },
    /// A person who speaks elsewhere than at the tenant's address.
    Linked {
        /// The user's id.
        id: UserId,
    },
    /// A program with an API key.
    ApiKey {
        /// The key's id.
        id: ApiKeyId,
        /// When the key was last noted as used; `None` if never.
        last_used_at: Option<DateTime<Utc>>,
    },
    /// Anybody.
    Public,
    /// The program itself.
    System,
}

impl Actor {
    /// `user`, `api_key`, `public` or `system`: the audit's `actor_kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::User { .. } | Self::Linked { .. } => "user",
            Self::ApiKey { .. } => "api_key",
            Self::Public => "public",
            Self::System => "system",
        }
    }
}

impl Access {
    /// The bearer of `token` must be known here and have the rights of `need`.
    /// `None` for a token that can never be valid at a tenant (an administrator's).
    pub fn bearer(token: &ParsedToken, need: Need, now: DateTime<Utc>) -> Option<Self> {
        let proof = match token.kind {
            TokenKind::Session => Proof::Session(token.hash),
            TokenKind::ApiKey => Proof::ApiKey(token.hash),
            TokenKind::AdminSession | TokenKind::PasswordLink | TokenKind::SocketTicket => return None,
        };
        Some(Self {
            proof,
            need,
            now,
            is_known: false,
        })
    }

    /// The same, of somebody whose credentials have proven good before, or not: no stranger when it comes to connections.
    /// The proof is demanded all the same.
    #[must_use]
    pub fn known(self, is_known: bool) -> Self {
        Self { is_known, ..self }
    }

    /// A user who has proven elsewhere who they are: they must be active here and have the rights of `need`.
    pub fn user(id: UserId, need: Need, now: DateTime<Utc>) -> Self {
        Self {
            proof: Proof::User(id),
            need,
            now,
            is_known: true,
        }
    }

    /// What anybody may see.
    pub fn public(now: DateTime<Utc>) -> Self {
        Self {
            proof: Proof::Public,
            need: Need::Read,
            now,
            is_known: false,
        }
    }

    /// The program's own work.
    pub fn system(now: DateTime<Utc>) -> Self {
        Self {
            proof: Proof::System,
            need: Need::Own,
            now,
            is_known: true,
        }
    }

    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }

    pub(super) fn proof(&self) -> &Proof {
        &self.proof
    }

    /// The hash of the session token that was presented, if it is one.
    pub fn session(&self) -> Option<&TokenHash> {
        match &self.proof {
            Proof::Session(hash) => Some(hash),
            _ => None,
        }
    }

    /// The same as statements take it.
    pub(super) fn session_bytes(&self) -> Option<Vec<u8>> {
        self.session().map(|hash| hash.as_bytes().to_vec())
    }

    /// The hash of whatever was presented.
    pub fn presented(&self) -> Option<&TokenHash> {
        match &self.proof {
            Proof::Session(hash) | Proof::ApiKey(hash) => Some(hash),
            Proof::User(_) | Proof::Public | Proof::System => None,
        }
    }

    /// The moment of the request.
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// The statement that proves it, or who it is when nothing needs proof.
    pub(super) fn query(&self) -> Result<Query<Identity>, Identity> {
        let need = self.need;
        match self.proof {
            Proof::Session(hash) => Ok(Query::one(SESSION, read_session)
                .bind(hash.as_bytes().to_vec())
                .bind(self.now)
                .bind(roles_allowed(need).to_vec())),
            Proof::ApiKey(hash) => Ok(Query::one(API_KEY, read_api_key)
                .bind(hash.as_bytes().to_vec())
                .bind(scope_for_api_key(need).map_or("", Scope::as_str))),
            Proof::User(id) => Ok(Query::one(USER, read_user)
                .bind(id.as_uuid())
                .bind(roles_allowed(need).to_vec())),
            Proof::Public => Err(Identity { actor: Actor::Public }),
            Proof::System => Err(Identity { actor: Actor::System }),
        }
    }
}

const SESSION: &str = "\
select s.id, u.id, u.role,
       case when u.id is null then helixai.refuse('HX401')
            when not u.role = any ($3) then helixai.refuse('HX403')
            else 0 end
from (values (true)) as request (one)
left join (sessions s join users u on u.id = s.user_id and u.status = 'active')
       on s.token_hash = $1 and s.expires_at > $2";

fn read_session(mut row: Columns<'_>) -> Result<Identity, DbError> {
    let session = SessionId::from_uuid(row.next()?);
    let id = UserId::from_uuid(row.next()?);
    Ok(Identity {
        actor: Actor::User {
            id,
            session,
            role: row.parse()?,
        },
    })
}

const USER: &str = "\
select u.id,
       case when u.id is null then helixai.refuse('HX401')
            when not u.role = any ($2) then helixai.refuse('HX403')
            else 0 end
from (values (true)) as request (one)
left join users u on u.id = $1 and u.status = 'active'";

fn read_user(mut row: Columns<'_>) -> Result<Identity, DbError> {
    let id = UserId::from_uuid(row.next()?);
    Ok(Identity {
        actor: Actor::Linked { id },
    })
}

const API_KEY: &str = "\
select k.id, k.last_used_at,
       case when k.id is null then helixai.refuse('HX401')
            when not $2 = any (k.scopes) then helixai.refuse('HX403')
            else 0 end
from (values (true)) as request (one)
left join api_keys k on k.key_hash = $1 and k.revoked_at is null";

fn read_api_key(mut row: Columns<'_>) -> Result<Identity, DbError> {
    let id = ApiKeyId::from_uuid(row.next()?);
    Ok(Identity {
        actor: Actor::ApiKey {
            id,
            last_used_at: row.next()?,
        },
    })
}
