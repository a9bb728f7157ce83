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
const CEILINGS: [(&str, LevelFilter); 38] = [
    // Logs the parameters of statements at debug, the server's notices at info.
    ("tokio_postgres", LevelFilter::WARN),
    ("postgres_protocol", LevelFilter::WARN),
    ("deadpool", LevelFilter::WARN),
    ("deadpool_postgres", LevelFilter::WARN),
    ("sqlx", LevelFilter::WARN),
    ("sqlx_core", LevelFilter::WARN),
    ("sqlx_postgres", LevelFilter::WARN),
    // Start-up chatter that says nothing to whoever runs the program.
    ("actix_server", LevelFilter::WARN),
    ("refinery_core", LevelFilter::WARN),
    ("rustls", LevelFilter::WARN),
    ("tokio_rustls", LevelFilter::WARN),
    ("hyper", LevelFilter::INFO),
    ("hyper_util", LevelFilter::INFO),
    ("h2", LevelFilter::INFO),
    ("reqwest", LevelFilter::INFO),
    // Warns of updates that nothing handles, with the message in them.
    ("teloxide", LevelFilter::ERROR),
    ("teloxide_core", LevelFilter::INFO),
    ("lettre", LevelFilter::INFO),
    // Name people and their numbers at any level, and the codes that link a device. What matters of it the program says itself.
    ("whatsapp_rust", LevelFilter::OFF),
    ("whatsapp_rust_tokio_transport", LevelFilter::OFF),
    ("wacore", LevelFilter::OFF),
    ("wacore_appstate", LevelFilter::OFF),
    ("wacore_binary", LevelFilter::OFF),
    ("wacore_libsignal", LevelFilter::OFF),
    ("wacore_noise", LevelFilter::OFF),
    // The same crates, by names of their own (`Client/PairCode`).
    ("AppState", LevelFilter::OFF),
    ("Blocking", LevelFilter::OFF),
    ("Bot", LevelFilter::OFF),
    ("Chatstate", LevelFilter::OFF),
    ("ChatstateHandler", LevelFilter::OFF),
    ("Client", LevelFilter::OFF),
    ("MessageQueue", LevelFilter::OFF),
    ("Mex", LevelFilter::OFF),
    ("PresenceHandler", LevelFilter::OFF),
    ("TcToken", LevelFilter::OFF),
    ("UnifiedSession", LevelFilter::OFF),
    ("blocklist", LevelFilter::OFF),
    ("usync", LevelFilter::OFF),
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

fn ceiling(target: &str) -> Option<LevelFilter> {
    let name = crate_of(target);
    CEILINGS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, ceiling)| *ceiling)
}

fn crate_of(target: &str) -> &str {
    target.split([':', '/']).next().unwrap_or(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_hold_for_a_crate_and_its_modules_only() {
        assert_eq!(ceiling("tokio_postgres"), Some(LevelFilter::WARN));
        assert_eq!(ceiling("tokio_postgres::query"), Some(LevelFilter::WARN));
        assert_eq!(ceiling("sqlx::query"), Some(LevelFilter::WARN));
        assert_eq!(ceiling("tokio_postgres_extra"), None);
        assert_eq!(ceiling("helixai::db"), None);
        for target in [
            "whatsapp_rust::client",
            "Client/PairCode",
            "Bot/PairCode",
            "wacore::pair",
        ] {
            assert_eq!(ceiling(target), Some(LevelFilter::OFF), "{target}");
        }
    }
}
