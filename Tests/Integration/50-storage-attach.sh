#!/usr/bin/env bash
# The LUN as a file system, and what it survives: a killed bridge, a restarted target, a node that loses its power.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/library.sh"
source "$(dirname "$0")/lib/target.sh"
source "$(dirname "$0")/lib/storage.sh"

if ((EUID != 0)) || [[ ! -e /dev/fuse ]]; then
    skipped 'storage: needs root and /dev/fuse'
    exit 0
fi
trap clean_up_storage EXIT

node=$work/node
mkdir -p "$node"
writers=()
head -c 200M /dev/urandom >"$work/random"
target_start "$work" 2G

# An empty LUN is only formatted when asked.
check_says 'an empty LUN is not formatted unasked' 'error notOurs: .*is empty' \
    timeout 30 "$drill" hold "$TARGET_URL" 1 4 "$filesystem" "$node" "$binaries/lunbridge" </dev/null
check 'nothing is left of a refused attach' wait_gone 3

node_start 1 5 "$node" --format
node_says 'attach formats an empty LUN' '^attached ' 30
attached=$node_line
check 'the file system is XFS on our loop device' node_run test -d /sys/fs/xfs

# under_load NAME: copies with direct I/O while the caller does something; `finish_load` compares.
load=
under_load() {
    node_run dd if="$work/random" of="$node/mount/$1" bs=256k oflag=direct conv=fsync status=none 2>"$work/load.log" &
    load=$!
    sleep 0.15
}
finish_load() {
    if wait "$load"; then passed "$1: the writer saw no error"; else failed "$1: the writer saw no error" "$(cat "$work/load.log")"; fi
    check "$1: every byte is there" node_run sh -c "dd if=$node/mount/$2 bs=1M iflag=direct status=none | cmp - $work/random"
}

under_load killed-bridge
kill -KILL "$(bridge_of "$attached")"
node_says 'the death of the bridge is seen' '^exited signal 9' 5
node_says 'a new bridge is started' '^restarted ' 5
began=$(date +%s%N)
node_says 'the new bridge serves' '^ready' 10
printf 'a new bridge serves after %d ms\n' $((($(date +%s%N) - began) / 1000000))
finish_load 'a bridge killed under load' killed-bridge

# The target's power goes and comes; tgt forgets every reservation.
under_load restarted-target
target_stop
node_says 'the bridge notices that the target is away' '^unreachable ' 8
sleep 1
target_start "$work" 2G
node_says 'a target that forgot the reservation: the bridge asks first' '^asks ' 10
node_tell retake
node_says 'and goes on when it may' '^reconnected ' 10
finish_load 'a target restarted under load' restarted-target

# Somebody looks at the loop device meanwhile; so does, for a moment, every process that is just being started.
node_run sync -f "$node/mount"
{ sleep 0.4; } <"$(node_run findmnt -n -o SOURCE "$node/mount")" &
writers+=($!)
sleep 0.1
node_tell detach
node_says 'detach, although the device is open elsewhere for a moment' '^detached ' 20
node_end
check 'nothing is left of a clean detach' wait_gone 3
check 'tgt holds a clean image' xfs_repair -n -f "$TARGET_IMAGE"

# Attached again, by another node: everything is there. (The target may keep a command for 5 s, not for 30: see below.)
node_start 2 6 "$node" --command-age 5
node_says 'another node attaches' '^attached ' 30
attached=$node_line
total=$(step total "$node_line")
printf 'fence, attach and mount took %s ms: %s\n' "$total" "$node_line"
check 'in less than 1.5 s' test "$total" -lt 1500
check 'what the first node wrote is there' node_run cmp "$work/random" "$node/mount/killed-bridge"

# The target is away for longer than it may keep a command. What waited is as young as any other when it is back: the session of its
# return must not be given up for that. Several writers, so that the target is asked for more than it answers at once.
outage_writers=()
for number in {1..8}; do
    node_run sh -c "until [ -e $work/enough ]; do
        dd if=$work/random of=$node/mount/outage-$number bs=1M count=20 oflag=direct conv=notrunc,fsync status=none || exit 1
    done" &
    outage_writers+=($!)
done
sleep 0.3
target_stop
node_says 'the bridge notices a long outage' '^unreachable ' 8
sleep 7
target_start "$work" 2G
node_says 'the bridge asks after a long outage' '^asks ' 10
node_tell retake
node_says 'and goes on' '^reconnected ' 10
node_says 'as ever after a login' '^measured unchanged' 10
: >"$work/enough"
errors=0
for writer in "${outage_writers[@]}"; do wait "$writer" || errors=$((errors + 1)); done
check 'a long outage: no writer saw an error' test "$errors" -eq 0
for number in {1..8}; do
    check "a long outage: every byte of writer $number" node_run sh -c \
        "dd if=$node/mount/outage-$number bs=1M iflag=direct status=none | cmp -n $((20 << 20)) - $work/random"
done
# Whatever the bridge said until now stands before the answer.
node_tell measure
node_says 'a long outage: the bridge answers' '^measured unchanged' 10
check 'a long outage: the session of the return stayed' test "$(grep -c '^unreachable ' "$node_log.said")" -eq 1

# However long a node wrote, a takeover replays a second's worth of the log. (With the kernel's own setting this mount takes
# several seconds: thousands of log records, each read by itself. With ours half a second where the machine does nothing else.)
for file in one two three; do
    node_run timeout 8 dd if=/dev/zero of="$node/mount/synchronous-$file" bs=4k oflag=dsync status=none 2>/dev/null &
    writers+=($!)
done
wait "${writers[@]}" || true
kill -KILL "$node_pid" "$(bridge_of "$attached")"
node_end
check 'power loss after 8 s of synchronous writes leaves nothing behind' wait_gone 5
node_start 1 7 "$node"
node_says 'the next node attaches' '^attached ' 30
printf 'after 8 s of synchronous writes: %s\n' "$node_line"
check 'and mounts in less than 1.5 s' test "$(step mount "$node_line")" -lt 1500

# Its power goes: everything at once, with writes under way. Whichever process the kernel ends last, nothing may stay behind:
# an exit that waits for its own FUSE descriptor would never end.
term=8
for round in {1..6}; do
    node_run sh -c "while :; do dd if=$work/random of=$node/mount/lost bs=64k count=200 status=none || exit; done" 2>/dev/null &
    load=$!
    bridge=$(bridge_of "$node_line")
    sleep 0.3
    kill -KILL "$node_pid" "$bridge" "$load" 2>/dev/null || true
    # The writer is a process of the node as well.
    for writer in $(pgrep -f "of=$node/mount/lost" || true); do kill -KILL "$writer" 2>/dev/null || true; done
    wait "$load" 2>/dev/null || true
    node_end
    check "power loss $round leaves neither loop device nor mount behind" wait_gone 5
    check "power loss $round: the bridge's process is gone" bash -c "! grep -q '^State:.[^Z]' /proc/$bridge/status 2>/dev/null"
    node_start $((1 + round % 2)) "$term" "$node"
    node_says "power loss $round: the next node attaches" '^attached ' 30
    term=$((term + 1))
done
check 'and finds what was there' node_run cmp "$work/random" "$node/mount/killed-bridge"

# hold FILE SECONDS: a process of the node's has the file open for so long; its number is in holder.
holder=
hold() {
    rm -f "$work/holding"
    node_run sh -c "exec <'$node/mount/$1' && echo \$\$ >'$work/holding' && exec sleep $2" &
    wait_for 5 test -s "$work/holding"
    holder=$(cat "$work/holding")
}

# A server that was killed while it flushed keeps its files until the flush is over: a detach waits for it.
hold killed-bridge 3
node_tell detach
node_says 'it detaches when a process that has a file open has ended' '^detached ' 30
node_end
check 'nothing is left of that' wait_gone 3

# One that does not end: the detach fails in the end, and nothing that was written is lost with it.
node_start 1 "$term" "$node"
node_says 'attach before a detach in vain' '^attached ' 30
node_run dd if="$work/random" of="$node/mount/dirty" bs=1M status=none
hold killed-bridge 100
node_tell detach
node_says 'a detach in vain says so' '^error busy: .*still in use' 60
wait "$node_pid" || true
kill -KILL "$holder"
node_end
check 'nothing is left when the process has ended' wait_gone 5
node_start 2 $((term + 1)) "$node"
node_says 'the next node attaches after that' '^attached ' 30
check 'everything that was dirty is on the LUN' node_run cmp "$work/random" "$node/mount/dirty"
node_tell detach
node_says 'and detaches' '^detached ' 20
