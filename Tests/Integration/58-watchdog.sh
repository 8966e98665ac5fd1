#!/usr/bin/env bash
# The machine's watchdog: fed while the node turns, disarmed by an end in order, and by nothing else. A file takes the device's place.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/library.sh"

if ((EUID != 0)); then
    skipped 'watchdog: needs root for clusterd'
    exit 0
fi
daemon=
clean_up_watchdog() { [[ -z $daemon ]] || kill -KILL "$daemon" 2>/dev/null || true; }
trap clean_up_watchdog EXIT

device=$work/watchdog
start() {
    : >"$device"
    mkdir -p "$work/state"
    "$binaries/clusterd" --state-dir "$work/state" --name node --listen "127.0.0.1:$(free_port)" --watchdog "$device" \
        >>"$work/log" 2>&1 &
    daemon=$!
}
fed() { stat --format=%s "$device"; }
fed_more_than() { (($(fed) > $1)); }

start
check 'it is fed' wait_for 10 fed_more_than 3
before=$(fed)
sleep 2
# Twice a second.
check 'again and again' fed_more_than $((before + 1))
kill -STOP "$daemon"
sleep 0.2
before=$(fed)
sleep 1.5
check 'not while the node is stopped' test "$(fed)" -eq "$before"
kill -CONT "$daemon"
check 'and again when it goes on' wait_for 5 fed_more_than "$((before + 1))"
kill -TERM "$daemon"
wait "$daemon" || true
check 'an end in order disarms it' test "$(tail -c 1 "$device")" = V
start
check 'it is fed by the next one' wait_for 10 fed_more_than 1
kill -KILL "$daemon"
wait "$daemon" 2>/dev/null || true
check 'a killed one leaves it armed' test "$(tail -c 1 "$device")" = k
check_says 'a device that is not there is said' 'start without --watchdog' timeout 10 "$binaries/clusterd" \
    --state-dir "$work/other" --name node --listen "127.0.0.1:$(free_port)" --watchdog "$work/nothing"
daemon=
