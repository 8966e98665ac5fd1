#!/usr/bin/env bash
# More state than any one message on its way holds: 14,000 handles whose paths are long. A node that lost it gets it in parts, and a node
# that takes over loads it.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/library.sh"

export HOLDFAST_LAB_ID=handles$$
# shellcheck source=lib/cluster.sh
source "$(dirname "$0")/lib/cluster.sh"

# Of 20,000 descriptors, which is all that a process may have on some machines, three quarters are for clients' files.
count=14000
deep=$(printf 'a%.0s' {1..240})
deep=$deep/$deep/$deep/$deep
# What a blob of one message may have (BinaryLimits.blobBytes).
one_message=$((16 << 20))
other() { if [[ $1 == node-a ]]; then echo node-b; else echo node-a; fi; }
state() { echo "$folder/$1/state"; }
identity() {
    ctl witness status --json |
        python3 -c 'import json, sys; print(*(n["id"] for n in json.load(sys.stdin)["nodes"] if n["name"] == sys.argv[1]))' "$1"
}
# whole NODE OLD: it has another number than OLD, votes, and has its log.
whole() {
    ctl witness status --json | python3 -c '
import json, sys
for node in json.load(sys.stdin)["nodes"]:
    if node["name"] == sys.argv[1]:
        sys.exit(not (node["id"] != int(sys.argv[2]) and node["connected"] and node["role"] in ("follower", "leader")
                      and (node.get("lag") or 0) < 64))
sys.exit(1)' "$1" "$2"
}
# handles NODE: how many of the files are open, as that node has the replicated state; each on a line of its own.
handles() { ctl "$1" inspect opens | grep -c 'handle-[0-9]' || true; }
has_all() { [[ $(handles "$1") == "$count" ]]; }
follows() { ctl "$1" status --json | python3 -c '
import json, sys
status = json.load(sys.stdin)
sys.exit({node["name"]: node for node in status["nodes"]}[sys.argv[1]]["role"] != "follower")' "$1"; }

first=$(active)
standby=$(other "$first")
password=$(cat "$folder/target/password")
share() {
    timeout 60 nsenter --net="/run/netns/hf-$HOLDFAST_LAB_ID-client" smbclient //10.77.0.10/test -U "user1%user1-$password" -s /dev/null -c "$1"
}
for depth in 1 2 3 4; do share "mkdir $(cut -d / -f "1-$depth" <<<"$deep")" >/dev/null; done
HOLDFAST_PASSWORD=user1-$password timeout 600 nsenter --net="/run/netns/hf-$HOLDFAST_LAB_ID-client" \
    "$binaries/smbbench" handles "//10.77.0.10/test/$deep" --user user1 --password-env HOLDFAST_PASSWORD --count "$count" >"$work/holder.log" 2>&1 &
holder=$!
holds() { grep -qx holding "$work/holder.log"; }
check "a client opens $count files with persistent handles" wait_for 120 holds
check 'the active node has them all in the replicated state' has_all "$first"

# A node that has nothing: all of it goes over its link.
number=$(identity "$standby")
"$lab" kill "$standby" >/dev/null
rm -f "$(state "$standby")"/state.db "$(state "$standby")"/state.db-wal "$(state "$standby")"/state.db-shm
"$lab" revive "$standby" >/dev/null
began=$SECONDS
check "$standby, whose state is gone, gets it" wait_for 90 whole "$standby" "$number"
echo "    after $((SECONDS - began)) s"
# It votes as soon as it may; its whole state is stored with the next compaction at the latest.
stored() { sqlite3 -cmd '.timeout 5000' "$(state "$1")/state.db" 'SELECT coalesce(max(length(value)), 0) FROM state'; }
is_long() { (($(stored "$standby") > one_message)); }
check 'the state that it got is longer than a message' wait_for 30 is_long
echo "    $(stored "$standby") bytes"
check 'with every handle' has_all "$standby"
check 'nobody was interrupted' serves "$first"
check 'and the client still holds them' kill -0 "$holder"

# The power goes, with the client that holds them: nothing may be given up that waits for its client.
"$lab" kill "$first" >/dev/null
kill -KILL "$holder" 2>/dev/null || true
wait "$holder" 2>/dev/null || true
began=$SECONDS
check "$standby takes over with all of them" wait_for 60 serves "$standby"
echo "    after $((SECONDS - began)) s: $(ctl witness events | grep -i takeover | tail -n 1 | cut -c 1-200)"
check 'no handle is missing there' has_all "$standby"
head -c 1000000 /dev/urandom >"$work/file"
check 'others are served' share "put $work/file file; get file $work/back"
check 'what they wrote is there' cmp "$work/file" "$work/back"
