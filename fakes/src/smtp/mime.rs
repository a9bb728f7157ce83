//! A mail as it came, and as a person's program shows it.

/// A mail that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Of the envelope.
    pub from: String,
    /// Of the envelope.
    pub to: Vec<String>,
    /// Head and body, as they came.
    pub source: String,
}

impl Mail {
    /// A field of the head, unfolded and not decoded.
    pub fn header(&self, name: &str) -> Option<String> {
        let (head, _) = self.source.split_once("\r\n\r\n")?;
        field(head, name)
    }

    /// The part for programs that show no HTML.
    pub fn text(&self) -> String {
        self.part("text/plain")
    }

    /// The HTML part.
    pub fn html(&self) -> String {
        self.part("text/html")
    }

    fn part(&self, kind: &str) -> String {
        let content_type = self.header("Content-Type").unwrap_or_default();
        let boundary = content_type.split("boundary=\"").nth(1);
        let boundary = boundary
            .and_then(|rest| rest.split('"').next())
            .unwrap_or_default();
        let begin = format!("\r\n--{boundary}\r\n");
        for part in self.source.split(&begin).skip(1) {
            let Some((head, body)) = part.split_once("\r\n\r\n") else {
                continue;
            };
            if !field(head, "Content-Type").unwrap_or_default().starts_with(kind) {
                continue;
            }
            let body = body
                .split(&format!("\r\n--{boundary}"))
                .next()
                .unwrap_or_default();
            let encoding = field(head, "Content-Transfer-Encoding").unwrap_or_default();
            return match encoding.as_str() {
                "quoted-printable" => quoted_printable(body),
                "base64" => base64(body),
                _ => body.to_owned(),
            };
        }
        String::new()
    }
}

fn field(head: &str, name: &str) -> Option<String> {
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    unfolded.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

/// RFC 2045, 6.7.
fn quoted_printable(body: &str) -> String {
    let joined = body.replace("=\r\n", "");
    let mut bytes = Vec::new();
    let mut rest = joined.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'=', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// RFC 2045, 6.8.
fn base64(body: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for letter in body.bytes() {
        let Some(value) = LETTERS.iter().position(|known| *known == letter) else {
            continue;
        };
        held = (held << 6) | u32::try_from(value).unwrap_or_default();
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((held >> bits) & 0xff).unwrap_or_default());
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_and_decoded() {
        let source = "Subject: Hi\r\n there\r\nContent-Type: multipart/alternative;\r\n boundary=\"x\"\r\n\r\n\
                      --x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
                      Ol=C3=A1=\r\n!\r\n--x\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n\
                      T2zDoSE=\r\n--x--\r\n";
        let mail = Mail {
            from: String::new(),
            to: Vec::new(),
            source: source.to_owned(),
        };
        assert_eq!(mail.header("subject").as_deref(), Some("Hi there"));
        assert_eq!((mail.text(), mail.html()), ("Olá!".to_owned(), "Olá!".to_owned()));
    }
}
