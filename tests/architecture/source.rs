//! The program's own files, with code, comments and texts told apart.

use std::path::{Path, PathBuf};

/// One file.
pub struct Source {
    /// Below the repository's root, as `src/db/mod.rs`.
    pub path: String,
    /// As it is.
    pub text: String,
    /// Without comments, and with empty texts.
    pub code: String,
    /// The texts (string literals) in it.
    pub texts: Vec<String>,
}

impl Source {
    /// The module that the file belongs to: the first part of its path below `src`.
    pub fn layer(&self) -> &str {
        let inside = self.path.strip_prefix("src/").expect("a file of src");
        let first = inside.split('/').next().expect("a name");
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// The words that follow `before` in the code: `crate::` gives the modules that are used.
    pub fn words_after<'a>(&'a self, before: &'a str) -> impl Iterator<Item = &'a str> {
        self.code.match_indices(before).filter_map(move |(at, _)| {
            let standing_alone = !self.code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            let rest = &self.code[at + before.len()..];
            let end = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            (standing_alone && end > 0).then(|| &rest[..end])
        })
    }

    /// Whether the code names something in the crate `name`.
    pub fn uses_crate(&self, name: &str) -> bool {
        let path = format!("{name}::");
        let used = self.code.match_indices(&path).any(|(at, _)| {
            let before = &self.code[..at];
            !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
        });
        used || self.code.contains(&format!("use {name};"))
    }
}

/// All files with this extension below a folder of the repository, in order.
pub fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    fn read(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        {
            let path = entry.expect("a file").path();
            if path.is_dir() {
                read(&path, extension, found);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    read(&root().join(folder), extension, &mut found);
    assert!(!found.is_empty(), "{folder} holds no .{extension}");
    found.sort();
    found
}

/// Below the repository's root.
pub fn relative(path: &Path) -> String {
    path.strip_prefix(root())
        .expect("a file of ours")
        .to_string_lossy()
        .into_owned()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files below a folder.
pub fn rust(folder: &str) -> Vec<Source> {
    files(folder, "rs")
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).expect("UTF-8");
            let (code, texts) = split(&text);
            Source {
                path: relative(path),
                text,
                code,
                texts,
            }
        })
        .collect()
}

/// Code without comments and texts, and the texts.
fn split(text: &str) -> (String, Vec<String>) {
    let (mut code, mut texts) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word_before = code.strip_suffix('b').unwrap_or(&code);
        let raw =
            raw_text(rest).filter(|_| !word_before.ends_with(|c: char| c.is_alphanumeric() || c == '_'));
        let used = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some((content, length)) = raw {
            texts.push(content.to_owned());
            code.push_str("\"\"");
            length
        } else if first == '"' {
            let length = quoted(rest);
            texts.push(rest[1..length - 1].to_owned());
            code.push_str("\"\"");
            length
        } else if let Some(length) = character(rest) {
            code.push_str("' '");
            length
        } else {
            code.push(first);
            first.len_utf8()
        };
        rest = &rest[used..];
    }
    (code, texts)
}

/// `r"…"`, `r#"…"#`: the content, and the length of all of it.
fn raw_text(text: &str) -> Option<(&str, usize)> {
    let after = text.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let inside = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = inside.find(&end)?;
    Some((&inside[..length], 1 + hashes + 1 + length + end.len()))
}

/// The length of a text with its quotes.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    panic!("a text without an end: {}", &text[..text.len().min(80)]);
}

/// The length of a character literal; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('\'')?;
    let first = inside.chars().next()?;
    if first == '\\' {
        return inside[2..].find('\'').map(|end| 1 + 2 + end + 1);
    }
    inside[first.len_utf8()..]
        .starts_with('\'')
        .then(|| first.len_utf8() + 2)
}

#[test]
fn code_comments_and_texts_are_told_apart() {
    let (code, texts) = split(
        "a /* x */ b // \"no\"\n'\"' \"one \\\" // 'two'\" r#\"three \"four\"\"# fn f<'a>(x: &'a str) '\\'' br\"five\"",
    );
    assert_eq!(texts, ["one \\\" // 'two'", "three \"four\"", "five"]);
    assert_eq!(code, "a  b \n' ' \"\" \"\" fn f<'a>(x: &'a str) ' ' b\"\"");
}
