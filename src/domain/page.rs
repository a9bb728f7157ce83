//! Pages of a list, newest first, by cursor rather than by number.
//!
//! A cursor is the place of the last row seen, `(created_at, id)`: the next page begins after it even when rows
//! were added meanwhile, and the database finds it by index. It is opaque to clients and carries a version byte,
//! so that a list sorted otherwise can have another kind of cursor later.

use super::invalid::Invalid;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Datelike as _, Utc};
use serde::Serialize;
use std::{fmt, str::FromStr};
use utoipa::ToSchema;
use uuid::Uuid;

/// How many items a page may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u16);

impl Limit {
    /// A single item.
    pub const ONE: Self = Self(1);
    /// As many as there may be.
    pub const MOST: Self = Self(Self::MAX);
    /// Most items of a page.
    pub const MAX: u16 = 200;

    /// A number of items: 1 to 200.
    pub fn new(limit: i64) -> Result<Self, Invalid> {
        match u16::try_from(limit) {
            Ok(limit @ 1..=Self::MAX) => Ok(Self(limit)),
            _ => Err(Invalid::out_of_range(1, Self::MAX.into())),
        }
    }

    /// Reads the query parameter.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        value
            .parse()
            .map_err(|_| Invalid::out_of_range(1, Self::MAX.into()))
            .and_then(Self::new)
    }

    /// The number of items.
    pub const fn get(self) -> usize {
        self.0 as usize
    }

    /// The number of rows to ask the database for: one more than the page holds tells whether there is another.
    pub const fn rows(self) -> i64 {
        self.0 as i64 + 1
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

/// The place after which a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// When the last row seen was made.
    pub at: DateTime<Utc>,
    /// The last row seen.
    pub id: Uuid,
}

/// `(created_at, id)`.
const VERSION: u8 = 1;

impl Cursor {
    /// The place of a row.
    pub fn new(at: DateTime<Utc>, id: impl Into<Uuid>) -> Self {
        Self { at, id: id.into() }
    }

    /// Reads the query parameter; what this program did not write is `invalid_cursor`.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        Self::decode(value).ok_or_else(|| Invalid::new("invalid_cursor", "is not a cursor of this list"))
    }

    fn decode(value: &str) -> Option<Self> {
        // Not a byte more than a cursor has is decoded.
        if value.len() > 40 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(value).ok()?;
        let (version, rest) = bytes.split_first()?;
        let (micros, id) = rest.split_first_chunk()?;
        let at = DateTime::from_timestamp_micros(i64::from_be_bytes(*micros))?;
        // A year that the database cannot compare with is none of this program.
        ((1..=9999).contains(&at.year()) && *version == VERSION).then_some(Self {
            at,
            id: Uuid::from_slice(id).ok()?,
        })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![VERSION];
        bytes.extend(self.at.timestamp_micros().to_be_bytes());
        bytes.extend(self.id.as_bytes());
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Cursor {
    type Err = Invalid;

    fn from_str(value: &str) -> Result<Self, Invalid> {
        Self::parse(value)
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items, newest first.
    pub items: Vec<T>,
    /// Where the next page begins; absent on the last one.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Makes a page of the rows fetched with [`Limit::rows`]; `key` says where a row stands.
    pub fn from_rows(mut rows: Vec<T>, limit: Limit, key: impl Fn(&T) -> Cursor) -> Self {
        let more = rows.len() > limit.get();
        rows.truncate(limit.get());
        let next_cursor = rows.last().filter(|_| more).map(|last| key(last).to_string());
        Self {
            items: rows,
            next_cursor,
        }
    }

    /// The same page of something else.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(change).collect(),
            next_cursor: self.next_cursor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn limit_is_1_to_200() {
        assert_eq!(Limit::default().get(), 50);
        for text in ["1", "200"] {
            assert!(Limit::parse(text).is_ok());
        }
        for text in ["0", "201", "-1", "", "x", "1.5", " 5", "99999999999999999999"] {
            assert_eq!(
                Limit::parse(text).map_err(|e| e.code),
                Err("out_of_range"),
                "{text}"
            );
        }
    }

    fn place(n: &u128) -> Cursor {
        Cursor::new(DateTime::UNIX_EPOCH, Uuid::from_u128(*n))
    }

    #[test]
    fn a_page_knows_whether_another_follows() -> Result<(), Invalid> {
        let limit = Limit::new(2)?;
        let full = Page::from_rows(vec![1, 2, 3], limit, place);
        assert_eq!(
            (full.items, full.next_cursor),
            (vec![1, 2], Some(place(&2).to_string()))
        );
        let last = Page::from_rows(vec![1, 2], limit, place).map(|n| n * 10);
        assert_eq!((last.items, last.next_cursor), (vec![10, 20], None));
        assert_eq!(Page::from_rows(vec![], limit, place).next_cursor, None);
        Ok(())
    }

    #[test]
    fn other_text_is_no_cursor() {
        let other_version = URL_SAFE_NO_PAD.encode([2; 25]);
        let long = URL_SAFE_NO_PAD.encode([1; 26]);
        let short = URL_SAFE_NO_PAD.encode([1; 24]);
        let long_ago = chrono::NaiveDate::from_ymd_opt(-6000, 1, 1)
            .unwrap_or_default()
            .and_time(chrono::NaiveTime::MIN);
        let long_ago = Cursor::new(long_ago.and_utc(), Uuid::nil()).to_string();
        let no_time = URL_SAFE_NO_PAD.encode([[1].as_slice(), &[0x7f; 24]].concat());
        for text in [
            "",
            "x",
            "{}",
            "0190163d-8694-739b-aea5-966c26f8ad91",
            &other_version,
            &long,
            &short,
            &no_time,
            &long_ago,
        ] {
            assert_eq!(
                Cursor::parse(text).map_err(|e| e.code),
                Err("invalid_cursor"),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in any::<String>(), near in "[A-Za-z0-9_-]{30,36}") {
            let _ = Limit::parse(&text);
            let _ = Cursor::parse(&text);
            if let Ok(cursor) = Cursor::parse(&near) {
                prop_assert_eq!(cursor.to_string(), near);
            }
        }

        #[test]
        fn a_cursor_is_read_back(micros in -62_135_596_800_000_000..253_402_300_800_000_000i64, id in any::<u128>()) {
            let cursor = Cursor::new(DateTime::from_timestamp_micros(micros).unwrap_or_default(), Uuid::from_u128(id));
            prop_assert_eq!(Cursor::parse(&cursor.to_string()), Ok(cursor));
        }
    }
}
