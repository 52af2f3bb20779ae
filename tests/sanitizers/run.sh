#!/usr/bin/env bash
# The C tests under a tool that sees what a test does not. Called by `make test` (quick) and `make sanitize` (all).
#
#   run.sh quick       valgrind memcheck over a selection: two minutes on two idle cores
#   run.sh valgrind    valgrind memcheck over all of them
#   run.sh asan        AddressSanitizer and LeakSanitizer, library and programs instrumented
#   run.sh lsan        LeakSanitizer alone: nearly full speed
#   run.sh tsan        ThreadSanitizer, the standard library instrumented too
#   run.sh helgrind    a second opinion on locks and races, much slower and without the standard library's atomics
#   run.sh gate        the stress test of the callback gate under ThreadSanitizer
#   run.sh fuzz        every fuzz target, FUZZ_S seconds each (60)
#   run.sh all         asan, lsan, valgrind, tsan, gate, fuzz
#
# Further words select tests: `run.sh asan teardown::`. The sanitizers need the nightly toolchain; tsan also its sources
# (rustup component add rust-src --toolchain nightly). The instrumented builds are kept in $CARGO_TARGET_DIR-<tool>.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

TOOL=${1:?'which tool? see the top of this script'}
shift
HERE=$PWD/tests/sanitizers
TARGET=${CARGO_TARGET_DIR:-target}
HOST=$(rustc -vV | sed -n 's/^host: //p')
# Each test is a process with threads of its own, and the tools make them slow.
THREADS=${TEST_THREADS:-2}

c_tests() { # the words after -- of cargo test
    mkdir -p "$C_TEST_PROGRAMS"
    cargo test --locked --quiet --test c_api -- --test-threads="$THREADS" "$@"
}

valgrind_tests() { # a tool's options, then --, then tests
    command -v valgrind >/dev/null || { echo 'valgrind is missing, on Debian: apt-get install valgrind' >&2; exit 1; }
    local options=()
    while [ "$1" != -- ]; do options+=("$1"); shift; done
    shift
    export C_TEST_PROGRAMS=${TARGET}/tmp/c-$TOOL C_TEST_LIMIT_S=900 TEST_SLOWNESS=10
    # One thread runs at a time; without the fair scheduler a waiting one may starve.
    export C_TEST_RUNNER="valgrind -q --fair-sched=yes --num-callers=30 --error-exitcode=99
        --suppressions=$HERE/valgrind.supp ${options[*]}"
    c_tests "$@"
}

# What is lost for good is an error. What is still reachable at the end is not: the names of log targets, the program's
# logger, and caches of the standard library live as long as the process.
LEAKS='--leak-check=full --show-leak-kinds=definite,indirect --errors-for-leak-kinds=definite'

memcheck() {
    # Processes that end in the middle of something, and forked ones, own blocks that nobody can reach any more.
    valgrind_tests $LEAKS -- "$@" --skip exits:: --skip takeover:: --skip exit_inside_a_callback --skip exit_in_callback --skip interrupted
    valgrind_tests --leak-check=no -- exits:: exit_inside_a_callback exit_in_callback interrupted
}

sanitized() { # sanitizer, then flags of cargo, then --, then tests
    export SANITIZER=$1 C_TEST_COMPILER=$HERE/cc.sh
    shift
    local cargo=()
    while [ "$1" != -- ]; do cargo+=("$1"); shift; done
    shift
    local folder=$TARGET-$TOOL
    RUSTFLAGS="-Zsanitizer=$SANITIZER ${EXTRA_FLAGS:-}" CARGO_TARGET_DIR=$folder \
        cargo +nightly build --locked --lib --target "$HOST" "${cargo[@]}"
    export INSTRUMENTED=$folder/$HOST/debug C_TEST_LIBRARY=$folder/$HOST/debug/libopentok.so
    export RUNTIME; RUNTIME=$(runtime)
    export C_TEST_PROGRAMS=${TARGET}/tmp/c-$TOOL C_TEST_LIMIT_S=600
    c_tests "$@"
}

runtime() {
    local short=${SANITIZER:0:1}san
    ls "$(rustc +nightly --print target-libdir --target "$HOST")"/librustc-*_rt."$short".a
}

case $TOOL in
    quick)
        memcheck_selection=(session:: handles:: texts:: video_frame::a_ video_frame::conversion teardown::teardown_01 teardown::teardown_03
            teardown::teardown_06_destroy_leaves hostile::of_threads hostile::the_library)
        # Films in it are more than a busy machine can bear; `valgrind` has them.
        valgrind_tests $LEAKS -- "${memcheck_selection[@]}" --skip media_handles
        ;;
    valgrind) memcheck "$@" ;;
    asan)
        # Leaks are part of it. Return addresses live on the fake stack, so a use after return is seen too.
        export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:abort_on_error=0
        export LSAN_OPTIONS=suppressions=$HERE/lsan.supp:print_suppressions=0 TEST_SLOWNESS=4
        sanitized address -- "$@" --skip exits:: --skip exit_in_callback --skip interrupted
        ASAN_OPTIONS=${ASAN_OPTIONS/detect_leaks=1/detect_leaks=0} c_tests exits:: exit_in_callback interrupted
        ;;
    lsan)
        export LSAN_OPTIONS=suppressions=$HERE/lsan.supp:print_suppressions=0 TEST_SLOWNESS=2
        sanitized leak -- "$@" --skip exits:: --skip exit_in_callback --skip interrupted
        ;;
    tsan)
        export TSAN_OPTIONS=suppressions=$HERE/tsan.supp:halt_on_error=0:exitcode=66:second_deadlock_stack=1
        # It has a thread of its own. Processes that fork with threads in them are beyond it, and it takes threads and
        # descriptors itself when it has something to say.
        export TEST_SLOWNESS=10 TEST_TOOL_THREADS=1 EXTRA_FLAGS=-Cforce-frame-pointers=yes
        sanitized thread -Zbuild-std -- "$@" --skip exits:: --skip takeover:: --skip exit_in_callback --skip interrupted --skip dlopen:: --skip every_number_of --skip destroy_leaves_nothing --skip a_handler_of_atexit
        # After exit() inside a callback nobody joins what has ended meanwhile.
        TSAN_OPTIONS+=:report_thread_leaks=0 c_tests a_handler_of_atexit
        ;;
    helgrind)
        valgrind_tests --tool=helgrind --history-level=approx -- "${@:-teardown::teardown_04}"
        ;;
    gate)
        RUSTFLAGS="-Zsanitizer=thread -Cforce-frame-pointers=yes" CARGO_TARGET_DIR=$TARGET-tsan TSAN_OPTIONS=suppressions=$HERE/tsan.supp \
            cargo +nightly test --locked --lib -Zbuild-std --target "$HOST" -- driver::callbacks
        ;;
    fuzz)
        cargo +nightly fuzz --version >/dev/null 2>&1 || { echo 'cargo-fuzz is missing: cargo install cargo-fuzz' >&2; exit 1; }
        for target in $(sed -n 's/^name = "\(.*\)"/\1/p' fuzz/Cargo.toml | grep -v openotc); do
            # What a target finds is kept in corpus; seeds are where a random text would not get far.
            mkdir -p "fuzz/corpus/$target" "fuzz/seeds/$target"
            CARGO_TARGET_DIR=$TARGET-fuzz cargo +nightly fuzz run "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" \
                -- -max_total_time="${FUZZ_S:-60}" -rss_limit_mb=2048 -timeout=20
        done
        ;;
    all) for tool in asan lsan valgrind tsan gate fuzz; do "$HERE/run.sh" "$tool"; done ;;
    *) echo "unknown tool: $TOOL" >&2; exit 2 ;;
esac
