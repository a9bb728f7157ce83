//! What a command's exit code says, so that a script can tell a mistake of its own from an outage.
//!
//! Commands return any error with `?`; [`of`] finds the code by the error's type. To add a code: a variant, its line
//! in [`HELP`] and in `docs/CLI.md`.

use std::process::ExitCode;

use crate::channels::copies::CopyError;
use crate::config::ConfigError;
use crate::db::DbError;
use crate::platform::StartError;
use crate::tenancy::import::ImportError;
use crate::tenancy::keeper::KeeperError;
use crate::tenancy::lifecycle::LifecycleError;
use crate::tenancy::moving::MoveError;
use crate::tenancy::provision::{OnboardError, RetryError};
use crate::tenancy::shard_book::ShardError;
use crate::tenancy::snapshot::SnapshotError;

/// The end of the `--help` of every command that works on a platform.
pub const HELP: &str = "\
Exit codes:
  0  done
  1  failed; the reason is on standard error
  2  wrong arguments
  3  a setting is missing or wrong, or the database has not been set up
  4  there is no such tenant or shard
  5  the present state does not allow it: the key is taken, the tenant is in another state
  6  a database cannot be reached or is busy: the same command may succeed later
  7  the file is refused: cut off, altered, foreign, of a newer program, with rows that do not fit; nothing has changed";

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// As asked.
    Done = 0,
    /// For a reason that has no code of its own.
    Failed = 1,
    /// The arguments are wrong.
    Usage = 2,
    /// The settings are, or the database is not set up.
    Settings = 3,
    /// It is about something that does not exist.
    Unknown = 4,
    /// The present state does not allow it.
    Conflict = 5,
    /// It may succeed later.
    Unavailable = 6,
    /// The file given cannot be trusted, or does not fit.
    Refused = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error of a command itself, with its code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    exit: Exit,
    message: String,
}

impl Refused {
    /// The command ends with this code and says why.
    pub fn error(exit: Exit, message: impl Into<String>) -> anyhow::Error {
        let message = message.into();
        Self { exit, message }.into()
    }
}

/// The code for an error that ended a command.
pub fn of(error: &anyhow::Error) -> Exit {
    error.chain().find_map(code).unwrap_or(Exit::Failed)
}

fn code(cause: &(dyn std::error::Error + 'static)) -> Option<Exit> {
    if let Some(refused) = cause.downcast_ref::<Refused>() {
        return Some(refused.exit);
    }
    if cause.is::<ConfigError>() {
        return Some(Exit::Settings);
    }
    if let Some(error) = cause.downcast_ref::<DbError>() {
        return Some(of_database(error));
    }
    // The errors below show a database's error as their own, so it is no link of the chain.
    if let Some(error) = cause.downcast_ref::<StartError>() {
        return Some(match error {
            StartError::Db(error) => of_database(error),
            StartError::Config(_) | StartError::Setting(_) | StartError::NotSetUp | StartError::Behind => {
                Exit::Settings
            }
            StartError::ExcessPrivileges(_) => Exit::Failed,
        });
    }
    if let Some(error) = cause.downcast_ref::<OnboardError>() {
        return Some(of_onboarding(error));
    }
    if let Some(error) = cause.downcast_ref::<RetryError>() {
        return Some(match error {
            RetryError::Onboard(error) => of_onboarding(error),
            RetryError::Unknown => Exit::Unknown,
            RetryError::WrongState(_) => Exit::Conflict,
        });
    }
    if let Some(error) = cause.downcast_ref::<LifecycleError>() {
        return Some(match error {
            LifecycleError::Db(error) => of_database(error),
            LifecycleError::Unknown => Exit::Unknown,
            LifecycleError::WrongState(_) => Exit::Conflict,
        });
    }
    if let Some(error) = cause.downcast_ref::<KeeperError>() {
        return Some(match error {
            KeeperError::Db(error) => of_database(error),
            KeeperError::Unknown => Exit::Unknown,
            KeeperError::WrongState(_)
            | KeeperError::KeyTaken
            | KeeperError::NewKeyTaken
            | KeeperError::Renamed(_) => Exit::Conflict,
            KeeperError::Busy => Exit::Unavailable,
            KeeperError::NoRoom | KeeperError::Files(_) => Exit::Failed,
            KeeperError::Misfit(_) => Exit::Refused,
            KeeperError::Snapshot(SnapshotError::Io(_)) => Exit::Failed,
            KeeperError::Snapshot(_) => Exit::Refused,
        });
    }
    if let Some(error) = cause.downcast_ref::<CopyError>() {
        return Some(match error {
            CopyError::Db(error) => of_database(error),
            CopyError::Unreadable => Exit::Refused,
            CopyError::Io(_) => Exit::Failed,
        });
    }
    if let Some(error) = cause.downcast_ref::<MoveError>() {
        return Some(of_move(error));
    }
    if let Some(error) = cause.downcast_ref::<ShardError>() {
        return Some(match error {
            ShardError::Db(error) => of_database(error),
            ShardError::Address(_) => Exit::Usage,
            ShardError::Unknown => Exit::Unknown,
            ShardError::Taken(_) => Exit::Conflict,
            ShardError::NotReady(_) => Exit::Failed,
        });
    }
    cause.downcast_ref::<ImportError>().map(of_import)
}

fn of_import(error: &ImportError) -> Exit {
    match error {
        ImportError::Db(error)
        | ImportError::Unsure(error)
        | ImportError::Onboard(OnboardError::Db(error)) => of_database(error),
        ImportError::Unknown => Exit::Unknown,
        ImportError::Onboard(OnboardError::UnknownPlan) => Exit::Usage,
        ImportError::Onboard(OnboardError::NoRoom) | ImportError::Report(_) | ImportError::Aborted => {
            Exit::Failed
        }
        ImportError::Onboard(OnboardError::InProgress) | ImportError::Busy | ImportError::Meanwhile(_) => {
            Exit::Unavailable
        }
        ImportError::Onboard(OnboardError::KeyTaken | OnboardError::KeyReused)
        | ImportError::WrongState(_)
        | ImportError::OtherNiche(..)
        | ImportError::NotEmpty(_)
        | ImportError::Again(_) => Exit::Conflict,
        ImportError::Source(_) => Exit::Refused,
    }
}

fn of_onboarding(error: &OnboardError) -> Exit {
    match error {
        OnboardError::Db(error) => of_database(error),
        OnboardError::UnknownPlan => Exit::Usage,
        OnboardError::KeyTaken | OnboardError::KeyReused => Exit::Conflict,
        OnboardError::InProgress => Exit::Unavailable,
        OnboardError::NoRoom => Exit::Failed,
    }
}

fn of_move(error: &MoveError) -> Exit {
    match error {
        MoveError::Db(error) => of_database(error),
        MoveError::Unknown | MoveError::UnknownShard => Exit::Unknown,
        MoveError::Closed | MoveError::WrongState(_) | MoveError::NotMoving | MoveError::NotLost => {
            Exit::Conflict
        }
        MoveError::Busy | MoveError::NobodyAnswers => Exit::Unavailable,
        MoveError::NotTakenBack(error, _) => of_move(error),
        MoveError::NoRoom
        | MoveError::NotReady(_)
        | MoveError::Stalled(_)
        | MoveError::LeftBehind(_)
        | MoveError::NotServed(_) => Exit::Failed,
    }
}

fn of_database(error: &DbError) -> Exit {
    if error.is_transient() {
        Exit::Unavailable
    } else {
        Exit::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tenant::TenantStatus;

    #[test]
    fn a_code_is_found_however_deep_its_error_is() {
        let lost = || DbError::Unavailable("gone".to_owned());
        let cases: [(anyhow::Error, Exit); 16] = [
            (MoveError::UnknownShard.into(), Exit::Unknown),
            (
                MoveError::NotTakenBack(Box::new(MoveError::Busy), Box::new(MoveError::Unknown)).into(),
                Exit::Unavailable,
            ),
            (anyhow::anyhow!("whatever"), Exit::Failed),
            (Refused::error(Exit::Usage, "no such flag"), Exit::Usage),
            (lost().into(), Exit::Unavailable),
            (
                anyhow::Error::from(lost()).context("while listing"),
                Exit::Unavailable,
            ),
            (StartError::NotSetUp.into(), Exit::Settings),
            (StartError::Db(lost()).into(), Exit::Unavailable),
            (OnboardError::KeyTaken.into(), Exit::Conflict),
            (LifecycleError::Unknown.into(), Exit::Unknown),
            (KeeperError::Busy.into(), Exit::Unavailable),
            (KeeperError::from(lost()).into(), Exit::Unavailable),
            (KeeperError::from(SnapshotError::Truncated).into(), Exit::Refused),
            (ImportError::from(lost()).into(), Exit::Unavailable),
            (ImportError::from(OnboardError::KeyTaken).into(), Exit::Conflict),
            (
                LifecycleError::WrongState(TenantStatus::Archived).into(),
                Exit::Conflict,
            ),
        ];
        for (error, exit) in cases {
            assert_eq!(of(&error), exit, "{error}");
        }
    }

    #[test]
    fn every_code_is_documented() {
        let exits = [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::Settings,
            Exit::Unknown,
            Exit::Conflict,
            Exit::Unavailable,
            Exit::Refused,
        ];
        let page = include_str!("../../docs/CLI.md");
        for exit in exits {
            assert!(HELP.contains(&format!("\n  {}  ", exit as u8)), "{exit:?}");
            assert!(page.contains(&format!("| {} |", exit as u8)), "{exit:?}");
        }
    }
}
