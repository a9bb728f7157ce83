//! Files in a `multipart/form-data` body (RFC 7578, RFC 2046). Their names and announced types are not believed, nor
//! kept. A body is received whole, within its limit, before it is taken apart: a malformed one is known at once.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ContentDisposition, DispositionType, HeaderValue};
use actix_web::web::{self, Bytes};
use actix_web::{HttpMessage as _, HttpRequest};
use memchr::memmem;

use super::body::receive;
use super::problem::Problem;
use crate::domain::invalid::{FieldErrors, Invalid};

/// Names of fields are repeated in errors up to this many characters.
const NAME_SHOWN: usize = 100;
/// Of a boundary, in RFC 2046.
const BOUNDARY_MAX: usize = 70;

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

/// Why a body is no form.
#[derive(Debug, PartialEq, Eq)]
enum Broken {
    /// Its last boundary does not come.
    Incomplete,
    Malformed,
}

impl Form {
    /// The files, in their order; at least one, none of them empty.
    ///
    /// # Errors
    /// 400 for a body that is cut short or malformed, 408, 413, 415, 422 for other fields, no files or too many.
    pub async fn read(self, request: &HttpRequest, payload: web::Payload) -> Result<Vec<Bytes>, Problem> {
        if !request.content_type().eq_ignore_ascii_case("multipart/form-data") {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "Send the files as a form, with the header Content-Type: multipart/form-data.",
            ));
        }
        let body = receive(request, payload, self.bytes, self.time).await?.freeze();
        let kind = request.mime_type().ok().flatten();
        let boundary = kind.as_ref().and_then(|kind| kind.get_param("boundary"));
        let fields = match boundary {
            Some(boundary) => fields(&body, boundary.as_str()),
            None => Err(Broken::Malformed),
        };
        Ok(self.files(fields.map_err(refusal)?)?)
    }

    fn files(self, fields: Vec<(String, Bytes)>) -> Result<Vec<Bytes>, FieldErrors> {
        let (mut files, mut errors) = (Vec::new(), FieldErrors::new());
        for (name, bytes) in fields {
            if name != self.field {
                let message = format!("is unknown: files are in `{}`", self.field);
                let name: String = name.chars().take(NAME_SHOWN).collect();
                errors.push(&name, Invalid::new("unknown_field", message));
                continue;
            }
            if bytes.is_empty() {
                errors.push(&format!("{name}[{}]", files.len()), Invalid::required());
            }
            files.push(bytes);
        }
        if files.is_empty() {
            errors.push(self.field, Invalid::required());
        }
        if files.len() > self.files {
            let most = self.files;
            let message = format!("must be at most {most} files: send the others in another request");
            errors.push(self.field, Invalid::new("too_many", message));
        }
        errors.finish(|| Some(files))
    }
}

fn refusal(broken: Broken) -> Problem {
    match broken {
        Broken::Incomplete => {
            Problem::bad_request("body_incomplete", "The body ended before it was complete.")
        }
        Broken::Malformed => Problem::bad_request(
            "malformed_multipart",
            "The body is not the form that its Content-Type announces.",
        ),
    }
}

/// The fields between the boundaries: name and content.
fn fields(body: &Bytes, boundary: &str) -> Result<Vec<(String, Bytes)>, Broken> {
    if boundary.is_empty() || boundary.len() > BOUNDARY_MAX {
        return Err(Broken::Malformed);
    }
    let delimiter = format!("\r\n--{boundary}");
    let delimiter = memmem::Finder::new(&delimiter);
    // The first one may stand at the very beginning, without the line break that belongs to the others.
    let first = delimiter.needle().get(2..).unwrap_or_default();
    let mut rest = match body.strip_prefix(first) {
        Some(rest) => rest,
        None => after(body, &delimiter)?.1,
    };
    let mut fields = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Ok(fields);
        }
        // Blanks may follow a boundary, and nothing else.
        let line = rest.trim_ascii_start().len();
        let (padding, head) = rest.split_at(rest.len() - line);
        let headers = match padding {
            [padding @ .., b'\r', b'\n'] if !padding.contains(&b'\n') => head,
            _ if head.is_empty() => return Err(Broken::Incomplete),
            _ => return Err(Broken::Malformed),
        };
        let (head, content) = after(headers, &memmem::Finder::new("\r\n\r\n"))?;
        let name = name(head).ok_or(Broken::Malformed)?;
        let (content, next) = match content.strip_prefix(first) {
            // Nothing, not even a line break of its own.
            Some(next) => (&[][..], next),
            None => after(content, &delimiter)?,
        };
        fields.push((name, body.slice_ref(content)));
        rest = next;
    }
}

/// What is before and what is behind the next occurrence.
fn after<'a>(bytes: &'a [u8], finder: &memmem::Finder<'_>) -> Result<(&'a [u8], &'a [u8]), Broken> {
    let at = finder.find(bytes).ok_or(Broken::Incomplete)?;
    let (before, rest) = bytes.split_at(at);
    Ok((before, rest.get(finder.needle().len()..).unwrap_or_default()))
}

/// The name of a field, from its headers.
fn name(head: &[u8]) -> Option<String> {
    let disposition = head.split(|byte| *byte == b'\n').find_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at(colon);
        let value = value.get(1..)?.trim_ascii();
        name.eq_ignore_ascii_case(b"content-disposition").then_some(value)
    })?;
    let value = HeaderValue::from_bytes(disposition).ok()?;
    let disposition = ContentDisposition::from_raw(&value).ok()?;
    let is_field = disposition.disposition == DispositionType::FormData;
    is_field.then(|| disposition.get_name().map(str::to_owned))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn form(contents: &[Vec<u8>], boundary: &str) -> Bytes {
        let mut body = Vec::new();
        for content in contents {
            let head = format!(
                "--{boundary}\r\nContent-Type: x/y\r\ncontent-disposition: form-data; name=\"f\"\r\n\r\n"
            );
            body.extend(head.bytes());
            body.extend(content);
            body.extend(b"\r\n");
        }
        body.extend(format!("--{boundary}--\r\n").bytes());
        body.into()
    }

    fn contents(body: &Bytes, boundary: &str) -> Result<Vec<Vec<u8>>, Broken> {
        let fields = fields(body, boundary)?;
        Ok(fields.into_iter().map(|(_, bytes)| bytes.to_vec()).collect())
    }

    #[test]
    fn what_browsers_and_programs_write_is_read() {
        let read = |body: &'static str| fields(&Bytes::from_static(body.as_bytes()), "b");
        let one = Ok(vec![("a \"b\"".to_owned(), Bytes::from_static(b"1\r\n"))]);
        for body in [
            "--b\r\nContent-Disposition: form-data; name=\"a \\\"b\\\"\"; filename=\"\\\\x\"\r\n\r\n1\r\n\r\n--b--",
            "before\r\n--b \t\r\nX: y\r\nCONTENT-DISPOSITION:form-data;name=\"a \\\"b\\\"\"\r\n\r\n1\r\n\r\n--b--\r\nbehind",
        ] {
            assert_eq!(read(body), one, "{body}");
        }
        for body in [
            "",
            "--b",
            "--b\r\n",
            "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--c--",
            "--c--",
        ] {
            assert_eq!(read(body), Err(Broken::Incomplete), "{body}");
        }
        for body in [
            "--bc\r\n\r\n1\r\n--b--",
            "--b\r\n\r\n1\r\n--b--",
            "--b\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n--b--",
            "--b\r\nContent-Disposition: form-data; filename=a\r\n\r\n1\r\n--b--",
            "--b x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--b--",
        ] {
            assert_eq!(read(body), Err(Broken::Malformed), "{body}");
        }
        assert_eq!(read("--b--"), Ok(Vec::new()));
        assert_eq!(fields(&Bytes::from_static(b"----"), ""), Err(Broken::Malformed));
    }

    proptest! {
        #[test]
        fn whatever_is_in_a_file_is_read_back(files in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..4)) {
            prop_assert_eq!(contents(&form(&files, "a boundary"), "a boundary"), Ok(files));
        }

        #[test]
        fn a_form_that_is_cut_is_no_form(file in "[a-z\r\n-]{0,30}", cut in any::<prop::sample::Index>()) {
            let whole = form(&[file.into_bytes()], "b-b");
            // What follows the last boundary is nobody's.
            let end = whole.len() - 2;
            prop_assert!(fields(&whole.slice(..cut.index(end)), "b-b").is_err());
        }

        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..80), near in "(--b|\r\n|:|--|[a-z ;=\"]){0,40}", boundary in "b?.{0,3}") {
            let _ = fields(&bytes.into(), &boundary);
            let _ = fields(&near.into_bytes().into(), "b");
        }
    }
}
