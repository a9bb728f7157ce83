//! The `helixai` program: a shim over [`helixai::cli`].

/// Serving a list makes and drops hundreds of small strings.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    helixai::cli::run()
}
