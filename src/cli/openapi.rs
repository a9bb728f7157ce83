//! `helixai openapi`: the API's own description, without a server or a database.

use std::process::ExitCode;

use crate::cli::output;

/// Prints the document that `/api/openapi.json` answers.
pub fn run() -> anyhow::Result<ExitCode> {
    output::line(crate::app::document().to_pretty_json()?);
    Ok(ExitCode::SUCCESS)
}
