#!/usr/bin/env bash
# The library and LiveKit's Python client side by side: both publish and watch the same film over the same livekit-server, one
# after the other, round by round. Prints a table of medians; the single figures are in the file that it names.
#
#   benches/media.sh [SECONDS] [ROUNDS]          30 and 3 when nothing is said
#
# WHO="ours theirs" chooses, PLACES="livekit serve" too: only the library runs on `otc serve` for this. Needs the peers
# (tests/peers/install.sh). The Python client's figures have a part that is Python's: see benches/README.md.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/peers/versions.sh
seconds=${1:-30} rounds=${2:-3} who=${WHO:-ours theirs} places=${PLACES:-livekit serve}
profile=${PROFILE:-release}

KEY=100042 SECRET=a-secret-of-the-benches-that-is-long-enough
work=$(mktemp -d) pids=()
figures=$work.jsonl
cleanup() {
  for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap cleanup EXIT
chmod 700 "$work"
export XDG_RUNTIME_DIR=$work XDG_CONFIG_HOME=$work
unset OTC_URL OTC_ABI OTC_LOG OTC_API_SECRET LIVEKIT_URL
python=$peers_cache/python/bin/python media=tests/peers/media

if [[ $who == *ours* ]]; then
  cargo build --quiet --lib --bins --profile "$profile"
  [ "$profile" = dev ] && folder=debug || folder=$profile
  built=$(realpath "${CARGO_TARGET_DIR:-target}")/$folder
  cc -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Wpedantic -Werror -I include -o "$work/film" benches/film.c -L "$built" \
    -Wl,--disable-new-dtags,-rpath,"$built" -Wl,--as-needed -lopentok -lpthread -ldl
fi

free_port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

wait_for() { # wait_for PORT: something answers there
  for _ in $(seq 200); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then return; fi
    sleep 0.05
  done
  echo "nothing answers on port $1" >&2
  exit 1
}

begin_server() { # begin_server livekit|serve: sets url
  port=$(free_port)
  url=ws://127.0.0.1:$port
  if [ "$1" = serve ]; then
    "$built/otc" serve --listen "127.0.0.1:$port" --key $KEY --secret $SECRET >"$work/$1.log" 2>&1 &
  else
    cat >"$work/livekit.yaml" <<YAML
port: $port
bind_addresses: ["127.0.0.1"]
rtc:
  tcp_port: 0
  port_range_start: 23000
  port_range_end: 23999
  node_ip: 127.0.0.1
  use_external_ip: false
  enable_loopback_candidate: true
  interfaces: { includes: [lo] }
  stun_servers: ["127.0.0.1:9"]
keys: { "$KEY": "$SECRET" }
logging: { level: warn }
YAML
    "$peers_cache/livekit-server/livekit-server" --config "$work/livekit.yaml" >"$work/$1.log" 2>&1 &
  fi
  pids+=($!)
  wait_for "$port"
}

# token ROOM NAME: a LiveKit token, good for both servers.
token() {
  "$python" - "$KEY" "$SECRET" "$1" "$2" <<'PYTHON'
import sys, time
import jwt
key, secret, room, name = sys.argv[1:]
claims = {"iss": key, "sub": name, "nbf": int(time.time()) - 60, "exp": int(time.time()) + 3600, "metadata": name}
print(jwt.encode(claims | {"video": {"roomJoin": True, "room": room}}, secret, algorithm="HS256"))
PYTHON
}

keep() { # keep WHO PLACE WHAT: the last line of JSON on standard input is a figure
  sed -n '/^{/p' | tail -n 1 | sed "s/^{/{\"who\": \"$1\", \"place\": \"$2\", \"what\": \"$3\", /" >>"$figures"
}

number=0
run() { # run WHO PLACE: one film, published and watched
  number=$((number + 1))
  local room=room-$number publisher hold=$work/hold-$number
  local length=$((seconds + 8))
  if [ "$1" = ours ]; then
    OTC_URL=$url "$work/film" publish "$room" "$(token "$room" publisher)" "$length" >"$work/published" &
    publisher=$!
  else
    # The end of its input is what it leaves by.
    mkfifo "$hold"
    "$python" $media/publish.py "$url" "$(token "$room" publisher)" --number clock --simulcast ${BITRATE:+--bitrate $BITRATE} \
      <"$hold" >"$work/published" 2>/dev/null &
    publisher=$!
    exec 7>"$hold"
  fi
  pids+=("$publisher")
  sleep 3
  if [ "$1" = ours ]; then
    OTC_URL=$url "$work/film" subscribe "$room" "$(token "$room" watcher)" "$seconds" | keep ours "$2" subscribe
    [ "$number" -gt 2 ] || OTC_URL=$url "$work/film" join "$room" "$(token "$room" joiner)" 3 | keep ours "$2" join
  else
    # Looking at one mark in ten: what costs is then the client, and not the looking.
    "$python" $media/subscribe.py "$url" "$(token "$room" watcher)" --number clock --watch some --seconds "$seconds" \
      2>/dev/null | keep theirs "$2" subscribe
    exec 7>&-
  fi
  wait "$publisher"
  keep "$1" "$2" publish <"$work/published"
}

for place in $places; do
  begin_server "$place"
  for _ in $(seq "$rounds"); do
    for one in $who; do
      [ "$one $place" = "theirs serve" ] || run "$one" "$place"
    done
  done
done

echo "the single figures: $figures"
"$python" - "$figures" <<'PYTHON'
import json, statistics, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
names = ["cpu_s_per_minute", "drawing_s_per_minute", "pictures", "seconds", "first_picture_ms", "latency_p50_ms", "latency_p99_ms", "resident_mb"]
print(f"{'':24}" + "".join(f"{name.replace('_', ' '):>23}" for name in names))
for key in sorted({(row["what"], row["place"], row["who"]) for row in rows}):
    mine = [row for row in rows if (row["what"], row["place"], row["who"]) == key]
    cells = []
    for name in names:
        values = [row[name] for row in mine if row.get(name) is not None]
        cells.append(f"{statistics.median(values):23.2f}" if values else f"{'':23}")
    print(f"{' '.join(key):24}" + "".join(cells))
PYTHON
