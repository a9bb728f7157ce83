# shellcheck shell=bash
# The program that the thin scripts call: $HELIXAI, else the one that this repository has built or builds now.
# Sourced, not run; goes to the repository's root.

source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

if [ -n "${HELIXAI:-}" ]; then
    helixai=$HELIXAI
else
    need_rust
    helixai=$(target_dir)/release/helixai
    [ -x "$helixai" ] || helixai=$(target_dir)/debug/helixai
    [ -x "$helixai" ] || helixai=$(build_helixai)
fi
