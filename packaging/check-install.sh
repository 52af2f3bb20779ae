#!/bin/sh
# Installs into a folder of its own and builds the programs of packaging/programs, one in C and one in C++, in each way that
# programs are built: with the compilers and C++ libraries there are, in each standard, by LIBOPENTOK_PATH, plain -lopentok, both
# names of the library, pkg-config, CMake by its package and by a folder, dlopen, static; and one in Rust through bindings that
# bindgen makes. Each of them runs. What a machine lacks is named at the end. In the end all is removed again.
set -eu
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix="$work/prefix"
programs=$(pwd)/packaging/programs
other_name=vonage-client-sdk-video
left_out=

install() { make "$@" >"$work/install.log" 2>&1 || { cat "$work/install.log"; exit 1; }; }
install install PREFIX="$prefix"
install sdk DIR="$work/sdk"

count=0
say_left_out() { left_out="$left_out
  left out: $*"; }
try() { # try WAY PROGRAM [ARGUMENT]
    way=$1
    shift
    if [ "$("$@")" != session ]; then echo "FAILED: $way"; exit 1; fi
    count=$((count + 1))
}

# ---- The compilers: a command for C, one for C++, and what the C++ one needs for its library ----

has_libcxx() { printf '#include <string>\nint main() { return std::string().size(); }\n' |
    "$1" -x c++ -std=c++11 -stdlib=libc++ - -o "$work/libcxx" 2>/dev/null; }

# Without a number in its name where there is one; Debian's numbered packages come without.
clang=$(command -v clang || find /usr/bin -name 'clang-[0-9]*' | sort -V | tail -n 1)
toolchains="gcc:g++:"
if [ -n "$clang" ]; then
    clangxx=$(echo "$clang" | sed 's/clang\(-[0-9]*\)\{0,1\}$/clang++\1/')
    toolchains="$toolchains $clang:$clangxx:"
    if has_libcxx "$clangxx"; then
        toolchains="$toolchains $clang:$clangxx:-stdlib=libc++"
    else
        say_left_out "clang++ with libc++: libc++-dev and libc++abi-dev are not installed"
    fi
else
    say_left_out "clang: not installed"
fi
if ! command -v g++ >/dev/null; then
    toolchains=$(echo "$toolchains" | sed 's/gcc:g++:/gcc::/')
    say_left_out "g++: not installed"
fi

strict="-Wall -Wextra -Wpedantic -Werror"
include="-I$prefix/include"
link="-L$prefix/lib -lopentok -Wl,-rpath,$prefix/lib"
static="$prefix/lib/libopentok.a $(sed -n 's/^Libs.private: //p' "$prefix/lib/pkgconfig/libopentok.pc")"

# The first of these names of a standard that the compiler knows: C23 is c2x to older ones.
known() { # known COMPILER LANGUAGE NAME…
    compiler=$1 language=$2
    shift 2
    for name in "$@"; do
        if echo 'int main(void);' | $compiler -x "$language" -std="$name" -fsyntax-only - 2>/dev/null; then
            echo "$name"
            return
        fi
    done
}

build_in_each_way() { # build_in_each_way NAME COMPILER SOURCE STANDARD…; COMPILER may have options
    name=$1 compiler=$2 source=$3
    shift 3
    for standard in "$@"; do
        $compiler -std="$standard" $strict "$programs/$source" $include $link -o "$work/program"
        try "$name -std=$standard" "$work/program"
    done
    # As LIBOPENTOK_PATH is used; nothing in the program says where the library is.
    LIBOPENTOK_PATH=$prefix
    $compiler $strict "$programs/$source" -I"$LIBOPENTOK_PATH/include" -L"$LIBOPENTOK_PATH/lib" -lopentok -o "$work/program"
    try "$name, LIBOPENTOK_PATH" env LD_LIBRARY_PATH="$LIBOPENTOK_PATH/lib" "$work/program"
    # Where the compiler looks by itself, as after an installation into the system.
    CPATH="$prefix/include" LIBRARY_PATH="$prefix/lib" $compiler $strict "$programs/$source" -lopentok -o "$work/program"
    try "$name, -lopentok" env LD_LIBRARY_PATH="$prefix/lib" "$work/program"
    # The other name leads to the same library, which a program then asks for by its first name.
    $compiler $strict "$programs/$source" $include -L"$prefix/lib" -l$other_name -Wl,-rpath,"$prefix/lib" -o "$work/program"
    try "$name, -l$other_name" "$work/program"
    readelf -d "$work/program" | grep -q 'NEEDED.*\[libopentok\.so\]' || { echo "FAILED: $name, the name that is needed"; exit 1; }
    $compiler $strict "$programs/$source" $include $static -o "$work/program"
    try "$name, static" "$work/program"
    if readelf -d "$work/program" | grep -q libopentok; then echo "FAILED: $name, static needs the shared one"; exit 1; fi
    for package in libopentok lib$other_name; do
        command -v pkg-config >/dev/null || continue
        # Not exported: cargo would build everything anew for the second installation below.
        package() { PKG_CONFIG_PATH="$prefix/lib/pkgconfig" pkg-config "$@" $package; }
        $compiler $strict "$programs/$source" $(package --cflags --libs) \
            -Wl,-rpath,"$(package --variable=libdir)" -o "$work/program"
        try "$name, pkg-config $package" "$work/program"
    done
}

for toolchain in $toolchains; do
    c=$(echo "$toolchain" | cut -d : -f 1) cxx=$(echo "$toolchain" | cut -d : -f 2) library=$(echo "$toolchain" | cut -d : -f 3)
    before=$count
    # With the other C++ library C is the same.
    if [ -z "$library" ]; then
        build_in_each_way "$c" "$c" program.c c99 c11 c17 "$(known "$c" c c23 c2x)" "$(known "$c" c gnu23 gnu2x)"
        $c -std=c99 -D_GNU_SOURCE $strict "$programs/loaded.c" -ldl -o "$work/loaded"
        for file in libopentok.so lib$other_name.so; do try "$c, dlopen $file" "$work/loaded" "$prefix/lib/$file"; done
    fi
    if [ -n "$cxx" ]; then
        build_in_each_way "$cxx $library" "$cxx $library" program.cpp c++11 c++14 c++17 "$(known "$cxx" c++ c++20 c++2a)"
        $cxx $library -std=c++11 $strict -x c++ "$programs/loaded.c" -ldl -o "$work/loaded"
        try "$cxx $library, dlopen" "$work/loaded" "$prefix/lib/libopentok.so"
    fi
    if [ -n "$cxx" ] && command -v cmake >/dev/null; then
        build="$work/cmake-$count"
        LIBOPENTOK_PATH="$prefix" PKG_CONFIG_PATH="$prefix/lib/pkgconfig" CC="$c" CXX="$cxx" CXXFLAGS="$library" \
            cmake -S "$programs" -B "$build" -DCMAKE_PREFIX_PATH="$prefix" >"$work/cmake.log" 2>&1 &&
            cmake --build "$build" >>"$work/cmake.log" 2>&1 || { cat "$work/cmake.log"; exit 1; }
        for program in shared-c shared-cpp static-c static-cpp by-path; do try "CMake, $program" "$build/$program"; done
        if command -v pkg-config >/dev/null; then try 'CMake, by-module' "$build/by-module"; fi
        CC="$c" CXX="$cxx" CXXFLAGS="$library" \
            cmake -S "$programs/in-folder" -B "$build/in-folder" -DSDK="$work/sdk" >"$work/cmake.log" 2>&1 &&
            cmake --build "$build/in-folder" >>"$work/cmake.log" 2>&1 || { cat "$work/cmake.log"; exit 1; }
        for program in in-folder-c in-folder-cpp; do try "CMake, $program" "$build/in-folder/$program"; done
    fi
    echo "ok: $c${cxx:+, $cxx}${library:+ $library}: $((count - before)) programs"
done
command -v cmake >/dev/null || say_left_out "CMake: not installed"
command -v pkg-config >/dev/null || say_left_out "pkg-config: not installed"

# ---- Rust, through bindings ----

if [ -n "$clang" ] && { /sbin/ldconfig -p | grep -E 'libclang(-[0-9.]+)?\.so' >/dev/null || [ -n "${LIBCLANG_PATH:-}" ]; }; then
    token=$("$prefix/bin/otc" token --key demo --secret demo-secret --session lobby --data Ada)
    mkdir -m 700 "$work/run"
    # A folder of its own: what is built there has nothing in common with the library's own.
    CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/bindings" LIBOPENTOK_PATH="$prefix" \
        "${CARGO_FOR_BINDINGS:-cargo}" build --quiet --locked --manifest-path packaging/bindings/Cargo.toml
    heard=$(env -u OTC_URL -u LIVEKIT_URL -u OTC_ABI XDG_RUNTIME_DIR="$work/run" XDG_CONFIG_HOME="$work/run" \
        LD_LIBRARY_PATH="$prefix/lib" timeout 60 "${CARGO_TARGET_DIR:-target}/bindings/debug/openotc-bindings" demo lobby "$token")
    expected='connected
greeting: hello, from Ada
disconnected'
    if [ "$heard" != "$expected" ]; then printf 'FAILED: Rust through bindings said\n%s\n' "$heard"; exit 1; fi
    echo 'ok: Rust, through the bindings of bindgen'
else
    say_left_out "bindgen: clang or libclang1 is not installed"
fi

# ---- Elsewhere, and away again ----

# The system's own prefix is written into files that are put elsewhere first.
install install PREFIX=/usr DESTDIR="$work/stage"
grep -q '^prefix=/usr$' "$work/stage/usr/lib/pkgconfig/libopentok.pc" || { echo "FAILED: DESTDIR"; exit 1; }
[ "$(readlink "$work/stage/usr/lib/lib$other_name.so")" = libopentok.so ] || { echo "FAILED: a link leads out"; exit 1; }
echo "ok: DESTDIR"

install uninstall PREFIX="$prefix"
install uninstall PREFIX=/usr DESTDIR="$work/stage"
rest=$(find "$prefix" "$work/stage" ! -type d)
if [ -n "$rest" ]; then printf 'FAILED: left after make uninstall:\n%s\n' "$rest"; exit 1; fi
echo "ok: uninstall"

echo "$count programs$left_out"
