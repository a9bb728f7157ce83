//! `/api/conversations/{id}/messages/{message_id}/media`: what somebody has sent along with a message.
//!
//! A stranger has made it. So it is called what its first bytes say that it is, and whatever can do something in a page is handed over as
//! a file to be saved.

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CONTENT_DISPOSITION, Charset, ContentDisposition, DispositionParam, DispositionType, EntityTag,
    ExtendedValue,
};
use actix_web::{HttpRequest, HttpResponse, get, web};

use super::photo_files::{FOR_THE_TENANT, tagged};
use crate::db::tenant::message_files::{self, Found};
use crate::domain::ids::{ConversationId, MessageId};
use crate::domain::media_type::MediaType;
use crate::domain::message::FileState;
use crate::http::body::path_id;
use crate::http::extract::{ReadData, TenantAccess};
use crate::http::problem::{Problem, ProblemBody};
use crate::storage::TenantFile;

/// Most characters of a name that are shown.
const NAME_MOST: usize = 150;

/// What somebody has sent along with a message. 404 with `file_pending`, `file_too_large` or `file_failed` when it is not here; see `file`
/// of the message. Pictures, sounds, films and PDF are `inline`, by their first bytes; all else is an `attachment` of unknown type.
#[utoipa::path(
    tag = "conversations", operation_id = "get_message_media", security(("bearer" = [])),
    params(("id" = ConversationId, Path), ("message_id" = MessageId, Path)),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 304, description = "As you have it"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[get("/api/conversations/{id}/messages/{message_id}/media")]
pub async fn get_message_media(
    access: TenantAccess<ReadData>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (conversation, message) = path.into_inner();
    let conversation: ConversationId = access.check(path_id(&conversation)).await?;
    let message: MessageId = access.check(path_id(&message)).await?;
    let found = access
        .run(message_files::find(conversation, message))
        .await?
        .output;
    let found = found.ok_or_else(Problem::not_found)?;
    here(found.state)?;
    let tag = EntityTag::new_strong(message.to_string());
    let (mut answer, known) = tagged(&request, &tag, FOR_THE_TENANT);
    if known {
        return Ok(answer.finish());
    }
    let store = &access.platform().keeper.store;
    let reading = store
        .read(access.tenant.home.id, TenantFile::Message(message))
        .await;
    let reading = reading.map_err(|error| {
        tracing::error!(message_id = %message, %error, "the file of message {message} cannot be read");
        Problem::internal()
    })?;
    let reading = reading.ok_or_else(|| {
        tracing::error!(message_id = %message, "message {message} has no file");
        Problem::not_found()
    })?;
    let kind = MediaType::named(found.content_type.as_deref().unwrap_or_default());
    Ok(answer
        .content_type(kind.name)
        .insert_header((CONTENT_DISPOSITION, disposition(&found, kind, message)))
        .no_chunking(reading.length)
        .streaming(reading.pieces))
}

/// Why it is not here.
fn here(state: FileState) -> Result<(), Problem> {
    let (code, detail) = match state {
        FileState::Stored => return Ok(()),
        FileState::Pending => ("file_pending", "It is being fetched: try again in a moment."),
        FileState::TooLarge => ("file_too_large", "It is larger than what is kept."),
        FileState::Failed => (
            "file_failed",
            "It could not be fetched: `file.error` of the message says why.",
        ),
    };
    Err(Problem::new(StatusCode::NOT_FOUND, code, detail))
}

/// Shown or saved, and under which name: the sender's, without what might mislead whoever saves it.
fn disposition(found: &Found, kind: MediaType, message: MessageId) -> ContentDisposition {
    let fitting = |c: &char| !c.is_control() && !r#"/\:*?"<>|;%"#.contains(*c) && !is_turning(*c);
    let name = found.name.iter().flat_map(|name| name.chars());
    let name: String = name.filter(fitting).take(NAME_MOST).collect();
    let name = match name.trim_matches(|c: char| c == '.' || c.is_whitespace()) {
        "" => format!("{message}.{}", kind.ending),
        name => name.to_owned(),
    };
    let parameter = match name.is_ascii() {
        true => DispositionParam::Filename(name),
        false => DispositionParam::FilenameExt(ExtendedValue {
            charset: Charset::Ext("UTF-8".to_owned()),
            language_tag: None,
            value: name.into_bytes(),
        }),
    };
    ContentDisposition {
        disposition: match kind.is_shown() {
            true => DispositionType::Inline,
            false => DispositionType::Attachment,
        },
        parameters: vec![parameter],
    }
}

/// What makes the end of a name look like its middle.
fn is_turning(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_only_a_name() {
        let message = MessageId::new();
        let named = |name: Option<&str>, kind: &str| {
            let found = Found {
                state: FileState::Stored,
                content_type: None,
                name: name.map(str::to_owned),
            };
            disposition(&found, MediaType::named(kind), message).to_string()
        };
        assert_eq!(
            named(Some("laudo 1.pdf"), "application/pdf"),
            "inline; filename=\"laudo 1.pdf\""
        );
        assert_eq!(
            named(Some("../../etc/passwd\r\nX: y\""), "text/html"),
            "attachment; filename=\"etcpasswdX y\""
        );
        assert_eq!(
            named(Some("nota\u{202e}fdp.exe"), "x"),
            "attachment; filename=\"notafdp.exe\""
        );
        assert_eq!(
            named(Some("ação.pdf"), "application/pdf"),
            "inline; filename*=UTF-8''a%C3%A7%C3%A3o.pdf"
        );
        for none in [None, Some(""), Some(" .. "), Some("///")] {
            assert_eq!(
                named(none, "image/png"),
                format!("inline; filename=\"{message}.png\"")
            );
        }
    }
}
