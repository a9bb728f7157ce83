//! What the commands print: results on stdout, everything else on stderr.
//!
//! One home for it, so that a closed pipe (`helixai … | head`) never ends the program with a panic, as
//! `println!` does. New kinds of output (progress, JSON) are functions beside these.

use std::fmt::Display;
use std::io::Write as _;

/// Prints one line of the command's result on stdout.
pub fn line(text: impl Display) {
    let mut out = std::io::stdout().lock();
    // A reader that went away is not an error of the command.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Prints rows on stdout, their columns aligned; the last column is as wide as it is.
pub fn table<const N: usize>(rows: Vec<[String; N]>) {
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in rows {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        line(cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// A number of bytes as people read it.
pub fn bytes(count: i64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut rest = count.max(0);
    let mut unit = 0;
    while rest >= 10_240 && unit + 1 < units.len() {
        rest /= 1024;
        unit += 1;
    }
    format!("{rest} {}", units.get(unit).copied().unwrap_or_default())
}

/// Prints one line about what is going on on stderr.
pub fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Prints why a command failed, with its causes, on stderr.
pub fn problem(error: &anyhow::Error) {
    note(format_args!("helixai: {}", reasons(error)));
}

/// The error and its causes in one line; a cause that the error before it has already told is left out.
fn reasons(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Prints a result as JSON on stdout.
pub fn json(value: &impl serde::Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => line(text),
        // Only a map with keys that are no texts is refused, and no command has one.
        Err(error) => note(format_args!("the result cannot be written as JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    #[test]
    fn no_cause_is_told_twice() {
        let error = std::fs::read("/nonexistent")
            .context("the key cannot be read")
            .unwrap_err();
        assert_eq!(
            super::reasons(&error),
            "the key cannot be read: No such file or directory (os error 2)"
        );
        let error = crate::config::Settings::load(Some("/nonexistent".as_ref())).unwrap_err();
        assert_eq!(
            super::reasons(&error.into()),
            "cannot read the configuration file /nonexistent: No such file or directory (os error 2)"
        );
    }
}
