//! Named places at which a test can make the program die as by `kill -9`, to prove that a restart finishes the work.
//!
//! Only with the feature `kill_points`, and never in a release build. `HELIXAI_KILL_AT=<name>` arms one.

#[cfg(all(feature = "kill_points", not(debug_assertions)))]
compile_error!("kill_points is for tests: a release build must not be able to kill itself");

/// Dies here when `HELIXAI_KILL_AT` names this place; is nothing without the feature.
#[macro_export]
macro_rules! kill_point {
    ($name:literal) => {
        #[cfg(feature = "kill_points")]
        $crate::kill_if_armed($name);
    };
}

/// Ends the process at once, without unwinding, flushing or closing anything, when `name` is armed.
#[cfg(feature = "kill_points")]
#[expect(
    clippy::disallowed_methods,
    reason = "test-only, and not a setting of the program"
)]
pub fn kill_if_armed(name: &str) {
    if std::env::var("HELIXAI_KILL_AT").is_ok_and(|armed| armed == name) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL);
        // Between the signal and its delivery nothing more may happen.
        loop {
            std::thread::park();
        }
    }
}
