#!/usr/bin/env bash
# Certificates: administering from a machine that is no node, what is refused there, and a node's certificate that is renewed.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/library.sh"

export HOLDFAST_LAB_ID=remote$$
# shellcheck source=lib/cluster.sh
source "$(dirname "$0")/lib/cluster.sh"

# remote NODE CREDENTIALS WORDS...: clusterctl on the client's machine, which has no clusterd.
remote() {
    local address=$1 credentials=$2
    shift 2
    nsenter --net="/run/netns/hf-$HOLDFAST_LAB_ID-client" \
        timeout 60 "$binaries/clusterctl" --remote "$address:7420" --credentials "$credentials" "$@"
}
node_a=10.77.0.11 node_b=10.77.0.12 witness=10.77.0.13

check_says 'credentials are issued' 'anna is good for 30 days' ctl node-b credentials issue anna --days 30 --output "$work/anna"
check_says 'their file is its owner'"'"'s alone' '^600$' stat -c %a "$work/anna"
refuses 'it is never overwritten' 1 'is there already: move it, or give --output' ctl node-b credentials issue berta --output "$work/anna"
refuses 'where no file can be made' 1 "cannot make $work/nowhere/dora: No such file or directory" \
    ctl node-b credentials issue dora --output "$work/nowhere/dora"
check_says 'none are issued: the name can still be given' 'dora is good for 1 days' \
    ctl node-b credentials issue dora --days 1 --output "$work/dora"
refuses 'one name, once' 1 'exists already' ctl node-a credentials issue anna --output "$work/other"
refuses 'a name that is none' 1 'a to z, 0 to 9 and hyphens' ctl node-a credentials issue 'Anna B' --output "$work/other"
refuses 'for ever' 1 '1 to 3650 days' ctl node-a credentials issue carla --days 4000 --output "$work/other"
check 'whom the cluster refuses has no file' test ! -e "$work/other"
check_says 'they are listed' '^anna  until 20' ctl witness credentials list

# A node knows of what the leader has committed with the next message of it.
lets_in() { remote "$1" "$2" status >/dev/null 2>&1; }
keeps_out() { ! lets_in "$@"; }
for address in "$node_a" "$node_b" "$witness"; do
    wait_for 5 lets_in "$address" "$work/anna" || true
    check_says "a status from afar, at $address" '^Cluster tshare' remote "$address" "$work/anna" status
done
check 'a change from afar' remote "$witness" "$work/anna" limit set notifies 4242
check_says 'is there' 'notifies [0-9]+/4242' ctl node-a status
check_says 'and audited by its name' 'anna, from another machine, on witness: limit set notifies 4242: done' ctl node-a events
check_says 'a token from afar' '^hf1-' remote "$node_a" "$work/anna" token --valid-for 1m
refuses 'what only the node itself can be asked' 4 'already node witness' remote "$witness" "$work/anna" \
    join "$node_a:7420" --token hf1-00 --node-name x --address "$witness:7420"
refuses 'without credentials' 64 'needs --credentials' nsenter --net="/run/netns/hf-$HOLDFAST_LAB_ID-client" \
    "$binaries/clusterctl" --remote "$node_a:7420" status
printf 'no credentials\n' >"$work/none"
refuses 'with a file that holds none' 64 'holds no credentials' remote "$node_a" "$work/none" status
refuses 'where nobody listens' 2 'cannot reach clusterd at 10.77.0.11:1' nsenter --net="/run/netns/hf-$HOLDFAST_LAB_ID-client" \
    timeout 60 "$binaries/clusterctl" --remote 10.77.0.11:1 --credentials "$work/anna" status

check 'they are revoked' ctl node-a credentials revoke anna
for address in "$node_a" "$node_b" "$witness"; do
    wait_for 5 keeps_out "$address" "$work/anna" || true
    refuses "and count no more, at $address" 1 'were revoked' remote "$address" "$work/anna" status
done
refuses 'nor is there anything to revoke' 1 'no credentials of the name anna' ctl node-b credentials revoke anna
check 'the name can be given again' ctl node-b credentials issue anna --output "$work/anna2"
refuses 'and the old file stays void' 1 'were revoked' remote "$node_a" "$work/anna" status
wait_for 5 lets_in "$node_a" "$work/anna2" || true
check_says 'the new one counts' '^Cluster tshare' remote "$node_a" "$work/anna2" status

# A node's own certificate.
fingerprint() { ctl "$1" certificate | grep -oE '[0-9a-f]{64}$'; }
before=$(fingerprint node-b)
check_says 'a node says how long its certificate is good' 'node-b is good for 7[0-9]{2} days more; SHA-256 [0-9a-f]{64}$' ctl node-b certificate
check_says 'it is renewed' 'SHA-256 [0-9a-f]{64}$' ctl node-b certificate renew
after=$(fingerprint node-b)
check 'it is another one' [ "$before" != "$after" ]
check 'the leader renews its own' ctl "$(active)" certificate renew
after=$(fingerprint node-b)
check 'the node starts again' "$lab" kill node-b
check 'with it' "$lab" revive node-b
follows() { ctl node-a status --json | python3 -c '
import json, sys
nodes = {node["name"]: node for node in json.load(sys.stdin)["nodes"]}
sys.exit(nodes["node-b"]["connected"] is not True)'; }
check 'and is a member' wait_for 30 follows
check_says 'with the same certificate' "SHA-256 $after$" ctl node-b certificate
