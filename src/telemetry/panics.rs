//! Panics in the log: where and with which message, so that a crash in a worker thread is not lost on a console that
//! nobody reads. Nothing else of the panic's payload is written.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;

use super::metrics;

/// Logs panics from now on, instead of printing them.
pub(super) fn log_panics() {
    std::panic::set_hook(Box::new(log_panic));
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    metrics::count_panic();
    let message = panic.payload_as_str().unwrap_or("(no message)");
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    // Only where RUST_BACKTRACE asks for it.
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!(location, thread, %backtrace, "panic at {location}: {message}");
    } else {
        tracing::error!(location, thread, "panic at {location}: {message}");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::config::Loader;
    use crate::telemetry::tests::Captured;

    #[test]
    fn a_panic_is_one_line_with_its_place() {
        let mut settings = Loader::new().load().unwrap().logging;
        settings.tenant_files = false;
        let console = Captured::default();
        let (subscriber, guard) = crate::telemetry::subscriber(&settings, console.clone()).unwrap();
        // Other tests run beside this one; their panics go where they went before.
        let before = Arc::new(std::panic::take_hook());
        let (others, here) = (before.clone(), std::thread::current().id());
        std::panic::set_hook(Box::new(move |panic| match std::thread::current().id() == here {
            true => super::log_panic(panic),
            false => others(panic),
        }));
        tracing::subscriber::with_default(subscriber, || {
            let outcome = std::panic::catch_unwind(|| panic!("broken invariant\nsecond line"));
            assert!(outcome.is_err());
        });
        std::panic::set_hook(Box::new(move |panic| before(panic)));
        drop(guard);
        let text = console.text();
        assert_eq!(
            text.lines()
                .filter(|line| line.contains("broken invariant\\nsecond line"))
                .count(),
            1,
            "{text}"
        );
        assert!(
            text.contains("ERROR helixai::telemetry::panics") && text.contains("panics.rs:"),
            "{text}"
        );
    }
}
