//! The tables of `docs/CONFIGURATION.md`, made from `config/default.toml` and the ranges that are checked.
//!
//! A key is described once, by the comment above it; the comment above a section is its heading, and after an empty line
//! what is to be said of all its keys. What the checks allow is added by the checks themselves.

use std::fmt::Write as _;

use super::error::{ConfigError, Problems};
use super::loader::{DEFAULT_TOML, Loader};

/// All sections, as Markdown.
///
/// # Errors
/// When the defaults cannot be read; a test sees to it that this never ships.
pub fn reference() -> Result<String, ConfigError> {
    let settings = Loader::new().load()?;
    let mut checked = Problems::default();
    settings.check_sections(&mut checked);
    let mut text = String::new();
    let mut comment: Vec<&str> = Vec::new();
    let mut section = "";
    for line in DEFAULT_TOML.lines() {
        if let Some(more) = line.strip_prefix('#') {
            comment.push(more.strip_prefix(' ').unwrap_or(more));
        } else if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
            heading(&mut text, name, &comment);
            comment.clear();
        } else if let Some((key, value)) = line.split_once(" = ") {
            let key = format!("{section}.{key}");
            row(&mut text, &key, value, &comment, checked.range_of(&key));
            comment.clear();
        } else {
            comment.clear();
        }
    }
    Ok(text)
}

fn heading(text: &mut String, section: &str, comment: &[&str]) {
    let mut paragraphs = comment.split(|line| line.is_empty());
    let title = paragraphs.next().unwrap_or_default().join(" ");
    let _ = write!(text, "\n## `[{section}]`: {title}\n\n");
    for paragraph in paragraphs {
        let _ = write!(text, "{}\n\n", paragraph.join("\n"));
    }
    text.push_str("| Key | Default | Meaning |\n|---|---|---|\n");
}

fn row(text: &mut String, key: &str, value: &str, comment: &[&str], range: Option<&str>) {
    let meaning = comment.join(" ").replace("Secret. ", "**Secret.** ");
    let range = range.map(|range| format!(" ({range})")).unwrap_or_default();
    let _ = writeln!(text, "| `{key}` | {} | {meaning}{range} |", shown(value));
}

fn shown(value: &str) -> String {
    match value.trim_matches('"') {
        "" | "[]" => "–".to_owned(),
        value if value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_') => {
            format!("`{}`", value.replace('_', ""))
        }
        value => format!("`{value}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = include_str!("../../docs/CONFIGURATION.md");
    const MARK: &str = "<!-- From here on: `helixai config-reference`. -->\n";

    #[test]
    fn the_document_is_the_one_that_the_program_prints() {
        let (_, tables) = DOCUMENT.split_once(MARK).expect("the mark");
        let expected = reference().unwrap();
        assert!(
            tables == expected,
            "docs/CONFIGURATION.md is out of date. Regenerate it with: scripts/config_reference"
        );
    }

    #[test]
    fn every_key_has_a_meaning_and_its_range() {
        let reference = reference().unwrap();
        let rows: Vec<&str> = reference.lines().filter(|line| line.starts_with("| `")).collect();
        assert!(rows.len() > 40);
        for row in rows {
            let meaning = row.split(" | ").nth(2).unwrap_or_default();
            assert!(
                meaning.len() > 20 && meaning.contains('.'),
                "{row}: say what it means, above it in config/default.toml"
            );
        }
        assert!(reference.contains("| `tenancy.lane_capacity` | `250` |") && reference.contains("(1–250) |"));
        assert!(reference.contains("| `platform.key` | – | **Secret.** "));
        assert!(!reference.contains("| |"), "no empty cell");
    }
}
