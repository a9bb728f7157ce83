//! How the API fails when told to.

use serde::{Deserialize, Serialize};

/// A failure of the next calls of one method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// As `sendMessage`; whatever its case. `download`: the address of a file.
    pub method: String,
    /// Of this bot; of any when none is named.
    #[serde(default)]
    pub token: Option<String>,
    /// What happens.
    pub failure: Failure,
    /// To so many calls.
    #[serde(default = "once")]
    pub times: usize,
}

fn once() -> usize {
    1
}

impl Fault {
    pub(super) fn take(faults: &mut Vec<Self>, token: &str, method: &str) -> Option<Failure> {
        let place = faults.iter().position(|fault| {
            fault.method.eq_ignore_ascii_case(method) && fault.token.as_deref().is_none_or(|of| of == token)
        })?;
        let failure = faults[place].failure;
        faults[place].times = faults[place].times.saturating_sub(1);
        if faults[place].times == 0 {
            faults.remove(place);
        }
        Some(failure)
    }
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// Nothing is done; the answer is an error of the API, in JSON.
    Status(u16),
    /// Nothing is done; the answer is a page of somebody between, with this status.
    Html(u16),
    /// Nothing is done; 429, with these seconds to wait.
    TooManyRequests(u64),
    /// Nothing is done, and the connection is closed.
    Drop,
    /// Nothing is done, and nothing is answered for so many milliseconds; then the connection is closed.
    Hang(u64),
    /// It is done, and the connection is closed without an answer.
    ActThenDrop,
    /// It is done, and the answer is a page of somebody between, with this status.
    ActThenHtml(u16),
    /// It is done, and the answer comes after so many milliseconds.
    ActThenStall(u64),
}

impl Failure {
    pub(super) fn acts(self) -> bool {
        matches!(
            self,
            Self::ActThenDrop | Self::ActThenHtml(_) | Self::ActThenStall(_)
        )
    }
}
