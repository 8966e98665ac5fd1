#!/usr/bin/env bash
# Two nodes and a target, no third machine: a small LUN votes. Loss of either node, of the link between them, of the disk itself;
# its replacement. docs/QUORUM.md.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/library.sh"

export HOLDFAST_LAB_ID=quorum$$
# shellcheck disable=SC2034  # for cluster.sh
lab_up_options=(--quorum-lun)
# shellcheck source=lib/cluster.sh
source "$(dirname "$0")/lib/cluster.sh"

declare -A address=([node-a]=10.77.0.11 [node-b]=10.77.0.12)
other_than() { if [[ $1 == node-a ]]; then echo node-b; else echo node-a; fi; }
# field NODE NAME: of that node's own status.
field() { ctl "$1" status --json 2>/dev/null | python3 -c 'import json, sys; print(json.load(sys.stdin).get(sys.argv[1]) or "")' "$2"; }
active_by() { field "$1" active; }
serves_by() { [[ $(active_by "$1") == "$2" ]]; }
disk_is() { ctl "$1" quorum show 2>&1 | grep -qE "$2"; }
milliseconds_since() { echo $((($(date +%s%N) - $1) / 1000000)); }

check_says 'the quorum disk votes, and says what it has room for' \
    '^iscsi://holdfast%\*\*\*@.*/2: voter, ready; a state of up to [0-9]+ MiB fits, it has 1 MiB now$' ctl node-a quorum show
check 'the other node uses it, too' wait_for 10 disk_is node-b 'voter, ready'
check_says 'status shows it' 'Quorum disk: .*voter, ready' ctl node-b status
check_says 'storage check looks at it, too' 'ok .*is a quorum disk: only asked' ctl node-a storage check
check_says 'and does no more when its own address is given' 'ok .*is a quorum disk: only asked' \
    ctl node-a storage check "iscsi://holdfast%$(cat "$folder/target/password")@10.77.0.2:3260/iqn.2024-01.example.holdfast:tshare/2"
check_says 'the spare one is no quorum disk, and is tried as any other' 'ok .*type 5' \
    ctl node-a storage check "iscsi://holdfast%$(cat "$folder/target/password")@10.77.0.2:3260/iqn.2024-01.example.holdfast:tshare/3"
check 'it goes on voting' disk_is node-a 'voter, ready'

first=$(active_by node-a)
second=$(other_than "$first")

# The link between the nodes dies; both reach the target. The one that serves goes on, and the other one stays quiet.
cut_link() {
    local node
    for node in node-a node-b; do
        ip -n "hf-$HOLDFAST_LAB_ID-$node" route "$1" blackhole "${address[$(other_than "$node")]}/32"
    done
}
term=$(field "$first" term)
cut_link add
doubles=0
lapses=0
until=$((SECONDS + 8))
while ((SECONDS < until)); do
    here_phase=$(field "$first" phase)
    there_phase=$(field "$second" phase)
    if [[ $there_phase != standby ]]; then doubles=$((doubles + 1)); fi
    if [[ $here_phase != serving ]]; then lapses=$((lapses + 1)); fi
    sleep 0.3
done
check 'with the link cut, the standby never begins to serve' test "$doubles" -eq 0
check 'and the active one never stops' test "$lapses" -eq 0
check 'nor is anybody elected' test "$(field "$first" term)" -eq "$term"
check_says 'it can still be administered: the disk is the majority' 'share other is served' \
    ctl "$first" share add other --path other
cut_link delete
caught_up() { (ctl "$second" status 2>/dev/null || true) | grep -q '^  other'; }
check 'afterwards the standby catches up' wait_for 15 caught_up

# The active node loses its power.
began=$(date +%s%N)
"$lab" kill "$first" >/dev/null
check "$second takes over without a witness" wait_for 20 serves_by "$second" "$second"
took=$(milliseconds_since "$began")
printf 'takeover after a power loss, with the disk alone: %s ms\n' "$took"
check 'within ten seconds' test "$took" -lt 10000
check_says 'nothing that was acknowledged is lost' '  other' ctl "$second" status
check_says 'and it serves alone' 'share third is served' ctl "$second" share add third --path third
"$lab" revive "$first" >/dev/null
follows() { [[ $(field "$first" leader) == "$second" ]] && disk_is "$first" 'voter, ready'; }
check 'the first one comes back as standby' wait_for 30 follows
check_says 'with what happened meanwhile' '  third' ctl "$first" status

# Alone after a takeover, and started anew: the disk holds what no other node has.
"$lab" kill "$first" >/dev/null
check_says 'the second alone' 'share fourth is served' ctl "$second" share add fourth --path fourth
"$lab" kill "$second" >/dev/null
"$lab" revive "$first" >/dev/null
check 'the first finds on the disk what only the second and the disk had' wait_for 40 serves_by "$first" "$first"
check_says 'and nothing is lost' '  fourth' ctl "$first" status
"$lab" revive "$second" >/dev/null
both() { [[ $(field "$second" leader) == "$first" ]] && disk_is "$second" 'voter, ready'; }
check 'both are there again' wait_for 30 both

# The disk is wiped, as if another machine had laid it out: it is given up, and nothing stops.
image=/dev/shm/holdfast-lab-$HOLDFAST_LAB_ID/quorum-2.img
dd if=/dev/zero of="$image" bs=1M count=240 conv=notrunc status=none
check 'a wiped disk is noticed' wait_for 15 disk_is "$first" 'clusterctl quorum replace'
check 'and the share is served all the same' serves_by "$first" "$first"
password=$(cat "$folder/target/password")
spare="iscsi://holdfast%$password@10.77.0.2:3260/iqn.2024-01.example.holdfast:tshare/3"
check_says 'the data LUN is refused as a quorum disk' 'LUN of its own' ctl "$first" quorum replace "${spare%/3}/1"
check_says 'another LUN takes its place' 'the quorum disk votes' ctl "$first" quorum replace "$spare"
check 'on both nodes' wait_for 10 disk_is "$second" '/3: voter, ready'
"$lab" kill "$first" >/dev/null
check 'and carries a takeover' wait_for 20 serves_by "$second" "$second"
"$lab" revive "$first" >/dev/null
back() { [[ $(field "$first" leader) == "$second" ]]; }
check 'the first one is back' wait_for 30 back

# The standby's state is gone: it comes back under a new number, with another area of the disk.
kill -KILL "$(process "$first" clusterd)"
rm -f "$folder/$first"/state/state.db "$folder/$first"/state/state.db-wal "$folder/$first"/state/state.db-shm
healed() { back && disk_is "$first" 'voter, ready' && ctl "$second" events | grep -q "state-lost on $first"; }
check 'a node that lost its state is taken back' wait_for 60 healed

# Both the network and the disk are gone for the one that serves: then the other one takes over.
drilled() {
    ctl "$second" drill --kind partition --user user1 --password-stdin <<<"user1-$password" | grep -q '^nothing was lost$'
}
check 'a drill with a partition loses nothing' wait_for 30 drilled
check 'and the other node serves' serves_by "$first" "$first"
check 'the second one is back' wait_for 30 both

# The disk that votes is not wiped under the one node that is left with it.
"$lab" kill "$second" >/dev/null
alone() { (ctl "$first" status 2>/dev/null || true) | grep -qE "^$second .* DOWN"; }
check 'the second one is off' wait_for 15 alone
refuses 'then the disk that votes is not laid out anew' 1 'would be no majority' ctl "$first" quorum replace --force "$spare"
check 'it votes as before' disk_is "$first" '/3: voter, ready'
check 'and the share goes on' serves_by "$first" "$first"
check_says 'with what that decides' 'share fifth is served' ctl "$first" share add fifth --path fifth
# Each of its votes counts now: a target that is silent, and would be another one, must not hold it up.
term=$(field "$first" term)
silent="iscsi://holdfast%$password@10.77.0.99:3260/iqn.2024-01.example.holdfast:tshare/3"
refuses 'an address at which nobody answers is no quorum disk' 5 '10\.77\.0\.99' ctl "$first" quorum replace "$silent"
check 'nobody was elected anew meanwhile' test "$(field "$first" term)" -eq "$term"
check 'and the share still goes on' serves_by "$first" "$first"
"$lab" revive "$second" >/dev/null
check 'the second one is back, and uses it' wait_for 30 both
check_says 'with both nodes the same LUN is laid out anew: out first, then in again' 'the quorum disk votes' \
    ctl "$first" quorum replace --force "$spare"
check 'on both nodes' wait_for 10 disk_is "$second" '/3: voter, ready'
"$lab" kill "$first" >/dev/null
check 'and it carries a takeover' wait_for 20 serves_by "$second" "$second"
check_says 'with everything' '  fifth' ctl "$second" status
"$lab" revive "$first" >/dev/null
check 'the first one is back once more' wait_for 30 back

check_says 'a LUN that is a quorum disk is not laid out anew by mistake' 'is a quorum disk already' \
    ctl "$second" quorum replace "$spare"
check_says 'it can be taken out' 'has no quorum disk any more' ctl "$second" quorum remove
check_says 'and is gone' 'has no quorum disk' ctl "$first" quorum show
