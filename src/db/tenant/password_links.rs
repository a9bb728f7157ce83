//! `password_links`: how somebody who has forgotten the password, or was asked in, comes to one. A link is mailed to the user's own
//! address, works once, for a while, and only here: its hash is in this tenant's schema and nowhere else.

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::query::Query;
use crate::domain::email::Email;
use crate::domain::ids::{AuditId, UserId};
use crate::domain::login_attempt::LoginAttempt;
use crate::domain::password_link::LinkPurpose;
use crate::domain::token::TokenHash;
use crate::telemetry::request_id;

/// How often handing a mail to the registry is tried.
const MOST_ATTEMPTS: i32 = 20;
/// Links that one user can ask for within an hour: so much mail strangers can cause.
const AN_HOUR: i64 = 3;

/// Removes links that are over.
pub fn prune(now: DateTime<Utc>) -> Query<u64> {
    Query::execute("delete from password_links where expires_at <= $1").bind(now)
}

/// Makes a link for the user of this address, if there is one that may come in: until `reset_until`, or until `invited_until` for
/// who was only asked in. None while `attempt` is blocked, and no more than three in an hour.
pub fn ask(
    hash: &TokenHash,
    email: &Email,
    attempt: &LoginAttempt,
    reset_until: DateTime<Utc>,
    invited_until: DateTime<Utc>,
) -> Query<u64> {
    Query::execute(
        "insert into password_links (token_hash, user_id, purpose, created_at, expires_at)
         select $1, u.id, case u.status when 'invited' then 'invitation' else 'reset' end, $3,
                case u.status when 'invited' then $5 else $4 end
         from users u
         where u.email = $2 and u.status in ('active', 'invited')
           and not exists (select from login_throttle t where t.key = any ($6) and t.blocked_until > $3)
           and (select count(*) from password_links l
                where l.user_id = u.id and l.created_at > $3 - interval '1 hour') < $7",
    )
    .bind(hash.as_bytes().to_vec())
    .bind(email.as_str().to_owned())
    .bind(attempt.at)
    .bind(reset_until)
    .bind(invited_until)
    .bind(vec![attempt.near.clone(), attempt.anywhere.clone()])
    .bind(AN_HOUR)
}

/// Makes a link for a user who was asked in, and none for any other.
pub fn invite(user: UserId, hash: &TokenHash, until: DateTime<Utc>, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        "insert into password_links (token_hash, user_id, purpose, created_at, expires_at)
         select $1, u.id, 'invitation', $3, $4 from users u where u.id = $2 and u.status = 'invited'",
    )
    .bind(hash.as_bytes().to_vec())
    .bind(user.as_uuid())
    .bind(now)
    .bind(until)
}

/// Has the link of this hash mailed, if it was made. `token_sealed` is the token, sealed for the outbox row `id`.
pub fn mail(id: Uuid, hash: &TokenHash, token_sealed: String, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        "insert into outbox (id, kind, payload, state, due_at, max_attempts, created_at, updated_at)
         select $1, 'mail', jsonb_build_object('purpose', l.purpose, 'user_id', l.user_id) || $3, 'pending', $4, $5, $4, $4
         from password_links l, helixai.note_due($4) where l.token_hash = $2",
    )
    .bind(id)
    .bind(hash.as_bytes().to_vec())
    .bind(json!({ "token_sealed": token_sealed }))
    .bind(now)
    .bind(MOST_ATTEMPTS)
}

/// The audit of a link that somebody has asked for without being logged in, if it was made.
pub fn audit(hash: &TokenHash, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        "insert into audit_log (id, at, actor_kind, action, entity, entity_id, request_id, details)
         select $1, $2, 'system', 'user.ask_password_link', 'users', l.user_id::text, $3,
                jsonb_build_object('purpose', l.purpose)
         from password_links l where l.token_hash = $4",
    )
    .bind(AuditId::new().as_uuid())
    .bind(now)
    .bind(request_id::current().map(|id| id.to_string()))
    .bind(hash.as_bytes().to_vec())
}

/// Whom a living link lets choose a password: the user and their address.
pub fn find(hash: &TokenHash, purpose: LinkPurpose, now: DateTime<Utc>) -> Query<Option<(UserId, String)>> {
    Query::optional(
        "select u.id, u.email from password_links l join users u on u.id = l.user_id
         where l.token_hash = $1 and l.purpose = $2 and l.expires_at > $3 and u.status in ('active', 'invited')",
        |mut row| Ok((UserId::from_uuid(row.next()?), row.next()?)),
    )
    .bind(hash.as_bytes().to_vec())
    .bind(purpose.as_str())
    .bind(now)
}

/// Gives the user of a living link this password and ends all their sessions and links; refuses as not found when the link has
/// been used meanwhile.
pub fn spend(
    hash: &TokenHash,
    purpose: LinkPurpose,
    password_hash: String,
    now: DateTime<Utc>,
) -> Query<u64> {
    Query::execute(
        "with link as (
             delete from password_links where token_hash = $1 and purpose = $2 and expires_at > $3 returning user_id
         ), changed as (
             update users u set password_hash = $4, status = 'active', version = u.version + 1, updated_at = $3
             from link where u.id = link.user_id and u.status in ('active', 'invited') returning u.id
         ), others as (
             delete from password_links l using changed c where l.user_id = c.id and l.token_hash <> $1
         ), ended as (
             delete from sessions s using changed c where s.user_id = c.id
         )
         select case when c.id is null then helixai.refuse('HX404') else 0 end, helixai.tell('access.changed', null, '{}')
         from (values (true)) as request (one) left join changed c on true",
    )
    .bind(hash.as_bytes().to_vec())
    .bind(purpose.as_str())
    .bind(now)
    .bind(password_hash)
}

/// Whom a mail goes to, and in which language: name, address, the tenant's language as it is stored. None for a user who is gone
/// or may not come in.
pub fn find_addressee(user: UserId) -> Query<Option<Addressee>> {
    Query::optional(
        "select u.name, u.email, (select s.value #>> '{}' from settings s where s.key = 'language')
         from users u where u.id = $1 and u.status in ('active', 'invited')",
        |mut row| {
            Ok(Addressee {
                name: row.next()?,
                email: row.next()?,
                language: row.next()?,
            })
        },
    )
    .bind(user.as_uuid())
}

/// Whom a mail goes to. It has no `Debug`: it is personal data.
pub struct Addressee {
    /// As shown.
    pub name: String,
    /// Lower-cased.
    pub email: String,
    /// The tenant's language, if one is set.
    pub language: Option<String>,
}
