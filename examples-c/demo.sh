#!/bin/sh
# Shows two programs talking over the hub of this machine, then what happens when things go wrong, and then a film: a picture and
# its sound go from one program to another, and what came is kept.
#
#   BIN=folder of the compiled examples and of otc [OUT=folder for what is received] sh examples-c/demo.sh     (make demo)
#
# Every line that a program prints is a callback. Each step waits for the line it expects, with a limit, so the demo is
# a test too: it ends with 0 only if everything came, in order.
set -eu

BIN=${BIN:?the folder of the examples}
LIMIT_S=20

work=$(mktemp -d)
pids=
cleanup() {
    for pid in $pids; do kill -9 "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap cleanup EXIT

# A hub of the demo's own, whatever else runs on this machine.
chmod 700 "$work"
OUT=${OUT:-$work/received}
mkdir -p "$OUT"
rm -f "$OUT/picture.png" "$OUT/sound.wav"
export XDG_RUNTIME_DIR="$work" XDG_CONFIG_HOME="$work"
export OTC_API_SECRET="the secret of the demo"
unset OTC_URL LIVEKIT_URL OTC_ABI OTC_LOG || true

KEY=100042
SESSION=demo

token() { # token NAME [KEY]
    "$BIN/otc" token --key "${2:-$KEY}" --session "$SESSION" --role moderator --data "$1"
}

begin() { # begin NAME PROGRAM TOKEN: in the background, input from a pipe, output into a file
    mkfifo "$work/$1.in"
    : >"$work/$1.out"
    (cd "$OUT" && exec "$BIN/$2" "$KEY" "$SESSION" "$3") <"$work/$1.in" >"$work/$1.out" 2>&1 &
    eval "pid_$1=$!"
    pids="$pids $!"
}

has() { # has NAME LINE: whether a line begins so
    awk -v line="$2" 'index($0, line) == 1 { found = 1 } END { exit !found }' "$work/$1.out"
}

expect() { # expect NAME LINE
    tries=$((LIMIT_S * 20))
    until has "$1" "$2"; do
        tries=$((tries - 1))
        if [ "$tries" -le 0 ]; then
            echo "FAILED: $1 never said '$2'. It said:"
            sed 's/^/    /' "$work/$1.out"
            exit 1
        fi
        sleep 0.05
    done
    printf '  %-7s %s\n' "$1" "$(awk -v line="$2" 'index($0, line) == 1 { print; exit }' "$work/$1.out")"
}

ends() { # ends NAME STATUS
    status=0
    eval "wait \$pid_$1" || status=$?
    if [ "$status" -ne "$2" ]; then echo "FAILED: $1 ended with $status, not $2"; exit 1; fi
}

echo "Two programs in one session, and no server anywhere:"
begin alice signals "$(token alice)"
exec 3>"$work/alice.in"
expect alice "connected"
begin bob signals "$(token bob)"
exec 4>"$work/bob.in"
expect bob "connected"
expect bob "connection created: data=alice"
expect alice "connection created: data=bob"
echo "hello bob" >&3
expect bob "signal: type=chat data=hello bob from=alice"
expect alice "signal: type=chat data=hello bob from=alice"
echo "hello alice" >&4
expect alice "signal: type=chat data=hello alice from=bob"
exec 4>&-
expect bob "disconnected"
ends bob 0
expect alice "connection dropped: data=bob"
exec 3>&-
expect alice "disconnected"
ends alice 0

echo
echo "A token of another project: on_error once, and nothing else:"
begin carol session "$(token carol 999)"
exec 5>"$work/carol.in"
expect carol "error 1004"
ends carol 1
exec 5>&-
if [ "$(wc -l <"$work/carol.out")" -ne 1 ]; then echo "FAILED: carol said more"; exit 1; fi

echo
echo "The process that hosts the hub is killed (-9) in mid-session; the other one takes over:"
begin dora reconnect "$(token dora)"
exec 6>"$work/dora.in"
expect dora "connected"
begin emil reconnect "$(token emil)"
exec 7>"$work/emil.in"
expect emil "connected"
expect dora "connection created: data=emil"
kill -9 "$pid_dora"
expect emil "reconnection started"
expect emil "reconnected"
expect emil "connection dropped: data=dora"
expect emil "signal: type=waited"
begin fritz session "$(token fritz)"
exec 8>"$work/fritz.in"
expect fritz "connection created: data=emil"
expect emil "connection created: data=fritz"
kill -TERM "$pid_emil" "$pid_fritz"
expect emil "disconnected"
expect fritz "disconnected"
ends emil 0
ends fritz 0

echo
echo "One program publishes a film, another one keeps what it receives:"
SESSION=cinema
begin grace subscribe "$(token grace)"
exec 9>"$work/grace.in"
expect grace "connected"
begin henry publish "$(token henry)"
exec 3>"$work/henry.in"
expect henry "publishing: test picture"
expect grace "stream received: test picture"
expect grace "picture: 640x360 corners=RGBY"
kill -TERM "$pid_henry"
expect grace "stream dropped: test picture"
ends henry 0
kill -TERM "$pid_grace"
ends grace 0
for name in picture.png sound.wav; do
    if [ ! -s "$OUT/$name" ]; then echo "FAILED: $name is missing"; exit 1; fi
done

echo
echo "All of it came. Look at the last picture, and listen:"
echo "  $OUT/picture.png"
echo "  $OUT/sound.wav"
