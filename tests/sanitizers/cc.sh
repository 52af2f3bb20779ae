#!/usr/bin/env bash
# Stands in for `cc` and `c++` when tests/c_api.rs compiles a C program (C_TEST_COMPILER). The program is instrumented too, and
# linked with the instrumented static library and with the runtime that belongs to the Rust compiler. There must be one
# runtime only; gcc's own would be a second one, so gcc compiles and does not link with it. The calls into the runtime are
# the same (version 8 of that interface), whichever compiler made them.
#
# SANITIZER: address, thread or leak. INSTRUMENTED: the folder with libopentok.a. RUNTIME: the archive of the runtime.
set -euo pipefail

compiler=cc
compile=()
while [ $# -gt 0 ]; do
    case $1 in
        -o) program=$2; shift ;;
        -L) shift ;;                      # the plain build
        -l* | -Wl,*) ;;
        *.cpp) compiler=c++; compile+=("$1") ;;
        *) compile+=("$1") ;;
    esac
    shift
done

instrument=(-fsanitize="$SANITIZER" -fno-omit-frame-pointer)
[ "$SANITIZER" = leak ] && instrument=()   # it is all in the runtime
# Linked without -fsanitize. The runtime's symbols are exported for a library that is opened at run time.
"$compiler" "${instrument[@]}" "${compile[@]}" -c -o "$program.o"
# The archive is large; gold, where there is one, takes a tenth of the time.
linker=()
command -v ld.gold >/dev/null && linker=(-fuse-ld=gold)
"$compiler" "${linker[@]}" -o "$program" "$program.o" "$INSTRUMENTED/libopentok.a" \
    -Wl,--whole-archive "$RUNTIME" -Wl,--no-whole-archive -Wl,--export-dynamic \
    -lpthread -ldl -lm -lrt -lresolv -lgcc_s -lutil
