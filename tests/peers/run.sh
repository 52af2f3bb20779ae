#!/usr/bin/env bash
# The whole check; `make test` calls it. Installs the real peers, then runs our own tests, then what an installed library and
# the demo do, and in the end the tests that need the peers.
#
# The runs of cargo are one test suite: the first leaves out what is marked with #[ignore], the last two are that rest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

started=$SECONDS
step() { printf '\n== %s (%d s after the start)\n' "$*" "$((SECONDS - started))"; }

command -v cargo >/dev/null || { echo 'cargo is missing: install Rust first' >&2; exit 1; }
command -v cc >/dev/null || { echo 'a C compiler is missing, on Debian: apt-get install gcc libc6-dev' >&2; exit 1; }

# A browser is large: OTC_PEERS_BROWSER=no leaves it out, and its tests with it.
# Films between real clients. Here those that show the whole way in each direction; `make films` runs all of them, the
# browser's too, which is a large download.
films=(a_foreign_client_is_seen hears_of the_film_again is_left media_goes_through captions sealed_film_of_a_foreign sealed_film_of_the_library)
if [ "${OTC_PEERS_FILMS:-some}" = all ]; then films=(media captions) OTC_PEERS_BROWSER=${OTC_PEERS_BROWSER:-yes}; fi
export OTC_PEERS_BROWSER=${OTC_PEERS_BROWSER:-no}
leave_out=()
if [ "$OTC_PEERS_BROWSER" = no ]; then leave_out=(--skip a_browser); fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT

run_peers() { cargo test --locked --test peers -- --ignored "$@" | tee "$log"; }
# Those that failed last, one at a time. When none has a name the run itself broke.
run_failed() {
    local failed
    failed=$(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$log")
    [ -n "$failed" ] || return 1
    step 'not all went well; those that failed once more, one at a time'
    # shellcheck disable=SC2086 # names have no spaces
    run_peers --test-threads=1 --exact $failed
}

step '1 of 6: the real peers and the tools (nothing to do when they are there)'
tests/peers/install.sh

step '2 of 6: cargo test, our own check'
cargo test --locked --no-fail-fast

step '3 of 6: C tests under valgrind'
tests/sanitizers/run.sh quick

step '4 of 6: an installed library, in each way that programs use it'
sh packaging/check-install.sh

step '5 of 6: the demo'
make demo

step '6 of 6: the library against livekit-server and LiveKit clients'
# Most of these wait for time-outs of a server that is frozen or gone, so many at once cost little and save minutes. Those with
# films keep the processors busy, and what they see has to come in time. LiveKit's Python client now and then aborts by itself
# when several of it start at once: what failed in company is asked again on its own.
run_peers --test-threads=8 --skip media --skip captions || run_failed || run_failed
run_peers --test-threads=2 "${leave_out[@]}" --skip two_programs "${films[@]}" || run_failed || run_failed
# Two films and four that watch: more than two cores carry twice.
run_peers --test-threads=1 two_programs || run_failed || run_failed

step 'done; how much of the interface works, and LEDGER.md says what and which test shows it:'
sed -n '/totals: begin/,/totals: end/{/totals:/!p}' LEDGER.md
