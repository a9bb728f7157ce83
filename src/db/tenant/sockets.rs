//! Who may have a socket: tickets that open one, and whether those who have one may have it still.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::query::Query;
use crate::db::DbError;
use crate::domain::ids::{ApiKeyId, SessionId, UserId};
use crate::domain::role::Role;
use crate::domain::token::TokenHash;

/// In whose name a socket is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// A session of a user, which ends then.
    Session {
        /// The session.
        id: SessionId,
        /// Whose.
        user: UserId,
        /// What the user may.
        role: Role,
        /// When it is over.
        until: DateTime<Utc>,
    },
    /// A program.
    ApiKey(ApiKeyId),
}

impl Holder {
    /// The session, or the key.
    pub fn id(&self) -> Uuid {
        match self {
            Self::Session { id, .. } => id.as_uuid(),
            Self::ApiKey(id) => id.as_uuid(),
        }
    }

    /// Whose sockets are counted together.
    pub fn owner(&self) -> Uuid {
        match self {
            Self::Session { user, .. } => user.as_uuid(),
            Self::ApiKey(id) => id.as_uuid(),
        }
    }
}

/// Makes a ticket for the session of this token, and removes those that are over; when it is over.
pub fn insert_ticket(
    ticket: &TokenHash,
    session: &TokenHash,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> (Query<u64>, Query<u64>) {
    let prune = Query::execute("delete from socket_tickets where expires_at <= $1").bind(now);
    let insert = Query::execute(
        "insert into socket_tickets (token_hash, session_id, created_at, expires_at) \
         select $1, s.id, $3, $4 from sessions s where s.token_hash = $2",
    );
    let insert = insert
        .bind(ticket.as_bytes().to_vec())
        .bind(session.as_bytes().to_vec())
        .bind(now)
        .bind(until);
    (prune, insert)
}

/// Takes a ticket: whom it lets in. Refuses with [`crate::db::Refusal::Credentials`] when it is unknown, over or was taken before, or when
/// its session is over.
pub fn take_ticket(ticket: &TokenHash, now: DateTime<Utc>) -> Query<Holder> {
    Query::one(
        "with taken as (delete from socket_tickets where token_hash = $1 returning session_id, expires_at) \
         select case when u.id is null then helixai.refuse('HX401') else 0 end, s.id, u.id, u.role, s.expires_at \
         from (values (true)) as request (one) \
         left join (taken t join sessions s on s.id = t.session_id and s.expires_at > $2 and t.expires_at > $2 \
                    join users u on u.id = s.user_id and u.status = 'active') on true",
        |mut row| {
            let _: i32 = row.next()?;
            Ok(Holder::Session {
                id: SessionId::from_uuid(row.next()?),
                user: UserId::from_uuid(row.next()?),
                role: row.parse()?,
                until: row.next()?,
            })
        },
    )
    .bind(ticket.as_bytes().to_vec())
    .bind(now)
}

/// When the session of this token is over; `None` when there is none, as of an API key.
pub fn find_end(session: Option<&TokenHash>) -> Query<Option<DateTime<Utc>>> {
    Query::optional(
        "select expires_at from sessions where token_hash = $1",
        |mut row| row.next(),
    )
    .bind(session.map(|hash| hash.as_bytes().to_vec()))
}

/// Those of these sessions and keys that may have sockets still, with the roles of the sessions' users.
pub fn list_standing(ids: Vec<Uuid>, now: DateTime<Utc>) -> Query<Vec<(Uuid, Option<Role>)>> {
    Query::all(
        "select s.id, u.role from sessions s join users u on u.id = s.user_id and u.status = 'active' \
         where s.id = any ($1) and s.expires_at > $2 \
         union all select k.id, null from api_keys k \
         where k.id = any ($1) and k.revoked_at is null and 'read' = any (k.scopes)",
        |mut row| {
            let id = row.next()?;
            let role: Option<String> = row.next()?;
            let role = role.map(|role| Role::parse(&role)).transpose();
            Ok((id, role.map_err(|_| unknown_role())?))
        },
    )
    .bind(ids)
    .bind(now)
}

fn unknown_role() -> DbError {
    DbError::Other {
        code: "driver".to_owned(),
        message: "a user has a role that is not known".to_owned(),
    }
}
