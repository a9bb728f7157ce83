# shellcheck shell=bash
# What the scripts share: go to the repository's root, and install what is missing on this machine.
# Sourced, not run. To need one more program: write a `has_…` check and add the packages' names in `need_system`.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root" || exit 1

# The oldest PostgreSQL that the program works with.
oldest_postgres=15

# Queries are checked against `.sqlx`, whatever databases this shell knows of.
export SQLX_OFFLINE=true

say() { printf '\n==> %s\n' "$*" >&2; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Cargo, also where rustup's installer has not yet reached this shell's PATH.
need_rust() {
    command -v cargo >/dev/null || PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    command -v cargo >/dev/null || fail "no Rust toolchain found. Install one with rustup (https://rustup.rs):
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
}

# The major versions of the PostgreSQL servers in the places where the program looks too.
installed_majors() {
    local dir
    for dir in "${HELIXAI_PG_BIN:-}" "$(pg_config --bindir 2>/dev/null || true)" /usr/lib/postgresql/*/bin \
        /usr/local/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql@*/bin \
        /usr/local/opt/postgresql@*/bin "$(dirname "$(command -v postgres || true)")"; do
        [ -x "$dir/initdb" ] || continue
        "$dir/postgres" --version | sed -nE 's/.*\(PostgreSQL\) ([0-9]+).*/\1/p'
    done
}

# A PostgreSQL server that is new enough.
has_postgres() {
    local major
    for major in $(installed_majors); do
        [ "$major" -ge "$oldest_postgres" ] && return 0
    done
    return 1
}

# The compiler that links Rust programs and builds the C parts of some packages.
has_cc() { command -v cc >/dev/null; }

# Runs a command as root.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Ends with advice where nothing can be installed.
need_root() {
    [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null ||
        fail "packages are missing, and this user cannot install them (no sudo). Run as root: $*"
}

# PostgreSQL and a C compiler, by the system's package manager.
need_system() {
    has_postgres && has_cc && return 0
    if command -v apt-get >/dev/null; then
        install_with_apt
    elif command -v dnf >/dev/null; then
        say "installing PostgreSQL and a C compiler (dnf)"
        need_root dnf install -y postgresql-server postgresql-contrib postgresql gcc
        as_root dnf install -y postgresql-server postgresql-contrib postgresql gcc
    elif command -v brew >/dev/null; then
        say "installing PostgreSQL (brew)"
        brew install postgresql@17
    else
        fail "PostgreSQL $oldest_postgres or newer (with its contrib modules) and a C compiler are needed. Install
them with this system's package manager; if PostgreSQL is in an unusual place, set HELIXAI_PG_BIN to the folder of
its programs."
    fi
    has_postgres || fail "this system's packages have no PostgreSQL $oldest_postgres or newer: add the repository of
https://www.postgresql.org/download/ or set HELIXAI_PG_BIN to the folder of a newer one's programs."
    has_cc || fail "a C compiler (cc) is needed: install gcc or clang."
}

# The packages' own cluster would run for nothing: while they are installed, a setting says to make none.
install_with_apt() {
    local packages=() no_cluster=/etc/postgresql-common/createcluster.d/helixai.conf
    has_postgres || packages+=(postgresql)
    has_cc || packages+=(build-essential)
    need_root apt-get install -y "${packages[@]}"
    say "installing ${packages[*]} (apt)"
    as_root mkdir -p "$(dirname "$no_cluster")"
    echo 'create_main_cluster = false' | as_root tee "$no_cluster" >/dev/null
    local done=true
    as_root apt-get update -q || true
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${packages[@]}" \
        </dev/null || done=false
    as_root rm -f "$no_cluster"
    $done || fail "apt-get could not install ${packages[*]}"
}

# Runs a command to its end; a signal to this script reaches it. Ctrl-C reaches all programs of a terminal anyway.
run() {
    local child status=0
    "$@" <&0 &
    child=$!
    trap 'kill -TERM "$child" 2>/dev/null || true' TERM HUP
    trap : INT
    # A signal ends the first wait, not the command.
    wait "$child" || status=$?
    while kill -0 "$child" 2>/dev/null; do
        status=0
        wait "$child" || status=$?
    done
    trap - INT TERM HUP
    return "$status"
}

# Where cargo puts what it builds.
target_dir() {
    cargo metadata --format-version 1 --no-deps | sed -E 's/.*"target_directory":"([^"]*)".*/\1/'
}

# Builds the program and tells where it is.
build_helixai() {
    cargo build --bin helixai >&2
    echo "$(target_dir)/debug/helixai"
}
