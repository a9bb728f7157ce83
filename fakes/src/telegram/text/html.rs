//! `HTML`.

use serde_json::{Value, json};

use super::Marked;

struct Open {
    tag: String,
    from: usize,
    href: Option<String>,
}

pub fn read(given: &str) -> Result<Marked, String> {
    let mut marked = Marked::default();
    let mut open: Vec<Open> = Vec::new();
    let mut rest = given;
    while let Some(letter) = rest.chars().next() {
        let at = given.len() - rest.len();
        match letter {
            '<' => {
                let end = rest
                    .find('>')
                    .ok_or_else(|| format!("Unclosed start tag at byte offset {at}"))?;
                let inside = &rest[1..end];
                rest = &rest[end + 1..];
                match inside.strip_prefix('/') {
                    Some(tag) => close(&mut marked, &mut open, tag.trim(), at)?,
                    None => open.push(opened(inside, marked.units, at)?),
                }
            }
            '&' => {
                let (letter, length) = entity(rest).unwrap_or(('&', 1));
                marked.push(letter);
                rest = &rest[length..];
            }
            letter => {
                marked.push(letter);
                rest = &rest[letter.len_utf8()..];
            }
        }
    }
    match open.last() {
        Some(open) => Err(format!(
            "Can't find end tag corresponding to start tag \"{}\"",
            open.tag
        )),
        None => Ok(marked.done()),
    }
}

fn opened(inside: &str, from: usize, at: usize) -> Result<Open, String> {
    let (tag, attributes) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
    let tag = tag.to_ascii_lowercase();
    let spoiler = tag == "span" && attributes.contains("tg-spoiler");
    if kind(&tag).is_none() && !spoiler {
        return Err(format!("Unsupported start tag \"{tag}\" at byte offset {at}"));
    }
    let href = attributes.split_once("href=").map(|(_, value)| {
        let value = value.trim_start_matches(['"', '\'']);
        let end = value.find(['"', '\'']).unwrap_or(value.len());
        value[..end].replace("&amp;", "&")
    });
    Ok(Open { tag, from, href })
}

fn close(marked: &mut Marked, open: &mut Vec<Open>, tag: &str, at: usize) -> Result<(), String> {
    let Some(opened) = open.pop() else {
        return Err(format!("Unexpected end tag at byte offset {at}"));
    };
    if !tag.is_empty() && !tag.eq_ignore_ascii_case(&opened.tag) {
        let expected = opened.tag;
        return Err(format!(
            "Unmatched end tag at byte offset {at}, expected \"</{expected}>\", found \"</{tag}>\""
        ));
    }
    match (kind(&opened.tag), opened.href) {
        (Some("text_link"), Some(url)) => marked.mark(opened.from, "text_link", json!({"url": url})),
        (Some("text_link"), None) => {}
        (kind, _) => marked.mark(opened.from, kind.unwrap_or("spoiler"), Value::Null),
    }
    Ok(())
}

fn kind(tag: &str) -> Option<&'static str> {
    Some(match tag {
        "b" | "strong" => "bold",
        "i" | "em" => "italic",
        "u" | "ins" => "underline",
        "s" | "strike" | "del" => "strikethrough",
        "tg-spoiler" => "spoiler",
        "code" => "code",
        "pre" => "pre",
        "blockquote" => "blockquote",
        "a" => "text_link",
        _ => return None,
    })
}

/// The letter that `&…;` stands for, and how long that is; none for what is none.
fn entity(rest: &str) -> Option<(char, usize)> {
    let (name, _) = rest.strip_prefix('&')?.split_once(';')?;
    let letter = match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        _ => {
            let number = name.strip_prefix('#')?;
            let number = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(number)?
        }
    };
    Some((letter, name.len() + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_become_entities() {
        let marked =
            read("😀 <b>Olá <i>você</i></b> &lt;&amp;&#33; <a href=\"https://a.test/?x=1&amp;y\">aqui</a>")
                .unwrap();
        assert_eq!(marked.text, "😀 Olá você <&! aqui");
        assert_eq!(
            json!(marked.entities),
            json!([{"type": "bold", "offset": 3, "length": 8},
                   {"type": "italic", "offset": 7, "length": 4},
                   {"type": "text_link", "offset": 16, "length": 4, "url": "https://a.test/?x=1&y"}])
            .as_array()
            .map(|wanted| {
                let mut wanted = wanted.clone();
                wanted.sort_by_key(|entity| entity["offset"].as_u64());
                json!(wanted)
            })
            .unwrap_or_default()
        );
    }

    #[test]
    fn what_is_no_html_is_refused() {
        for (given, why) in [
            ("<b>x", "Can't find end tag corresponding to start tag \"b\""),
            ("<x>", "Unsupported start tag \"x\" at byte offset 0"),
            ("a <b", "Unclosed start tag at byte offset 2"),
            ("x</b>", "Unexpected end tag at byte offset 1"),
            (
                "<b>x</i>",
                "Unmatched end tag at byte offset 4, expected \"</b>\", found \"</i>\"",
            ),
        ] {
            assert_eq!(read(given).err().as_deref(), Some(why), "{given}");
        }
    }
}
