//! How a gateway fails when told to.

use serde::{Deserialize, Serialize};

use super::reply::Request;

/// A failure for the next requests of one kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fault {
    /// Method and beginning of the path, as `POST /v1/payments`.
    pub on: String,
    /// What happens.
    pub failure: Failure,
    /// To so many requests.
    pub times: usize,
}

impl Fault {
    /// A failure of the next request.
    pub fn once(on: &str, failure: Failure) -> Self {
        Self::repeated(on, failure, 1)
    }

    /// A failure of the next requests.
    pub fn repeated(on: &str, failure: Failure, times: usize) -> Self {
        Self {
            on: on.to_owned(),
            failure,
            times,
        }
    }

    /// The failure of this request, used up by it.
    pub(super) fn take(faults: &mut Vec<Self>, request: &Request) -> Option<Failure> {
        let what = format!("{} {}", request.method, request.path);
        let place = faults.iter().position(|fault| what.starts_with(&fault.on))?;
        let failure = faults[place].failure.clone();
        faults[place].times -= 1;
        if faults[place].times == 0 {
            faults.remove(place);
        }
        Some(failure)
    }
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// Nothing is done, and the connection is closed.
    Drop,
    /// It is done, and the connection is closed without an answer.
    CommitThenDrop,
    /// It is done, and the answer comes after so many milliseconds.
    CommitThenStall(u64),
    /// It is done, and the answer is an error.
    CommitThenStatus(u16),
    /// It is done, and half of the answer is sent.
    CommitThenTruncate,
    /// Nothing is done; 429, with these seconds to wait.
    TooManyRequests(u64),
    /// Nothing is done; the answer is an error.
    Status(u16),
    /// Nothing is done; the answer is a page of somebody between, with this status.
    Html(u16),
}

impl Failure {
    /// Whether the request is done all the same.
    pub(super) fn commits(&self) -> bool {
        matches!(
            self,
            Self::CommitThenDrop
                | Self::CommitThenStall(_)
                | Self::CommitThenStatus(_)
                | Self::CommitThenTruncate
        )
    }
}
