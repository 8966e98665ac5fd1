#!/usr/bin/env bash
# clusterctl drill: a planned move, a death and a partition, each under a copy that accounts for every byte.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/library.sh"

export HOLDFAST_LAB_ID=drill$$
# shellcheck source=lib/cluster.sh
source "$(dirname "$0")/lib/cluster.sh"

user_password=user1-$(cat "$folder/target/password")
# drill NODE WORDS...: from there.
drill() { ctl "$1" drill --user user1 --password-stdin "${@:2}" <<<"$user_password"; }
whole() {
    ctl witness status --json | python3 -c '
import json, sys
status = json.load(sys.stdin)
sys.exit(0 if status.get("active") and all(
    node["connected"] and node["role"] in ("leader", "follower") and node.get("lunReachable", True)
    for node in status["nodes"]) else 1)'
}

check_says 'no drill yet' 'no drill yet' ctl node-a drill --history
check 'the cluster is whole' wait_for 30 whole
for kind in move kill partition; do
    before=$(active)
    check_says "$kind: nothing is lost" '^nothing was lost$' drill witness --kind "$kind"
    check "$kind: another node serves" bash -c "[[ '$(active)' != '$before' ]]"
    check "$kind: and the cluster is whole again" wait_for 40 whole
    check_says "$kind: in the history" "drill on node-[ab], .* ms: $kind: nothing was lost; from $before to .* 4 of 4 handles reclaimed" \
        ctl witness drill --history
done
# From the end of the old node's serving lease to the takeover, at least.
check_says 'the stall is what the client waited' 'partition: .*, stall [0-9]{3,5} ms' ctl witness drill --history
ctl witness drill --history | sed 's/^/    /'
check_says 'it leaves no file' '^0$' bash -c "nsenter --target=\$(cat $folder/witness/init) --mount --net --pid -- \
    smbclient //10.77.0.10/test -U 'user1%$user_password' -s /dev/null -c ls 2>/dev/null | grep -c holdfast-drill || true"
"$lab" kill "$(if [[ $(active) == node-a ]]; then echo node-b; else echo node-a; fi)" >/dev/null 2>&1
refused() { (drill witness --kind move 2>&1 || true) | grep -qE 'no drill, because the cluster is not whole: '; }
check 'without a standby it is refused' wait_for 10 refused
check 'and the share is served all the time' bash -c "[[ -n '$(active)' ]]"
