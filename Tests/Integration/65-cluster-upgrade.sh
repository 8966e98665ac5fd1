#!/usr/bin/env bash
# Versions of the cluster with the present programs, nodes of which are told to run as older ones: the mixed state and its end, what is
# refused before and after it, and nodes that are too old. cluster/lab upgrade does it with the programs of an earlier commit.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/library.sh"

export HOLDFAST_LAB_ID=upgrade$$
export HOLDFAST_CLUSTERD_OPTIONS='--hold-version 1'
# shellcheck source=lib/cluster.sh
source "$(dirname "$0")/lib/cluster.sh"
old=$HOLDFAST_CLUSTERD_OPTIONS
export HOLDFAST_CLUSTERD_OPTIONS=''

# is STATUS COMMAND...: ends with that status.
is() {
    local status=$1 got=0
    shift
    "$@" >/dev/null 2>&1 || got=$?
    ((got == status))
}
follows() {
    ctl "$1" status --json | python3 -c '
import json, sys
status = json.load(sys.stdin)
node = {node["name"]: node for node in status["nodes"]}[sys.argv[1]]
sys.exit(not (node["connected"] and node["role"] in ("follower", "leader") and status.get("active")))' "$1"
}
# misses NODE: node-b has no link to it.
misses() {
    ctl node-b status --json | python3 -c '
import json, sys
sys.exit({node["name"]: node for node in json.load(sys.stdin)["nodes"]}[sys.argv[1]]["connected"])' "$1"
}
# restart NODE [OPTIONS]: loses its power and starts with these options.
restart() {
    "$lab" kill "$1" >/dev/null
    HOLDFAST_CLUSTERD_OPTIONS=${2:-} "$lab" revive "$1" >/dev/null
    wait_for 30 follows "$1"
}
# shows_down NODE: upgrade status has it as it said last, and finds nothing wrong with that.
shows_down() {
    local said
    said=$(ctl witness upgrade status) && grep -qE "^$1 +data +0\.2 +1 to 2 +DOWN +as it said last" <<<"$said"
}
# stored NODE KEY: what its state.db says of itself.
stored() {
    python3 -c '
import sqlite3, sys
row = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True).execute("SELECT value FROM meta WHERE key = ?", sys.argv[2:]).fetchone()
print(row[0].decode() if row else "nothing")' "$folder/$1/state/state.db" "$2"
}
# content NODE: all of it.
content() { python3 -c '
import hashlib, sqlite3, sys
print(hashlib.sha256("\n".join(sqlite3.connect(sys.argv[1]).iterdump()).encode()).hexdigest())' "$folder/$1/state/state.db"; }

# All old.
check_says 'all nodes run as version 1' 'runs version 1' ctl node-a upgrade status
check 'nothing is to be done' is 0 ctl node-a upgrade status
refuses 'there is nothing to finish' 1 'nothing to finish' ctl node-a upgrade finish
check_says 'the state is as old programs read it' '^2$' stored node-a format

# Mixed: node-b and the witness run the new one.
check 'node-b is upgraded' restart node-b
# A node says once a second what it can run.
heard() {
    local said
    said=$(ctl "$1" upgrade status || true)
    grep -qE '^node-b +data +0\.2 +1 to 2 ' <<<"$said"
}
check 'node-a has heard of it' wait_for 10 heard node-a
check 'and the witness' wait_for 10 heard witness
check 'node-b finds it held back' wait_for 10 is 6 ctl node-b upgrade status
check_says 'it says by whom' 'Held back: version 2, .*; by node-a, witness' ctl node-b upgrade status
check_says 'and what to do' '^Next: replace the program of node-a, witness' ctl witness upgrade status
check_says 'the status shows it, too' '^Version: 1 of the cluster, MIXED: .*node-b 0\.2 \(can run 1 to 2\)' ctl node-a status
refuses 'an old leader is not asked to finish it' 1 'node-a leads and runs an older program' ctl node-b upgrade finish
check 'the witness is upgraded' restart witness
check 'what both can do works from the new one' ctl node-b limit set notifies 4241
check 'and from the old one' ctl node-a limit set notifies 4242
check 'a node is issued credentials' ctl node-b credentials issue anna --output "$work/anna"

# Takeovers both ways in the mixed state.
check 'node-a serves' wait_for 20 serves node-a
check 'it loses its power' "$lab" kill node-a
check 'the new one takes over from the old one' wait_for 30 serves node-b
check 'which sees that it is gone' wait_for 20 misses node-a
{ sleep 1 && HOLDFAST_CLUSTERD_OPTIONS=$old "$lab" revive node-a; } >/dev/null 2>&1 &
reviving=$!
# What the node, which is still off, will say of itself is waited for.
refuses 'it cannot be finished' 1 'node-a runs program 0\.2 and can run version 1 only' ctl node-b upgrade finish
wait "$reviving" || true
check 'and follows' wait_for 30 follows node-a
check 'the share is moved to it' ctl witness move node-a
check 'it serves' wait_for 20 serves node-a

# A node that is off is not known for certain.
check 'node-a is upgraded' restart node-a
check 'all that is left is the end' wait_for 20 is 7 ctl node-b upgrade status
check 'node-b is switched off' "$lab" kill node-b
check 'node-a serves alone' wait_for 30 serves node-a
check 'its link is seen to be down' wait_for 20 is 6 ctl node-a upgrade status
refuses 'it cannot be finished without it' 3 'node-b .*not known for certain' ctl node-a upgrade finish
check 'node-b is switched on' "$lab" revive node-b
check 'and follows' wait_for 30 follows node-b
check_says 'the way back is still open' '^2$' stored node-b format

# The end, from another machine.
remote() { nsenter --net="/run/netns/hf-$HOLDFAST_LAB_ID-client" timeout 60 "$binaries/clusterctl" --remote 10.77.0.12:7420 --credentials "$work/anna" "$@"; }
check 'everything is ready' wait_for 20 is 7 remote upgrade status
check_says 'it is finished' 'runs version 2 from now on' remote upgrade finish
check 'nothing is to be done any more' wait_for 10 is 0 ctl node-a upgrade status
for node in node-a node-b witness; do
    check_says "$node runs version 2" 'runs version 2' ctl "$node" upgrade status
    check_says "the state of $node is refused by old programs" '^3$' stored "$node" format
    check_says "which says what it needs" '^2$' stored "$node" version
done
check_says 'an event tells of it' 'upgraded on .*: from version 1 to 2' ctl node-a events
check_says 'and who did it' 'anna, from another machine, on node-b: upgrade finish: done' ctl node-a events

# Too old for it.
standby='node-b'
if serves node-b; then standby='node-a'; fi
check 'a node is switched off' "$lab" kill "$standby"
before=$(content "$standby")
check 'what it ran is in the replicated state' wait_for 20 shows_down "$standby"
HOLDFAST_CLUSTERD_OPTIONS=$old "$lab" revive "$standby" >/dev/null 2>&1 &
reviving=$!
check 'with an old program it ends, and says why' wait_for 20 grep -q 'state.db is of a cluster that runs version 2, and this program can run no newer one than 1' "$folder/$standby/log"
wait "$reviving" || true
check 'its state is as it was' [ "$before" = "$(content "$standby")" ]
check 'with the new one it follows' restart "$standby"

check 'the witness is switched off' "$lab" kill witness
check 'and taken out' wait_for 20 ctl node-a leave witness
rm -rf "${folder:?}/witness/state"
HOLDFAST_CLUSTERD_OPTIONS=$old "$lab" revive witness >/dev/null
token=$(ctl node-a token)
refuses 'with an old program it may not join' 1 'the cluster runs version 2, and the program of witness can run 1' ctl witness join 10.77.0.11:7420 --token "$token" \
    --node-name witness --address 10.77.0.13:7420 --role witness
"$lab" kill witness >/dev/null
"$lab" revive witness >/dev/null
check 'with the new one, and the same token, it joins' ctl witness join 10.77.0.11:7420 --token "$token" --node-name witness --address 10.77.0.13:7420 \
    --role witness
check 'and votes' wait_for 30 follows witness
check 'everything is as it should be' wait_for 20 is 0 ctl witness upgrade status
refuses 'a version that there is not' 64 'can run the versions 1 to 2' "$binaries/clusterd" --state-dir "$work/none" --name x --hold-version 9
check_says 'programs tell their versions' '0\.2, cluster versions 1 to 2' "$binaries/clusterd" --version
