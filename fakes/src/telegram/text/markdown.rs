//! `MarkdownV2`, and the `Markdown` that was before it.

use serde_json::{Value, json};

use super::Marked;

/// What must be escaped where it marks nothing.
const RESERVED: &str = "_*[]()~`>#+-=|{}.!";

struct Open {
    mark: &'static str,
    from: usize,
    at: usize,
}

pub fn read(given: &str) -> Result<Marked, String> {
    let mut marked = Marked::default();
    let mut open: Vec<Open> = Vec::new();
    let mut rest = given;
    while let Some(letter) = rest.chars().next() {
        let at = given.len() - rest.len();
        if let Some(escaped) = rest.strip_prefix('\\').and_then(|rest| rest.chars().next())
            && escaped.is_ascii()
        {
            marked.push(escaped);
            rest = &rest[2..];
        } else if let Some(mark) = ["```", "`"].into_iter().find(|mark| rest.starts_with(mark)) {
            rest = verbatim(&mut marked, rest, mark, at)?;
        } else if let Some(mark) = ["__", "||", "*", "_", "~"]
            .into_iter()
            .find(|mark| rest.starts_with(mark))
        {
            rest = &rest[mark.len()..];
            match open.pop_if(|open| open.mark == mark) {
                Some(open) => marked.mark(open.from, kind(mark), Value::Null),
                None => open.push(Open {
                    mark,
                    from: marked.units,
                    at,
                }),
            }
        } else if letter == '[' {
            open.push(Open {
                mark: "[",
                from: marked.units,
                at,
            });
            rest = &rest[1..];
        } else if letter == ']' && open.last().is_some_and(|open| open.mark == "[") {
            let from = open.pop().map_or(0, |open| open.from);
            let target = rest.strip_prefix("](").and_then(|rest| rest.split_once(')'));
            let (url, after) =
                target.ok_or_else(|| format!("Can't find end of a URL at byte offset {at}"))?;
            marked.mark(from, "text_link", json!({"url": url.replace('\\', "")}));
            rest = after;
        } else if letter == '>' && (at == 0 || given[..at].ends_with('\n')) {
            rest = &rest[1..];
        } else if RESERVED.contains(letter) {
            return Err(format!(
                "Character '{letter}' is reserved and must be escaped with the preceding '\\'"
            ));
        } else {
            marked.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    match open.last() {
        Some(open) => Err(unclosed(open.mark, open.at)),
        None => Ok(marked.done()),
    }
}

/// What is between two marks as it is written; answers the rest behind them.
fn verbatim<'a>(
    marked: &mut Marked,
    rest: &'a str,
    mark: &'static str,
    at: usize,
) -> Result<&'a str, String> {
    let from = marked.units;
    let mut inside = &rest[mark.len()..];
    let mut more = Value::Null;
    if mark == "```"
        && let Some((language, code)) = inside.split_once('\n')
    {
        if !language.is_empty() && language.chars().all(char::is_alphanumeric) {
            more = json!({"language": language});
        }
        if language.is_empty() || !more.is_null() {
            inside = code;
        }
    }
    while !inside.starts_with(mark) {
        inside = inside.strip_prefix('\\').unwrap_or(inside);
        let letter = inside.chars().next().ok_or_else(|| unclosed(mark, at))?;
        marked.push(letter);
        inside = &inside[letter.len_utf8()..];
    }
    marked.mark(from, kind(mark), more);
    Ok(&inside[mark.len()..])
}

fn kind(mark: &str) -> &'static str {
    match mark {
        "*" => "bold",
        "_" => "italic",
        "__" => "underline",
        "~" => "strikethrough",
        "||" => "spoiler",
        "`" => "code",
        "```" => "pre",
        _ => "text_link",
    }
}

fn unclosed(mark: &str, at: usize) -> String {
    let name = match kind(mark) {
        "bold" => "Bold",
        "italic" => "Italic",
        "underline" => "Underline",
        "strikethrough" => "Strikethrough",
        "spoiler" => "Spoiler",
        "code" => "Code",
        "pre" => "Pre",
        _ => "TextUrl",
    };
    format!("Can't find end of {name} entity at byte offset {at}")
}

/// `Markdown`: nothing within another, and nothing but the marks is reserved.
pub fn read_old(given: &str) -> Result<Marked, String> {
    let mut marked = Marked::default();
    let mut rest = given;
    while let Some(letter) = rest.chars().next() {
        let at = given.len() - rest.len();
        let unclosed = || format!("Can't find end of the entity starting at byte offset {at}");
        let mark = ["```", "`", "*", "_"]
            .into_iter()
            .find(|mark| rest.starts_with(mark));
        let escaped = rest.strip_prefix('\\').and_then(|rest| rest.chars().next());
        if let Some(escaped) = escaped.filter(|letter| "_*`[".contains(*letter)) {
            marked.push(escaped);
            rest = &rest[2..];
        } else if let Some(mark) = mark {
            let (inside, after) = rest[mark.len()..].split_once(mark).ok_or_else(unclosed)?;
            let from = marked.units;
            inside.chars().for_each(|letter| marked.push(letter));
            marked.mark(from, kind(mark), Value::Null);
            rest = after;
        } else if let Some((text, url, after)) = link(rest) {
            let from = marked.units;
            text.chars().for_each(|letter| marked.push(letter));
            marked.mark(from, "text_link", json!({"url": url}));
            rest = after;
        } else if letter == '[' && !rest.contains(']') {
            return Err(unclosed());
        } else {
            marked.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    Ok(marked.done())
}

fn link(rest: &str) -> Option<(&str, &str, &str)> {
    let (text, after) = rest.strip_prefix('[')?.split_once("](")?;
    let (url, after) = after.split_once(')')?;
    Some((text, url, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_become_entities() {
        let marked = read("*Olá _você_* 1\\.0 [aqui](https://a.test) `a*b` ||x||").unwrap();
        assert_eq!(marked.text, "Olá você 1.0 aqui a*b x");
        let kinds: Vec<_> = marked
            .entities
            .iter()
            .map(|entity| {
                (
                    entity["type"].as_str().unwrap(),
                    entity["offset"].as_u64().unwrap(),
                    entity["length"].as_u64().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            kinds,
            [
                ("bold", 0, 8),
                ("italic", 4, 4),
                ("text_link", 13, 4),
                ("code", 18, 3),
                ("spoiler", 22, 1)
            ]
        );
    }

    #[test]
    fn what_is_reserved_must_be_escaped() {
        for (given, why) in [
            (
                "R$ 10.50",
                "Character '.' is reserved and must be escaped with the preceding '\\'",
            ),
            ("*x", "Can't find end of Bold entity at byte offset 0"),
            ("a `x", "Can't find end of Code entity at byte offset 2"),
        ] {
            assert_eq!(read(given).err().as_deref(), Some(why), "{given}");
        }
    }

    #[test]
    fn the_old_one_reserves_less() {
        assert_eq!(read_old("R$ 10.50 *já*").unwrap().text, "R$ 10.50 já");
        assert_eq!(
            read_old("a *b").err().as_deref(),
            Some("Can't find end of the entity starting at byte offset 2")
        );
    }
}
