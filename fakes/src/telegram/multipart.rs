//! `multipart/form-data` (RFC 7578) of a body that is there as a whole.

use actix_web::web::Bytes;

pub struct Part {
    pub name: String,
    pub file_name: Option<String>,
    pub content_type: Option<String>,
    pub body: Bytes,
}

/// The parts; none when the body is not what the content type says.
pub fn parts(content_type: &str, body: &Bytes) -> Option<Vec<Part>> {
    let boundary = parameter(content_type, "boundary")?;
    let first = format!("--{boundary}");
    let next = format!("\r\n--{boundary}");
    let mut parts = Vec::new();
    let mut at = find(body, first.as_bytes(), 0)? + first.len();
    loop {
        if body.get(at..at + 2)? == b"--" {
            return Some(parts);
        }
        // The rest of the line of the boundary.
        let head = find(body, b"\r\n", at)? + 2;
        let content = find(body, b"\r\n\r\n", head.checked_sub(2)?)?;
        let end = find(body, next.as_bytes(), content + 2)?;
        let head = String::from_utf8_lossy(body.get(head..content)?).into_owned();
        // An empty body shares its line end with the boundary.
        let begin = (content + 4).min(end);
        parts.push(part(&head, body.slice(begin..end))?);
        at = end + next.len();
    }
}

fn part(head: &str, body: Bytes) -> Option<Part> {
    let field = |name: &str| {
        head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found
                .trim()
                .eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    };
    let disposition = field("content-disposition")?;
    Some(Part {
        name: parameter(&disposition, "name")?,
        file_name: parameter(&disposition, "filename"),
        content_type: field("content-type"),
        body,
    })
}

/// A parameter of a field's value, with or without quotes.
fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (found, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (text, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(';').unwrap_or(after.len())),
        };
        if found.trim().eq_ignore_ascii_case(name) {
            return Some(text.trim().to_owned());
        }
        rest = after.trim_start().strip_prefix(';')?;
    }
}

fn find(hay: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let place = hay
        .get(from..)?
        .windows(needle.len())
        .position(|window| window == needle)?;
    Some(from + place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found() {
        let body = Bytes::from_static(
            b"--b\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n7\r\n--b\r\n\
              Content-Disposition: form-data; name=\"f\"; filename=\"a;b.txt\"\r\nContent-Type: text/plain\r\n\r\n\
              one\r\n\r\ntwo\r\n--b\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n--b--\r\n",
        );
        let found = parts("multipart/form-data; boundary=b", &body).unwrap();
        let shown: Vec<_> = found
            .iter()
            .map(|part| (part.name.as_str(), part.file_name.as_deref(), &part.body[..]))
            .collect();
        assert_eq!(
            shown,
            [
                ("chat_id", None, &b"7"[..]),
                ("f", Some("a;b.txt"), b"one\r\n\r\ntwo"),
                ("empty", None, b""),
            ]
        );
        assert_eq!(found[1].content_type.as_deref(), Some("text/plain"));
    }

    #[test]
    fn what_is_cut_off_is_none() {
        let body = Bytes::from_static(b"--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n7");
        assert!(parts("multipart/form-data; boundary=b", &body).is_none());
        assert!(parts("multipart/form-data", &body).is_none());
    }
}
