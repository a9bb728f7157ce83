//! Files in a `multipart/form-data` body (RFC 7578). Their names and announced types are not believed, nor kept.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web;
use futures_util::StreamExt;

use super::body::{body_too_slow, too_large};
use super::problem::Problem;
use crate::domain::invalid::{FieldErrors, Invalid};

/// Names of fields are repeated in errors up to this many characters.
const NAME_SHOWN: usize = 100;

/// What a body may hold.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// The name of the one field, which may be given several times.
    pub field: &'static str,
    /// How often.
    pub files: usize,
    /// The largest body, in bytes.
    pub bytes: usize,
    /// How long it may take to arrive.
    pub time: Duration,
}

impl Form {
    /// The files, in their order; at least one, none of them empty.
    ///
    /// # Errors
    /// 400 for a body that is cut short or malformed, 408, 413, 415, 422 for other fields, no files or too many.
    pub async fn read(self, request: &HttpRequest, payload: web::Payload) -> Result<Vec<Vec<u8>>, Problem> {
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let kind = header(CONTENT_TYPE).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("multipart/form-data") {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "Send the files as a form, with the header Content-Type: multipart/form-data.",
            ));
        }
        let announced = header(CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
        if announced.is_some_and(|length| length > self.bytes) {
            return Err(too_large(self.bytes));
        }
        let (over, mut left) = (Rc::new(Cell::new(false)), self.bytes);
        let counted = payload.map({
            let over = Rc::clone(&over);
            move |chunk| {
                let chunk = chunk?;
                left = left.checked_sub(chunk.len()).ok_or_else(|| {
                    over.set(true);
                    PayloadError::Overflow
                })?;
                Ok(chunk)
            }
        });
        let form = Multipart::new(request.headers(), counted);
        let read = tokio::time::timeout(self.time, self.collect(form)).await;
        let (files, errors) = match read {
            Err(_) => return Err(body_too_slow()),
            Ok(Err(_)) if over.get() => return Err(too_large(self.bytes)),
            Ok(Err(error)) => return Err(malformed(&error)),
            Ok(Ok(read)) => read,
        };
        Ok(errors.finish(|| Some(files))?)
    }

    /// Reads to the end, also what is refused: a client that is still sending hears no answer.
    async fn collect(self, mut form: Multipart) -> Result<(Vec<Vec<u8>>, FieldErrors), MultipartError> {
        let (mut files, mut errors) = (Vec::new(), FieldErrors::new());
        let mut count = 0;
        while let Some(field) = form.next().await {
            let mut field = field?;
            let name: String = field
                .name()
                .unwrap_or_default()
                .chars()
                .take(NAME_SHOWN)
                .collect();
            if name != self.field {
                errors.push(
                    &name,
                    Invalid::new(
                        "unknown_field",
                        format!("is unknown: files are in `{}`", self.field),
                    ),
                );
                skip(&mut field).await?;
                continue;
            }
            if count >= self.files {
                skip(&mut field).await?;
            } else {
                let mut bytes = Vec::new();
                while let Some(chunk) = field.next().await {
                    bytes.extend_from_slice(&chunk?);
                }
                if bytes.is_empty() {
                    errors.push(&format!("{name}[{count}]"), Invalid::required());
                }
                files.push(bytes);
            }
            count += 1;
        }
        if count == 0 {
            errors.push(self.field, Invalid::required());
        }
        if count > self.files {
            let message = format!(
                "must be at most {} files: send the others in another request",
                self.files
            );
            errors.push(self.field, Invalid::new("too_many", message));
        }
        Ok((files, errors))
    }
}

async fn skip(field: &mut Field) -> Result<(), MultipartError> {
    while let Some(chunk) = field.next().await {
        chunk?;
    }
    Ok(())
}

fn malformed(error: &MultipartError) -> Problem {
    match error {
        MultipartError::Payload(_) | MultipartError::Incomplete => {
            Problem::bad_request("body_incomplete", "The body ended before it was complete.")
        }
        _ => Problem::bad_request(
            "malformed_multipart",
            "The body is not the form that its Content-Type announces.",
        ),
    }
}
