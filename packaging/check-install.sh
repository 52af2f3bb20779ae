#!/bin/sh
# Installs into a folder of its own and links one program in each way that programs use: pkg-config, LIBOPENTOK_PATH,
# CMake, dlopen, static. Ways whose tool is not there are named and left out.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix="$work/prefix"
make install PREFIX="$prefix" >"$work/install.log" 2>&1 || { cat "$work/install.log"; exit 1; }

cat >"$work/program.c" <<'PROGRAM'
#include <opentok.h>
#include <stdio.h>
int main(void) {
  struct otc_session_callbacks callbacks = {0};
  if (otc_init(NULL) != OTC_SUCCESS) return 1;
  otc_session *session = otc_session_new("key", "session", &callbacks);
  printf("%s\n", otc_session_get_id(session));
  return otc_session_delete(session) != OTC_SUCCESS || otc_destroy() != OTC_SUCCESS;
}
PROGRAM
cat >"$work/loaded.c" <<'PROGRAM'
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv) {
  int (*init)(void *), (*destroy)(void);
  void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
  if (!library) return fprintf(stderr, "%s\n", dlerror()), 1;
  *(void **)&init = dlsym(library, "otc_init");
  *(void **)&destroy = dlsym(library, "otc_destroy");
  if (init(NULL) || destroy() || dlclose(library)) return 1;
  return puts("session"), 0;
}
PROGRAM

try() { # try WAY PROGRAM [ARGUMENT]
    way=$1
    shift
    if [ "$("$@")" != session ]; then echo "FAILED: $way"; exit 1; fi
    echo "ok: $way"
}

LIBOPENTOK_PATH=$prefix
cc "$work/program.c" -I"$LIBOPENTOK_PATH/include" -L"$LIBOPENTOK_PATH/lib" -lopentok \
    -Wl,-rpath,"$LIBOPENTOK_PATH/lib" -o "$work/by-path"
try LIBOPENTOK_PATH "$work/by-path"

cc "$work/loaded.c" -ldl -o "$work/loaded"
try dlopen "$work/loaded" "$prefix/lib/libopentok.so"

cc "$work/program.c" -I"$prefix/include" "$prefix/lib/libopentok.a" \
    $(sed -n 's/^Libs.private: //p' "$prefix/lib/pkgconfig/libopentok.pc") -o "$work/static"
try static "$work/static"

if command -v pkg-config >/dev/null; then
    # Not exported: cargo would build everything anew for the second installation below.
    package() { PKG_CONFIG_PATH="$prefix/lib/pkgconfig" pkg-config "$@" libopentok; }
    cc "$work/program.c" $(package --cflags --libs) -Wl,-rpath,"$(package --variable=libdir)" -o "$work/by-pkg-config"
    try pkg-config "$work/by-pkg-config"
else
    echo "left out: pkg-config is not installed"
fi

if command -v cmake >/dev/null; then
    mkdir "$work/cmake"
    cat >"$work/cmake/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.10)
project(program C)
find_package(libopentok REQUIRED)
add_executable(shared ../program.c)
target_link_libraries(shared libopentok)
add_executable(static ../program.c)
target_link_libraries(static libopentok_static)
CMAKE
    cmake -S "$work/cmake" -B "$work/cmake/build" -DCMAKE_PREFIX_PATH="$prefix" >"$work/cmake.log" 2>&1 &&
        cmake --build "$work/cmake/build" >>"$work/cmake.log" 2>&1 || { cat "$work/cmake.log"; exit 1; }
    try "CMake, shared" "$work/cmake/build/shared"
    try "CMake, static" "$work/cmake/build/static"
else
    echo "left out: CMake is not installed"
fi

# The system's own prefix is written into files that are put elsewhere first.
make install PREFIX=/usr DESTDIR="$work/stage" >"$work/install.log" 2>&1 || { cat "$work/install.log"; exit 1; }
grep -q '^prefix=/usr$' "$work/stage/usr/lib/pkgconfig/libopentok.pc" || { echo "FAILED: DESTDIR"; exit 1; }
echo "ok: DESTDIR"
