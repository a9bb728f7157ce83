//! Downloading a file: no longer than allowed, whatever is said of its length, and from nowhere else than where it was asked for.

use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode};

use super::media::Unfetched;

/// The longest that a file may take.
const FILE: Duration = Duration::from_secs(60);

/// The file at the other end of a request of a client that follows no redirects.
pub(super) async fn download(request: RequestBuilder, most: u64) -> Result<Vec<u8>, Unfetched> {
    let away = |_| Unfetched::Away("provider_away");
    let mut answer = request.timeout(FILE).send().await.map_err(away)?;
    match answer.status() {
        status if status.is_success() => {}
        status if status.is_redirection() => return Err(Unfetched::Never("redirected")),
        StatusCode::NOT_FOUND | StatusCode::GONE => return Err(Unfetched::Never("gone")),
        StatusCode::TOO_MANY_REQUESTS => return Err(Unfetched::Away("too_fast")),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(Unfetched::Away("token_refused")),
        status if status.is_server_error() => return Err(Unfetched::Away("provider_error")),
        _ => return Err(Unfetched::Never("rejected")),
    }
    if answer.content_length().is_some_and(|length| length > most) {
        return Err(Unfetched::TooLarge);
    }
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(away)? {
        if (bytes.len() + piece.len()) as u64 > most {
            return Err(Unfetched::TooLarge);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}
