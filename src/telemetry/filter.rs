//! Which events are written: what the operator asked for, less what must never be.
//!
//! Some crates log the values of queries, the bodies of requests or addresses with tokens at their finer levels:
//! personal data and secrets. They have a ceiling that no setting lifts. To quieten another crate: a row in [`CEILINGS`].

use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt, FilterFn, ParseError};
use tracing_subscriber::layer::Filter;
use tracing_subscriber::registry::LookupSpan;

/// The finest level of each crate that may be written.
const CEILINGS: [(&str, Level); 18] = [
    // Logs the parameters of statements at debug, the server's notices at info.
    ("tokio_postgres", Level::WARN),
    ("postgres_protocol", Level::WARN),
    ("deadpool", Level::WARN),
    ("deadpool_postgres", Level::WARN),
    ("sqlx", Level::WARN),
    ("sqlx_core", Level::WARN),
    ("sqlx_postgres", Level::WARN),
    // Start-up chatter that says nothing to whoever runs the program.
    ("actix_server", Level::WARN),
    ("refinery_core", Level::WARN),
    ("rustls", Level::WARN),
    ("tokio_rustls", Level::WARN),
    ("hyper", Level::INFO),
    ("hyper_util", Level::INFO),
    ("h2", Level::INFO),
    ("reqwest", Level::INFO),
    // Warns of updates that nothing handles, with the message in them.
    ("teloxide", Level::ERROR),
    ("teloxide_core", Level::INFO),
    ("lettre", Level::INFO),
];

/// The filter of every log sink. Spans of this program pass whatever the level, so that a warning still knows its
/// tenant and its request when `level` is `warn`.
pub(super) fn events<S>(level: &str) -> Result<impl Filter<S> + Send + Sync + use<S>, ParseError>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let chosen = EnvFilter::builder().parse(level)?;
    let own_spans = FilterFn::new(|metadata| {
        metadata.is_span() && crate_of(metadata.target()) == "helixai" && *metadata.level() <= Level::INFO
    })
    .with_max_level_hint(LevelFilter::INFO);
    let allowed = FilterFn::new(|metadata| {
        ceiling(metadata.target()).is_none_or(|ceiling| *metadata.level() <= ceiling)
    })
    .with_max_level_hint(LevelFilter::TRACE);
    Ok(FilterExt::and(FilterExt::or(chosen, own_spans), allowed))
}

fn ceiling(target: &str) -> Option<Level> {
    let name = crate_of(target);
    CEILINGS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, ceiling)| *ceiling)
}

fn crate_of(target: &str) -> &str {
    target.split("::").next().unwrap_or(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_hold_for_a_crate_and_its_modules_only() {
        assert_eq!(ceiling("tokio_postgres"), Some(Level::WARN));
        assert_eq!(ceiling("tokio_postgres::query"), Some(Level::WARN));
        assert_eq!(ceiling("sqlx::query"), Some(Level::WARN));
        assert_eq!(ceiling("tokio_postgres_extra"), None);
        assert_eq!(ceiling("helixai::db"), None);
    }
}
