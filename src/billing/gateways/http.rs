//! How gateways are spoken to: one pool of connections, limits to time and size, and repeats of what may be repeated.
//!
//! Nothing of a request or an answer is logged here: both hold personal data and credentials.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use super::error::{GatewayError, Said};

/// No gateway's answer is longer.
const LONGEST_ANSWER: usize = 4 << 20;
/// More seconds than this a gateway does not ask for in earnest.
const LONGEST_PAUSE: u64 = 86_400;
/// Before the first repeat, when the gateway does not say how long to wait; then twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// One client for all gateways. Redirects are not followed: they would carry an account's key elsewhere.
pub(super) fn client(timeout: Duration) -> reqwest::Result<Client> {
    Client::builder()
        .timeout(timeout)
        .connect_timeout(timeout)
        .redirect(Policy::none())
        .no_proxy()
        .user_agent(concat!("helixai/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// One gateway's API.
#[derive(Clone)]
pub(super) struct Http {
    pub(super) client: Client,
    /// Without `/` at its end.
    pub(super) base_url: String,
    /// No repeat begins when so much time has passed since the beginning.
    pub(super) patience: Duration,
}

/// What happens when an answer does not come, or says that the gateway is busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// The call is repeated: it asks only, or has an idempotency key.
    Safe,
    /// It is repeated only when the gateway cannot have begun with it.
    Untouched,
}

/// An answer, whatever it says.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    body: Vec<u8>,
    retry_after: Option<Duration>,
}

/// The code and the text of an error, as one gateway writes them.
pub(super) type ErrorOf = fn(&[u8]) -> (Option<String>, String);

impl Http {
    /// A request for a path of the API, such as `/payments/1`.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base_url))
    }

    /// Sends a request, and repeats it as far as it may be; answers what the gateway answered last.
    pub(super) async fn send(&self, request: RequestBuilder, repeat: Repeat) -> Result<Reply, GatewayError> {
        let begin = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let once = request.try_clone().ok_or(GatewayError::Unreadable)?;
            let outcome = exchange(once).await;
            let Some((untouched, asked)) = repeatable(&outcome) else {
                return outcome.map_err(|failure| failure.error);
            };
            let wait = asked.map_or(pause, |asked| asked.max(pause));
            let may = untouched || repeat == Repeat::Safe;
            if !may || begin.elapsed() + wait > self.patience {
                return outcome.map_err(|failure| failure.error);
            }
            sleep(wait).await;
            pause *= 2;
        }
    }
}

struct Failure {
    error: GatewayError,
    untouched: bool,
}

/// Whether it may be repeated at all: if so, whether the gateway has certainly done nothing, and how long it asked for.
fn repeatable(outcome: &Result<Reply, Failure>) -> Option<(bool, Option<Duration>)> {
    match outcome {
        Ok(reply) if reply.status == StatusCode::TOO_MANY_REQUESTS => Some((true, reply.retry_after)),
        Ok(reply) if reply.is_busy() => Some((false, reply.retry_after)),
        Ok(_) => None,
        Err(failure) => Some((failure.untouched, None)),
    }
}

async fn exchange(request: RequestBuilder) -> Result<Reply, Failure> {
    let lost = |error: reqwest::Error| Failure {
        untouched: error.is_connect(),
        error: GatewayError::Unreachable,
    };
    let mut response = request.send().await.map_err(lost)?;
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.trim().parse::<u64>().ok())
        .map(|seconds| Duration::from_secs(seconds.min(LONGEST_PAUSE)));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return Err(Failure {
                error: GatewayError::Unreadable,
                untouched: false,
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply {
        status: response.status(),
        body,
        retry_after,
    })
}

impl Reply {
    fn is_busy(&self) -> bool {
        matches!(self.status.as_u16(), 429 | 500 | 502 | 503 | 504)
    }

    /// The answer of a call that succeeded; else what the gateway says against it.
    pub(super) fn read<T: DeserializeOwned>(&self, error_of: ErrorOf) -> Result<T, GatewayError> {
        self.succeeded(error_of)?;
        serde_json::from_slice(&self.body).map_err(|_| GatewayError::Unreadable)
    }

    /// What the gateway says against the call, if it does.
    pub(super) fn succeeded(&self, error_of: ErrorOf) -> Result<(), GatewayError> {
        Err(match self.status.as_u16() {
            200..300 => return Ok(()),
            401 | 403 => GatewayError::Credentials,
            404 => GatewayError::Unknown,
            409 => GatewayError::Conflict,
            400..500 if !self.is_busy() => {
                let (code, message) = error_of(&self.body);
                GatewayError::Refused {
                    code: code
                        .filter(|code| is_plain(code))
                        .unwrap_or_else(|| self.status.as_str().to_owned()),
                    message: Said::new(&message),
                }
            }
            _ if self.is_busy() => GatewayError::Busy {
                retry_after: self.retry_after,
            },
            _ => GatewayError::Unreadable,
        })
    }

    /// The body as it came.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }
}

/// An id as it may stand in a path. Ids come from outside: one with anything else in it would ask for something else.
pub(super) fn path_part(id: &str) -> Result<&str, GatewayError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !id.is_empty() && id.bytes().all(plain) {
        Ok(id)
    } else {
        Err(GatewayError::Unknown)
    }
}

/// Whether a code may be kept and logged: short, and written like one.
fn is_plain(code: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=64).contains(&code.len()) && code.bytes().all(plain)
}
