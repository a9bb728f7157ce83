//! Passwords that a person or a script gives a command: on standard input, never as an argument, which other users of
//! the machine could see.

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use anyhow::Context as _;
use secrecy::zeroize::Zeroizing;

use super::exit::{Exit, Refused};
use super::output;

/// More than the longest password takes.
const MAX: u64 = 4096;

/// The first line of standard input: a password.
pub fn read_line() -> anyhow::Result<Zeroizing<String>> {
    read("password")
}

/// The first line of standard input, which is `what`.
pub fn read(what: &str) -> anyhow::Result<Zeroizing<String>> {
    let input = std::io::stdin();
    if input.is_terminal() {
        output::note(format_args!("{what} (it is shown as you type):"));
    }
    let mut line = Zeroizing::new(String::with_capacity(usize::try_from(MAX)?));
    input
        .lock()
        .take(MAX)
        .read_line(&mut line)
        .with_context(|| format!("the {what} cannot be read from standard input"))?;
    while line.ends_with(['\n', '\r']) {
        line.pop();
    }
    if line.is_empty() {
        return Err(Refused::error(
            Exit::Usage,
            format!("no {what} on standard input"),
        ));
    }
    Ok(line)
}
