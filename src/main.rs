//! The `helixai` program: a shim over [`helixai::cli`].

fn main() -> std::process::ExitCode {
    helixai::cli::run()
}
