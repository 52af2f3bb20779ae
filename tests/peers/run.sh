#!/usr/bin/env bash
# The whole check: installs the real peers, then our own tests, then the tests that need the peers. `make test` calls it.
#
# The two runs are one test suite: `cargo test` leaves out what is marked with #[ignore], the second run is that rest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

started=$SECONDS
step() { printf '\n== %s (%d s after the start)\n' "$*" "$((SECONDS - started))"; }

command -v cargo >/dev/null || { echo 'cargo is missing: install Rust first' >&2; exit 1; }
command -v cc >/dev/null || { echo 'a C compiler is missing, on Debian: apt-get install gcc libc6-dev' >&2; exit 1; }

step '1 of 3: the real peers (nothing to do when they are in the cache)'
tests/peers/install.sh

step '2 of 3: cargo test, our own check'
cargo test --locked

step '3 of 3: the same library against livekit-server and LiveKit clients'
# Most of these wait for time-outs of a server that is frozen or gone, so many at once cost little and save minutes.
cargo test --locked --test peers -- --ignored --test-threads=8

step 'done'
