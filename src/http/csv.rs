//! Tables for spreadsheets: comma-separated values with a line of titles.
//!
//! A spreadsheet takes a text that begins with `=`, `+`, `-` or `@` for a formula, and a customer can call themselves as they like: such a
//! text gets an apostrophe before it.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};

use super::problem::Problem;

/// A table to be kept under the name `file`.
///
/// # Errors
/// 500 when it cannot be written: a defect.
pub fn answer<const N: usize>(
    file: &str,
    titles: &[&str; N],
    lines: impl Iterator<Item = [String; N]>,
) -> Result<HttpResponse, Problem> {
    let written = write(titles, lines).map_err(|error| {
        tracing::error!(%error, "a table cannot be written");
        Problem::internal()
    })?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/csv; charset=utf-8"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{file}\"")))
        .body(written))
}

fn write<const N: usize>(
    titles: &[&str; N],
    lines: impl Iterator<Item = [String; N]>,
) -> Result<Vec<u8>, std::io::Error> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(titles)?;
    for line in lines {
        table.write_record(line.map(harmless))?;
    }
    table.into_inner().map_err(|error| error.into_error())
}

/// The text, so that no spreadsheet computes it. Numbers stay numbers.
fn harmless(text: String) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<i64>().is_err();
    if formula { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_a_formula() {
        for (text, shown) in [
            ("=HYPERLINK(\"http://evil\")", "'=HYPERLINK(\"http://evil\")"),
            ("+5511987654321 Ana", "'+5511987654321 Ana"),
            ("-Ana", "'-Ana"),
            ("@Ana", "'@Ana"),
            ("\tAna", "'\tAna"),
            ("-1990", "-1990"),
            ("Ana = Bia", "Ana = Bia"),
            ("", ""),
        ] {
            assert_eq!(harmless(text.to_owned()), shown);
        }
    }

    #[test]
    fn what_has_commas_and_quotes_is_quoted() -> Result<(), std::io::Error> {
        let line = ["Silva, \"Ana\"\nfim", "1"].map(str::to_owned);
        let table = write(&["name", "cents"], std::iter::once(line))?;
        assert_eq!(
            String::from_utf8_lossy(&table),
            "name,cents\n\"Silva, \"\"Ana\"\"\nfim\",1\n"
        );
        Ok(())
    }
}
