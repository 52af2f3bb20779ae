#!/usr/bin/env bash
# A film over a bad network: 10 % loss with 100 ms delay, and a network that narrows from 3 Mbit/s to 300 kbit/s and widens again,
# once on the publisher's side and once on the subscriber's. Both run on `otc serve`, in namespaces of their own, with weather.py
# between them. Prints a line for each part: pictures a second, the longest pause, freezes (pauses over 200 ms), and after a
# change for the better how long it took until a whole second had 27 pictures again.
#
#   benches/network.sh [SECONDS]          of each part; 20 when nothing is said. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-20} profile=${PROFILE:-release}
KEY=100042 SECRET=a-secret-of-the-benches-that-is-long-enough
NEAR=otc-near-$$ FAR=otc-far-$$
work=$(mktemp -d) pids=()
cleanup() {
  exec 8>&- || true
  for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap cleanup EXIT
chmod 700 "$work"
export XDG_RUNTIME_DIR=$work XDG_CONFIG_HOME=$work
unset OTC_URL OTC_ABI OTC_LOG OTC_API_SECRET LIVEKIT_URL

cargo build --quiet --lib --bins --profile "$profile"
[ "$profile" = dev ] && folder=debug || folder=$profile
built=$(realpath "${CARGO_TARGET_DIR:-target}")/$folder
cc -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Wpedantic -Werror -I include -o "$work/film" benches/film.c -L "$built" \
  -Wl,--disable-new-dtags,-rpath,"$built" -Wl,--as-needed -lopentok -lpthread -ldl

mkfifo "$work/weather"
python3 benches/weather.py "$NEAR" "$FAR" <"$work/weather" >"$work/weather.out" &
weather=$!
# No child keeps it: its end is the end of weather.py.
exec 8>"$work/weather"
until grep -q ready "$work/weather.out"; do kill -0 $weather; sleep 0.1; done
say() { echo "$*" >&8; }

ip netns exec "$FAR" "$built/otc" serve --listen 10.77.0.2:7880 --key $KEY --secret $SECRET >"$work/serve.log" 2>&1 8>&- &
pids+=($!)
export OTC_URL=ws://10.77.0.2:7880 OTC_API_SECRET=$SECRET
token() { "$built/otc" token --key $KEY --secret $SECRET --session "$1" --role publisher; }

# scene NAME SIDE PART...: SIDE's way to the server has the weather of each PART in turn
scene() {
  local name=$1 side=$2 publisher_in=$FAR watcher_in=$FAR direction=up number=0
  shift 2
  if [ "$side" = publisher ]; then publisher_in=$NEAR; else watcher_in=$NEAR direction=down; fi
  say up loss=0 delay=0 rate=0
  say down loss=0 delay=0 rate=0
  local length=$((seconds * $#))
  ip netns exec "$publisher_in" "$work/film" publish "$name" "$(token "$name")" $((length + 6)) >/dev/null 8>&- &
  pids+=($!)
  local publisher=$!
  sleep 2
  ip netns exec "$watcher_in" "$work/film" watch "$name" "$(token "$name")" "$length" >"$work/$name" 8>&- &
  local watcher=$!
  pids+=("$watcher")
  until [ -s "$work/$name" ]; do kill -0 $watcher; sleep 0.05; done
  for part in "$@"; do
    # Delay is on both ways, half each; the rest is on the way that media takes.
    local delay=0
    case $part in *delay=*) delay=${part##*delay=} delay=${delay%% *} ;; esac
    say up delay=$((delay / 2))
    say down delay=$((delay / 2))
    say "$direction" $(printf '%s\n' $part | grep -v delay=)
    sleep "$seconds"
  done
  wait $watcher
  wait $publisher
  python3 - "$work/$name" "$seconds" "$name" "$@" <<'PYTHON'
import json, sys
path, seconds, name, *parts = sys.argv[1:]
seconds = int(seconds)
rows = [json.loads(line) for line in open(path)]
for number, part in enumerate(parts):
    mine = rows[number * seconds : (number + 1) * seconds]
    pictures = [row["pictures"] for row in mine]
    longest = max(row["longest_pause_ms"] for row in mine)
    freezes = sum(row["freezes"] for row in mine)
    again = next((index + 1 for index, count in enumerate(pictures) if count >= 27), None)
    latency = sorted(row["latency_ms"] for row in mine)[len(mine) // 2]
    print(f"{name:18} {part:34} {sum(pictures) / len(mine):6.1f} fps   longest pause {longest:6.0f} ms   {freezes:3} freezes   "
          f"27 fps after {again} s   width {mine[-1]['width']:5}   latency {latency:5.0f} ms", flush=True)
PYTHON
}

for side in publisher subscriber; do
  scene "loss-$side" $side "loss=0 rate=0" "loss=10 rate=0 delay=100" "loss=0 rate=0"
  scene "narrow-$side" $side "loss=0 rate=3000000" "loss=0 rate=300000" "loss=0 rate=3000000"
done
exec 8>&-
wait $weather
tail -n 2 "$work/weather.out"
