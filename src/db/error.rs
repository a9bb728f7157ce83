//! What can go wrong between the program and a database, told apart by SQLSTATE and constraint name,
//! never by message. Nothing here ever carries a row's values: `PostgreSQL` puts them into `DETAIL`, which is dropped.

use std::error::Error as StdError;

use crate::telemetry::metrics::{Plane, count_db_error};

/// A failed database operation.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The database itself refused, through `helixai.refuse`, the tenant lock or a privilege.
    #[error("refused by the database: {0:?}")]
    Refused(Refusal),
    /// A constraint of this name does not hold (unique, foreign key, check, not null).
    #[error("constraint {0} does not hold")]
    Constraint(String),
    /// No connection, a lost connection, a pool that stayed empty, a server that is starting or stopping.
    #[error("database unavailable: {0}")]
    Unavailable(String),
    /// The tenant has its share of its lane's connections in use, and none came back in time.
    #[error("the tenant has its share of connections in use")]
    Crowded,
    /// A statement ran into its timeout or was cancelled.
    #[error("statement timed out")]
    Timeout,
    /// Another transaction stood in the way (serialisation, deadlock, lock timeout): safe to repeat.
    #[error("conflict with a concurrent transaction ({0})")]
    Conflict(String),
    /// Anything else: a defect of the program or of the schema. The text holds no row values.
    #[error("database error {code}: {message}")]
    Other {
        /// SQLSTATE, or `driver` for an error of the client library.
        code: String,
        /// The server's primary message.
        message: String,
    },
}

/// Why the database refused to go on; each has its own SQLSTATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// `HX401`: the credentials are unknown here, expired or revoked.
    Credentials,
    /// `HX403`: the role or scope does not reach this operation.
    Rights,
    /// `HX404`: the row named by the request does not exist in this schema.
    NotFound,
    /// `HX409`: the row has another version than the one named.
    Stale,
    /// `HX402`: the plan does not include as much as this would need.
    LimitReached,
    /// `HX410`: without this user nobody would own the tenant.
    LastOwner,
    /// `HX412`: the state that the row is in does not allow it.
    State,
    /// `HX423`: the tenant is held exclusively (suspension, restore, move).
    Locked,
    /// `HX503`: the tenant's schema is not on this shard, or not usable by its role.
    SchemaUnavailable,
    /// `42501`/`22023` raised by the guard: the login may not become the tenant's role (suspended or moved).
    RoleRevoked,
}

impl Refusal {
    pub(super) fn from_state(state: &str) -> Option<Self> {
        Some(match state {
            "HX401" => Self::Credentials,
            "HX402" => Self::LimitReached,
            "HX403" => Self::Rights,
            "HX404" => Self::NotFound,
            "HX409" => Self::Stale,
            "HX410" => Self::LastOwner,
            "HX412" => Self::State,
            "HX423" => Self::Locked,
            "HX503" => Self::SchemaUnavailable,
            _ => return None,
        })
    }

    /// Whether the tenant's address in the registry may have changed, so that it is worth resolving again.
    pub fn is_about_the_tenant(self) -> bool {
        matches!(self, Self::Locked | Self::SchemaUnavailable | Self::RoleRevoked)
    }
}

impl DbError {
    /// The refusal behind this error, if it is one.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused(refusal) => Some(*refusal),
            _ => None,
        }
    }

    /// Whether this is a violation of the constraint `name`.
    pub fn is_constraint(&self, name: &str) -> bool {
        matches!(self, Self::Constraint(constraint) if constraint == name)
    }

    /// The kind, in one word: for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Constraint(_) => "constraint",
            Self::Unavailable(_) => "unavailable",
            Self::Crowded => "crowded",
            Self::Timeout => "timeout",
            Self::Conflict(_) => "conflict",
            Self::Other { .. } => "other",
        }
    }

    /// Whether the same request may succeed in a moment.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_) | Self::Crowded | Self::Timeout | Self::Conflict(_)
        )
    }

    pub(super) fn from_state(state: &str, constraint: Option<&str>, message: &str) -> Self {
        if let Some(refusal) = Refusal::from_state(state) {
            return Self::Refused(refusal);
        }
        if let (Some(name), "23") = (constraint, state.get(..2).unwrap_or_default()) {
            return Self::Constraint(name.to_owned());
        }
        match state {
            "57014" => Self::Timeout,
            "40001" | "40P01" | "55P03" => Self::Conflict(state.to_owned()),
            // connection exceptions, insufficient resources (but not disk full), operator intervention,
            // and a login that is gone or refused
            _ if state.starts_with("08") || state.starts_with("57P") || state.starts_with("28") => {
                Self::Unavailable(format!("{state} {message}"))
            }
            "53300" | "3D000" | "25006" | "25P03" | "25P04" => {
                Self::Unavailable(format!("{state} {message}"))
            }
            _ => Self::Other {
                code: state.to_owned(),
                message: message.to_owned(),
            },
        }
    }
}

impl From<tokio_postgres::Error> for DbError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::from(&error)
    }
}

impl From<&tokio_postgres::Error> for DbError {
    fn from(error: &tokio_postgres::Error) -> Self {
        if let Some(db) = error.as_db_error() {
            return Self::from_state(db.code().code(), db.constraint(), db.message());
        }
        // `to_string` of a driver error names the kind and the cause, never parameters.
        let text = match error.source() {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        if error.is_closed() || has_io_cause(error) {
            Self::Unavailable(text)
        } else {
            Self::Other {
                code: "driver".to_owned(),
                message: text,
            }
        }
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        let error = Self::of_registry(error);
        // Every failure of the registry comes by here, and nothing else does.
        count_db_error(Plane::Master, error.kind());
        error
    }
}

impl DbError {
    fn of_registry(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(db) => {
                let code = db.code().unwrap_or_default();
                Self::from_state(&code, db.constraint(), db.message())
            }
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Tls(_) => Self::Unavailable(error.to_string()),
            other => Self::Other {
                code: "driver".to_owned(),
                message: other.to_string(),
            },
        }
    }
}

impl From<deadpool::managed::PoolError<DbError>> for DbError {
    fn from(error: deadpool::managed::PoolError<DbError>) -> Self {
        match error {
            deadpool::managed::PoolError::Backend(cause) => match cause {
                // A login that cannot connect is an outage for the request, whatever the reason.
                Self::Other { code, message } => Self::Unavailable(format!("{code} {message}")),
                other => other,
            },
            other => Self::Unavailable(other.to_string()),
        }
    }
}

fn has_io_cause(error: &tokio_postgres::Error) -> bool {
    let mut cause = error.source();
    while let Some(current) = cause {
        if current.is::<std::io::Error>() {
            return true;
        }
        cause = current.source();
    }
    false
}
