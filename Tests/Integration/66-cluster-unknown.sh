#!/usr/bin/env bash
# An administrator whose command meets the end of a leadership: an answer within seconds that says what is not known; and credentials from
# another machine on a node that cannot know whether they still count.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/library.sh"

export HOLDFAST_LAB_ID=unknown$$
# shellcheck source=lib/cluster.sh
source "$(dirname "$0")/lib/cluster.sh"

# The limit of the command is far below the 90 s for which an answer is waited for elsewhere.
soon() {
    local status=0
    timeout 12 nsenter --target="$(cat "$folder/$1/init")" --mount --net --pid -- "$binaries/clusterctl" "${@:2}" \
        --socket "$folder/$1/state/admin.sock" || status=$?
    if ((status == 124)); then echo 'no answer within 12 s'; fi
    return "$status"
}
remote() { nsenter --net="/run/netns/hf-$HOLDFAST_LAB_ID-client" timeout 12 "$binaries/clusterctl" --remote 10.77.0.11:7420 --credentials "$work/anna" "$@"; }

check 'node-a serves' wait_for 20 serves node-a
check 'anna has credentials' ctl node-a credentials issue anna --output "$work/anna"
check 'with them she changes things' remote limit set notifies 4240

# The leader hangs; whoever asked another node is told when it leads no more.
clusterd=$(process node-a clusterd)
kill -STOP "$clusterd"
refuses 'a leader that hangs in the middle' 3 'look whether it was done|cannot be asked|no leader' soon witness limit set notifies 4241
check 'the other node serves' wait_for 30 serves node-b
kill -CONT "$clusterd"
follows() { ctl node-a status --json | python3 -c '
import json, sys
nodes = {node["name"]: node for node in json.load(sys.stdin)["nodes"]}
sys.exit(not (nodes["node-a"]["role"] == "follower" and nodes["node-a"]["connected"]))'; }
check 'the first one follows again' wait_for 30 follows
check 'and leads again after a move' ctl witness move node-a
check 'node-a serves again' wait_for 20 serves node-a

# The leader loses its majority while its proposal waits.
"$lab" kill node-b >/dev/null &
first=$!
"$lab" kill witness >/dev/null
wait "$first"
refuses 'a leader that loses its majority in the middle' 3 'look whether it was done|no leader' soon node-a limit set notifies 4242
alone() { ctl node-a status --json | python3 -c 'import json, sys; sys.exit(json.load(sys.stdin)["hasQuorum"])'; }
check 'it knows that it has none' wait_for 20 alone
check_says 'a status from afar is still answered' 'Quorum:  NO' remote status
refuses 'nothing else is, because the credentials may be revoked' 3 'whether the credentials anna still count is not known' remote user list
refuses 'least of all what changes anything' 3 'whether the credentials anna still count is not known' remote token
refuses 'root is told that there is no leader' 3 'no leader' soon node-a limit set notifies 4243

check 'the others come back' "$lab" revive node-b
check 'both of them' "$lab" revive witness
lets_in() { remote limit set notifies 4244; }
check 'and she changes things again' wait_for 40 lets_in
