#!/usr/bin/env bash
# A move to a node that has just come back, asked for at once: it waits until the node has the whole log and reaches the LUN, while the
# clients are served, and only then interrupts them.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/library.sh"

export HOLDFAST_LAB_ID=move$$
# shellcheck source=lib/cluster.sh
source "$(dirname "$0")/lib/cluster.sh"

other() { if [[ $1 == node-a ]]; then echo node-b; else echo node-a; fi; }
# Itself says so; the leader may not know yet.
follows() { ctl "$1" status --json | python3 -c '
import json, sys
status = json.load(sys.stdin)
sys.exit(not (status.get("active") and {node["name"]: node for node in status["nodes"]}[sys.argv[1]]["role"] == "follower"))' "$1"; }
# interruption: of the last move, in milliseconds, as the events have it.
interruption() { ctl witness events | sed -n 's/.* move on .*, \([0-9]*\)\.[0-9] ms$/\1/p' | tail -n 1; }

# Whether the link that carries the log is up before the one that carries heartbeats is a matter of tenths of a second.
for delay in 0 0.2 0.3 0.4; do
    active=$(active)
    heir=$(other "$active")
    "$lab" kill "$active" >/dev/null
    check "$heir takes over" wait_for 30 serves "$heir"
    sleep "$delay"
    "$lab" revive "$active" >/dev/null
    check "$active is back after $delay s" wait_for 30 follows "$active"
    check "the share is moved to it at once" ctl witness move "$active"
    check "it serves" serves "$active"
    took=$(interruption)
    if [[ -n $took ]] && ((took < 1000)); then
        passed "nobody served for less than a second"
    else
        failed "nobody served for less than a second" "$took ms" "$(ctl witness events | tail -n 5)"
    fi
done

# What cannot be waited for is said.
active=$(active)
heir=$(other "$active")
"$lab" kill "$heir" >/dev/null
refuses 'a move to a node that is off' 3 "$heir is not connected to the active node: nothing was moved" ctl witness move "$heir"
refuses 'or to whoever can' 3 "$heir is not connected to the active node: nothing was moved" ctl witness move
check 'the share stays where it is' serves "$active"
