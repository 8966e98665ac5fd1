#!/usr/bin/env bash
# Two networks to the target, a portal on each: one may go at any time, and the node that serves goes on; both, and another one serves.
# HOLDFAST_TARGET=lio: with a portal group for each, so that each way is a nexus of its own.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/library.sh"

export HOLDFAST_LAB_ID=paths$$
# shellcheck disable=SC2034  # for cluster.sh
lab_up_options=(--paths 2 --target "${HOLDFAST_TARGET:-tgt}")
# shellcheck source=lib/cluster.sh
source "$(dirname "$0")/lib/cluster.sh"

lan=hf-$HOLDFAST_LAB_ID-lan
first=$(active)
second="node-a"
if [[ $first == node-a ]]; then second="node-b"; fi

# target_way NUMBER up|down: the target's cable on that network, pulled at the bridge.
target_way() {
    local port=target
    if [[ $1 == 2 ]]; then port=target2; fi
    ip -n "$lan" link set "$port" "$2"
}
# used: the portal that the active node uses the LUN over, as it says itself. reached PORTAL STATE: what its own look says.
status_of() { ctl "$first" status --json 2>/dev/null; }
used() {
    status_of | python3 -c 'import json, sys; print(next((p["portal"] for p in json.load(sys.stdin)["paths"] if p["used"]), ""))'
}
uses() { [[ $(used) == "$1" ]]; }
reached() {
    local found
    found=$(status_of | python3 -c 'import json, sys
print(next((p.get("reached") for p in json.load(sys.stdin)["paths"] if p["portal"] == sys.argv[1]), None))' "$1")
    [[ $found == "$2" ]]
}
milliseconds() { echo $(($(date +%s%N) / 1000000)); }

# Until the active node leads as well its status is not its own.
ctl "$first" share add work --path work >/dev/null
check 'the active node uses one of the ways' uses 10.77.0.2:3260
check 'and reaches the target over both' wait_for 10 reached 10.78.0.2:3260 True
check_says 'status says so' 'from node-.: 10.77.0.2:3260 reached, in use; 10.78.0.2:3260 reached' ctl "$first" status

# Whoever writes synchronously on the active node's file system notes the longest time that a write took.
writing=
write_on() {
    local daemon place
    daemon=$(process "$first" clusterd)
    place=$(awk '$3 == "xfs" && $1 ~ /loop/ { print $2; exit }' "/proc/$daemon/mounts")
    nsenter --target="$daemon" --mount -- python3 -c 'import os, sys, time
path, report, stop = sys.argv[1:]
file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
count, longest, problem = 0, 0.0, ""
while not os.path.exists(stop):
    began = time.monotonic()
    try:
        os.pwrite(file, count.to_bytes(8, "big") * 512, count * 4096)
        os.fsync(file)
    except OSError as error:
        problem = str(error)
        break
    longest = max(longest, time.monotonic() - began)
    count += 1
    time.sleep(0.002)
wrong = 0
if not problem:
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    wrong = sum(os.pread(file, 4096, n * 4096) != n.to_bytes(8, "big") * 512 for n in range(count))
open(report, "w").write(f"{count} {int(longest * 1000)} {wrong} {problem}\n")' "$place/$1" "$work/$1" "$work/$1.stop" &
    writing=$!
}

# cut_and_look NAME WAY PORTAL: one way is cut under load; the other one, PORTAL, is used then.
cut_and_look() {
    local count longest wrong problem
    write_on "$1"
    sleep 1
    target_way "$2" down
    check "$1: the other way is used" wait_for 8 uses "$3"
    sleep 1
    : >"$work/$1.stop"
    wait "$writing" || true
    read -r count longest wrong problem <"$work/$1"
    printf '%s: %d synchronous writes, the longest took %d ms\n' "$1" "$count" "$longest"
    check "$1: no error" test -z "$problem"
    check "$1: every byte" test "$wrong" -eq 0
    check "$1: no write waited longer than 4 s" test "$longest" -lt 4000
    check "$1: the same node serves" serves "$first"
    target_way "$2" up
}

cut_and_look first-way-cut 1 10.78.0.2:3260
check 'the first way is reached again' wait_for 15 reached 10.77.0.2:3260 True
check 'and left alone: the second one works' uses 10.78.0.2:3260
cut_and_look second-way-cut 2 10.77.0.2:3260
check 'the second way is reached again' wait_for 15 reached 10.78.0.2:3260 True

# Another address for the same LUN: one portal less, then as before. It is used from the next takeover on.
url() { echo "iscsi://holdfast%$(cat "$folder/target/password")@$1/iqn.2024-01.example.holdfast:tshare/${2:-1}"; }
check_says 'an address that leads elsewhere is refused' 'is another LUN than' ctl "$first" storage address "$(url 10.77.0.2 2)"
check_says 'and one with a portal where nobody is' '10.78.0.9:3260' ctl "$first" storage address "$(url 10.77.0.2,10.78.0.9)"
check_says 'the old one stays' '10.77.0.2:3260 reached.*10.78.0.2:3260 reached' ctl "$first" status
check_says 'a portal is left out' 'from now on' ctl "$first" storage address "$(url 10.78.0.2)"
only_second() { ctl "$first" status | grep -q 'from node-.: 10.78.0.2:3260 reached'; }
check 'it is looked at by itself' wait_for 10 only_second
check_says 'and comes back' 'from now on' ctl "$first" storage address "$(url 10.77.0.2,10.78.0.2)"
check 'as it was' wait_for 15 reached 10.77.0.2:3260 True
check 'and nobody moved' serves "$first"

# Both, for the active node alone.
for address in 10.77.0.2 10.78.0.2; do
    ip -n "hf-$HOLDFAST_LAB_ID-$first" route add blackhole "$address/32"
done
began=$(milliseconds)
check 'without any way the other node takes over' wait_for 30 serves "$second"
printf 'both ways cut: the other node serves after %d ms\n' $(($(milliseconds) - began))
