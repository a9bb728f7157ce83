//! A query as a value: its text, its bound parameters and how its rows become a domain value.
//!
//! Text is always `&'static str`, so it can never be built from input.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;
use tokio_postgres::types::{Oid, ToSql, Type};
use uuid::Uuid;

use super::answer::Answer;
pub use super::answer::Columns;

use crate::db::DbError;

/// A bound parameter with the type it is sent as, so that a statement needs no round trip to be described.
pub(super) type Param = (Box<dyn ToSql + Sync + Send>, Type);

/// A Rust type that is always sent as one `PostgreSQL` type.
pub trait SqlValue: ToSql + Sync + Send + 'static {
    /// The type named to the server.
    const TYPE: Type;

    /// Whether it is an optional value that is there.
    fn is_given(&self) -> bool {
        false
    }
}

macro_rules! sql_value {
    ($($rust:ty => $sql:ident),* $(,)?) => { $(impl SqlValue for $rust { const TYPE: Type = Type::$sql; })* };
}

sql_value! {
    bool => BOOL, i16 => INT2, i32 => INT4, i64 => INT8, f64 => FLOAT8,
    String => TEXT, &'static str => TEXT, Vec<String> => TEXT_ARRAY, Vec<&'static str> => TEXT_ARRAY,
    Uuid => UUID, Vec<Uuid> => UUID_ARRAY, Vec<i64> => INT8_ARRAY, Value => JSONB, Vec<u8> => BYTEA,
    DateTime<Utc> => TIMESTAMPTZ, NaiveDate => DATE,
    Vec<Option<String>> => TEXT_ARRAY, Vec<Option<Vec<u8>>> => BYTEA_ARRAY, Vec<Option<i64>> => INT8_ARRAY,
}

impl<T: SqlValue> SqlValue for Option<T> {
    const TYPE: Type = T::TYPE;

    fn is_given(&self) -> bool {
        self.is_some()
    }
}

/// One statement as it goes to the server.
pub(super) struct Statement {
    pub(super) text: &'static str,
    pub(super) params: Vec<Param>,
    /// Which plan is good depends on which of its optional parameters are given.
    narrowed: bool,
    /// An optional parameter is given.
    given: bool,
}

impl Statement {
    /// Without parameters.
    pub(super) const fn bare(text: &'static str) -> Self {
        Self {
            text,
            params: Vec::new(),
            narrowed: false,
            given: false,
        }
    }

    /// With parameters.
    pub(super) fn new(text: &'static str, params: Vec<Param>) -> Self {
        Self {
            params,
            ..Self::bare(text)
        }
    }

    /// The types that its parameters are sent as.
    pub(super) fn types(&self) -> impl Iterator<Item = Oid> {
        self.params.iter().map(|(_, kind)| kind.oid())
    }

    /// Whether it is planned for the values that are bound to it, instead of once for all values.
    pub(super) fn wants_own_plan(&self) -> bool {
        self.narrowed && self.given
    }
}

type Decode<T> = Box<dyn FnOnce(Answer) -> Result<T, DbError> + Send>;

/// One statement and the value it yields. Only a [`super::TenantDb`] can run it.
///
/// ```
/// use helixai::db::DbError;
/// use helixai::db::tenant::{Access, Query, TenantDb};
///
/// async fn count_leads(tenant: &TenantDb, access: &Access) -> Result<i64, DbError> {
///     let count = Query::one("select count(*) from leads", |mut row| row.next());
///     Ok(tenant.run(access, count).await?.output)
/// }
/// ```
///
/// Without a tenant there is nothing to call:
///
/// ```compile_fail,E0599
/// use helixai::db::DbError;
/// use helixai::db::tenant::Query;
///
/// async fn count_leads() -> Result<i64, DbError> {
///     Query::<i64>::one("select count(*) from leads", |mut row| row.next()).run().await
/// }
/// ```
///
/// Nor does a text that is made from input become a query:
///
/// ```compile_fail,E0597
/// use helixai::db::tenant::Query;
///
/// fn leads_of(stage: &str) -> Query<u64> {
///     let text = format!("select id from leads where stage = '{stage}'");
///     Query::execute(&text)
/// }
/// ```
#[must_use = "a query does nothing until a TenantDb runs it"]
pub struct Query<T> {
    pub(super) statement: Statement,
    pub(super) decode: Decode<T>,
}

impl<T: 'static> Query<T> {
    fn new(text: &'static str, decode: Decode<T>) -> Self {
        Self {
            statement: Statement::bare(text),
            decode,
        }
    }

    /// Binds the next parameter (`$1`, `$2`, … in order of the calls).
    pub fn bind(mut self, value: impl SqlValue) -> Self {
        self.statement.given |= value.is_given();
        self.statement.params.push(typed(value));
        self
    }

    /// The statement as it is sent, to be explained.
    pub fn text(&self) -> &'static str {
        self.statement.text
    }

    /// Changes what the query yields.
    pub fn map<U: 'static>(self, change: impl FnOnce(T) -> U + Send + 'static) -> Query<U> {
        let decode = self.decode;
        Query {
            statement: self.statement,
            decode: Box::new(move |answer| decode(answer).map(change)),
        }
    }
}

pub(super) fn typed<V: SqlValue>(value: V) -> Param {
    (Box::new(value), V::TYPE)
}

/// Reads one row into a value.
pub type ReadRow<T> = fn(Columns<'_>) -> Result<T, DbError>;

impl<T: Send + 'static> Query<Vec<T>> {
    /// All rows that fit the optional parameters that are given: `($1::text is null or stage = $1)`.
    ///
    /// As long as none is given it runs by one plan for all; otherwise it is planned for their values, so that they can
    /// decide which index is used.
    pub fn narrowed(text: &'static str, read: ReadRow<T>) -> Self {
        let mut query = Self::all(text, read);
        query.statement.narrowed = true;
        query
    }

    /// All rows.
    pub fn all(text: &'static str, read: ReadRow<T>) -> Self {
        Self::new(text, Box::new(move |answer| answer.rows().map(read).collect()))
    }
}

impl<T: Send + 'static> Query<Option<T>> {
    /// The first row, if there is one.
    pub fn optional(text: &'static str, read: ReadRow<T>) -> Self {
        Self::new(
            text,
            Box::new(move |answer| answer.rows().next().map(read).transpose()),
        )
    }
}

impl<T: Send + 'static> Query<T> {
    /// Exactly one row; none is a defect of the statement.
    pub fn one(text: &'static str, read: ReadRow<T>) -> Self {
        Self::new(
            text,
            Box::new(move |answer| match answer.rows().next() {
                Some(row) => read(row),
                None => Err(DbError::Other {
                    code: "driver".to_owned(),
                    message: "a statement that always returns a row returned none".to_owned(),
                }),
            }),
        )
    }
}

impl Query<u64> {
    /// A statement without rows; yields how many it changed.
    pub fn execute(text: &'static str) -> Self {
        Self::new(text, Box::new(|answer| Ok(answer.affected)))
    }
}
