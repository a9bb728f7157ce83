//! What reaches the console: order of fields, hidden values, quiet crates, spans at every level.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use crate::config::{Loader, LogFormat, LoggingSettings};

/// A console whose text can be read.
#[derive(Clone, Default)]
pub(super) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Captured {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn settings(format: LogFormat, level: &str) -> LoggingSettings {
    let mut settings = Loader::new().load().unwrap().logging;
    settings.tenant_files = false;
    settings.format = format;
    settings.level = level.to_owned();
    settings
}

fn written(settings: &LoggingSettings, work: impl FnOnce()) -> String {
    let console = Captured::default();
    let (subscriber, guard) = super::subscriber(settings, console.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, work);
    drop(guard);
    console.text()
}

#[test]
fn a_json_line_has_the_fields_of_its_spans() {
    let text = written(&settings(LogFormat::Json, "info"), || {
        let request = tracing::info_span!("http.request", request_id = "r1", tenant = tracing::field::Empty);
        let _request = request.enter();
        request.record("tenant", "acme");
        let _query = tracing::info_span!("db.lead.insert", rows = 2, request_id = "inner").entered();
        tracing::warn!(status = 409, level = "odd", "stale version");
    });
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["message"], "stale version");
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["field_level"], "odd");
    assert_eq!(line["target"], "helixai::telemetry::tests");
    assert_eq!(line["span"], "http.request:db.lead.insert");
    assert_eq!(line["tenant"], "acme");
    assert_eq!(line["request_id"], "inner");
    assert_eq!((&line["rows"], &line["status"]), (&2.into(), &409.into()));
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn sensitive_fields_are_hidden_in_spans_and_events_of_both_formats() {
    for format in [LogFormat::Json, LogFormat::Text] {
        let text = written(&settings(format, "trace"), || {
            let span = tracing::info_span!(
                "login",
                email = "ana@example.com",
                password = tracing::field::Empty
            );
            span.record("password", "hunter2");
            let _span = span.entered();
            tracing::info!(access_token = %"hxs_abc", phone = 11_999_990_000_u64, api_key = ?Some("hxk_1"), "in");
        });
        for secret in ["ana@", "hunter2", "hxs_abc", "11999990000", "hxk_1"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert_eq!(text.matches("[REDACTED]").count(), 5, "{text}");
    }
}

#[test]
fn a_message_cannot_forge_a_line() {
    let text = written(&settings(LogFormat::Text, "info"), || {
        tracing::info!(name = "a\nb", "hello\n2026-01-01 ERROR forged \x1b[2J");
    });
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(
        text.contains(r"hello\n2026") && text.contains(r#"name="a\nb""#) && !text.contains('\x1b'),
        "{text}"
    );
}

#[test]
fn crates_that_log_values_stay_quiet_at_any_level() {
    let text = written(
        &settings(LogFormat::Text, "trace,tokio_postgres=trace,sqlx=trace"),
        || {
            tracing::debug!(target: "tokio_postgres::query", "executing with parameters: [ana]");
            tracing::info!(target: "sqlx::query", "select ana");
            tracing::debug!(target: "hyper::proto", "header ana");
            tracing::warn!(target: "tokio_postgres", "connection lost");
            tracing::debug!(target: "helixai::db", "own detail");
        },
    );
    assert!(!text.contains("ana"), "{text}");
    assert!(
        text.contains("connection lost") && text.contains("own detail"),
        "{text}"
    );
}

#[test]
fn a_warning_knows_its_request_when_only_warnings_are_written() {
    let text = written(&settings(LogFormat::Json, "warn"), || {
        let _request = tracing::info_span!("http.request", request_id = "r7").entered();
        tracing::info!("not written");
        tracing::warn!("written");
    });
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains(r#""request_id":"r7""#), "{text}");
}

#[test]
fn errors_are_written_with_their_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("cannot connect")]
    struct Outer(#[source] io::Error);
    let text = written(&settings(LogFormat::Json, "info"), || {
        let error = Outer(io::Error::other("refused by peer"));
        let error: &(dyn std::error::Error + 'static) = &error;
        tracing::error!(error, "down");
    });
    assert!(text.contains("cannot connect: refused by peer"), "{text}");
}

#[test]
fn records_of_the_log_crate_pass_the_same_filter() {
    tracing_log::LogTracer::init().unwrap();
    let text = written(&settings(LogFormat::Json, "trace"), || {
        log::debug!(target: "tokio_postgres::query", "executing statement with parameters: [ana]");
        log::info!(target: "tokio_postgres::connection", "NOTICE: ana");
        log::warn!(target: "tokio_postgres::connection", "connection lost");
    });
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["message"], "connection lost");
    assert_eq!(
        (&line["level"], &line["target"]),
        (&"WARN".into(), &"tokio_postgres::connection".into())
    );
    assert!(!text.contains("log."), "{text}");
}
