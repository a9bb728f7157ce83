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

/// Prints one line about what is going on on stderr.
pub fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Prints why a command failed, with its causes, on stderr.
pub fn problem(error: &anyhow::Error) {
    note(format_args!("helixai: {error:#}"));
}
