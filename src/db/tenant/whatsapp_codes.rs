//! Codes by which a telephone links a bot of WhatsApp: shown by whichever process is asked, made by the one that runs the bot.

use chrono::{DateTime, Utc};

use super::query::{Columns, Query};
use crate::db::DbError;
use crate::domain::ids::InstanceId;
use crate::domain::phone::Phone;

/// A QR code is scanned; a pair code is typed into the telephone of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeKind {
    /// To be scanned.
    Qr,
    /// To be typed.
    PairCode,
}

impl CodeKind {
    /// As it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Qr => "qr",
            Self::PairCode => "pair_code",
        }
    }
}

/// A code as it is stored. It has no `Debug`: whoever has it links a device.
pub struct StoredCode {
    /// The number that it is for, of a pair code.
    pub phone: Option<String>,
    /// Sealed; none while it is wanted and not there.
    pub code_sealed: Option<Vec<u8>>,
    /// Until when it is good.
    pub expires_at: Option<DateTime<Utc>>,
    /// The how manieth it is.
    pub n: i32,
}

pub(super) fn read(mut row: Columns<'_>) -> Result<StoredCode, DbError> {
    Ok(StoredCode {
        phone: row.next()?,
        code_sealed: row.next()?,
        expires_at: row.next()?,
        n: row.next()?,
    })
}

/// The code of a bot, good or not.
pub fn find(instance: InstanceId, kind: CodeKind) -> Query<Option<StoredCode>> {
    Query::optional(
        "select phone, code_sealed, expires_at, n from whatsapp_codes where instance_id = $1 and kind = $2",
        read,
    )
    .bind(instance.as_uuid())
    .bind(kind.as_str())
}

/// Shows the next QR code; the how manieth it is.
pub fn set_qr(
    instance: InstanceId,
    code_sealed: Vec<u8>,
    expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Query<Option<i32>> {
    Query::optional(
        "insert into whatsapp_codes (instance_id, kind, code_sealed, expires_at, n, updated_at) \
         select i.id, 'qr', $2, $3, 1, $4 from instances i where i.id = $1 and i.deleted_at is null \
         on conflict on constraint whatsapp_codes_pkey do update set code_sealed = excluded.code_sealed, \
         expires_at = excluded.expires_at, n = whatsapp_codes.n + 1, updated_at = excluded.updated_at returning n",
        |mut row| row.next(),
    )
    .bind(instance.as_uuid())
    .bind(code_sealed)
    .bind(expires_at)
    .bind(now)
}

/// Wants a pair code for the telephone of this number, instead of any other.
pub fn want_pair_code(instance: InstanceId, phone: Phone, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        "insert into whatsapp_codes (instance_id, kind, phone, n, updated_at) \
         select i.id, 'pair_code', $2, 0, $3 from instances i where i.id = $1 \
         on conflict on constraint whatsapp_codes_pkey do update set phone = excluded.phone, code_sealed = null, \
         expires_at = null, updated_at = excluded.updated_at",
    )
    .bind(instance.as_uuid())
    .bind(String::from(phone))
    .bind(now)
}

/// The number for which a pair code is wanted and not there.
pub fn find_wanted(instance: InstanceId) -> Query<Option<String>> {
    Query::optional(
        "select phone from whatsapp_codes where instance_id = $1 and kind = 'pair_code' and code_sealed is null",
        |mut row| row.next(),
    )
    .bind(instance.as_uuid())
}

/// Shows the pair code that is wanted.
pub fn set_pair_code(
    instance: InstanceId,
    code_sealed: Vec<u8>,
    expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Query<u64> {
    Query::execute(
        "update whatsapp_codes set code_sealed = $2, expires_at = $3, n = n + 1, updated_at = $4 \
         where instance_id = $1 and kind = 'pair_code'",
    )
    .bind(instance.as_uuid())
    .bind(code_sealed)
    .bind(expires_at)
    .bind(now)
}

/// Forgets the pair code of a bot, also one that is only wanted.
pub fn delete_pair_code(instance: InstanceId) -> Query<u64> {
    Query::execute("delete from whatsapp_codes where instance_id = $1 and kind = 'pair_code'")
        .bind(instance.as_uuid())
}

/// Forgets what a run before this one has shown; what is wanted stays wanted.
pub fn delete_shown(instance: InstanceId) -> Query<u64> {
    Query::execute("delete from whatsapp_codes where instance_id = $1 and code_sealed is not null")
        .bind(instance.as_uuid())
}

/// Forgets both codes of a bot.
pub fn delete_all(instance: InstanceId) -> Query<u64> {
    Query::execute("delete from whatsapp_codes where instance_id = $1").bind(instance.as_uuid())
}
