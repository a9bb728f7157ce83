//! `helixai dev --database-only [-- COMMAND…]`: a command with a database of its own.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use crate::cli::output;
use crate::cli::private_postgres::PrivatePostgres;
use crate::cli::stop_signal::StopSignals;

/// What a shell answers when it cannot run a command.
const CANNOT_RUN: u8 = 127;

/// Runs the command to its end, or without one prints the address and waits to be stopped.
pub async fn run(
    postgres: &mut PrivatePostgres,
    signals: &mut StopSignals,
    command: &[OsString],
) -> anyhow::Result<ExitCode> {
    let Some((program, arguments)) = command.split_first() else {
        return wait(postgres, signals).await;
    };
    let spawned = Command::new(program)
        .args(arguments)
        .env("HELIXAI_TEST_DATABASE_URL", postgres.admin_url())
        .env("DATABASE_URL", postgres.admin_url())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            output::note(format_args!(
                "helixai: {} does not run: {error}",
                program.display()
            ));
            return Ok(ExitCode::from(CANNOT_RUN));
        }
    };
    loop {
        tokio::select! {
            status = child.wait() => return status.map(exit_code).context("the command's end was not seen"),
            signal = signals.next() => forward(signal, &child),
        }
    }
}

async fn wait(postgres: &mut PrivatePostgres, signals: &mut StopSignals) -> anyhow::Result<ExitCode> {
    output::line(postgres.admin_url());
    output::note("PostgreSQL runs until Ctrl-C.");
    tokio::select! {
        error = postgres.ended() => Err(error),
        _ = signals.next() => Ok(ExitCode::SUCCESS),
    }
}

/// Passes a signal on to the command, unless it has it already: Ctrl-C reaches all programs of a terminal, and
/// test runners take a second one as "at once".
fn forward(signal: Signal, child: &Child) {
    if signal == Signal::SIGINT && std::io::stdin().is_terminal() {
        return;
    }
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// The command's own exit code, or 128 + the signal that ended it, as shells have it.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
