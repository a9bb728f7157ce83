//! A query as a value: its text, its bound parameters and how its rows become a domain value.
//!
//! Text is always `&'static str`, so it can never be built from input.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql, Type};
use uuid::Uuid;

use crate::db::DbError;

/// A bound parameter with the type it is sent as, so that a statement needs no round trip to be described.
pub(super) type Param = (Box<dyn ToSql + Sync + Send>, Type);

/// A Rust type that is always sent as one `PostgreSQL` type.
pub trait SqlValue: ToSql + Sync + Send + 'static {
    /// The type named to the server.
    const TYPE: Type;
}

macro_rules! sql_value {
    ($($rust:ty => $sql:ident),* $(,)?) => { $(impl SqlValue for $rust { const TYPE: Type = Type::$sql; })* };
}

sql_value! {
    bool => BOOL, i16 => INT2, i32 => INT4, i64 => INT8, f64 => FLOAT8,
    String => TEXT, &'static str => TEXT, Vec<String> => TEXT_ARRAY, Vec<&'static str> => TEXT_ARRAY,
    Uuid => UUID, Vec<Uuid> => UUID_ARRAY, Vec<i64> => INT8_ARRAY, Value => JSONB, Vec<u8> => BYTEA,
    DateTime<Utc> => TIMESTAMPTZ, NaiveDate => DATE,
}

impl<T: SqlValue> SqlValue for Option<T> {
    const TYPE: Type = T::TYPE;
}

/// One statement as it goes to the server.
pub(super) struct Statement {
    pub(super) text: &'static str,
    pub(super) params: Vec<Param>,
}

/// What the server answered to one statement.
pub struct Answer {
    pub(super) rows: Vec<Row>,
    pub(super) affected: u64,
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
            statement: Statement {
                text,
                params: Vec::new(),
            },
            decode,
        }
    }

    /// Binds the next parameter (`$1`, `$2`, … in order of the calls).
    pub fn bind(mut self, value: impl SqlValue) -> Self {
        self.statement.params.push(typed(value));
        self
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
    /// All rows.
    pub fn all(text: &'static str, read: ReadRow<T>) -> Self {
        Self::new(
            text,
            Box::new(move |answer| answer.rows.iter().map(|row| read(Columns::of(row))).collect()),
        )
    }
}

impl<T: Send + 'static> Query<Option<T>> {
    /// The first row, if there is one.
    pub fn optional(text: &'static str, read: ReadRow<T>) -> Self {
        Self::new(
            text,
            Box::new(move |answer| answer.rows.first().map(|row| read(Columns::of(row))).transpose()),
        )
    }
}

impl<T: Send + 'static> Query<T> {
    /// Exactly one row; none is a defect of the statement.
    pub fn one(text: &'static str, read: ReadRow<T>) -> Self {
        Self::new(
            text,
            Box::new(move |answer| match answer.rows.first() {
                Some(row) => read(Columns::of(row)),
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

/// The columns of a row, read from left to right: the order of the `select` list and of the reads must agree.
pub struct Columns<'a> {
    row: &'a Row,
    next: usize,
}

impl<'a> Columns<'a> {
    fn of(row: &'a Row) -> Self {
        Self { row, next: 0 }
    }

    /// The next column.
    ///
    /// # Errors
    /// When the column is missing or has another type.
    #[expect(clippy::should_implement_trait, reason = "each call reads another type")]
    pub fn next<T: FromSql<'a>>(&mut self) -> Result<T, DbError> {
        let index = self.next;
        self.next += 1;
        Ok(self.row.try_get(index)?)
    }

    /// The next column, parsed into a domain value.
    ///
    /// # Errors
    /// When the stored text is not one the domain knows: a defect, since constraints keep it out.
    pub fn parse<T: std::str::FromStr>(&mut self) -> Result<T, DbError> {
        let text: &str = self.next()?;
        text.parse().map_err(|_| DbError::Other {
            code: "driver".to_owned(),
            message: format!("column {} holds an unknown value", self.next),
        })
    }
}
