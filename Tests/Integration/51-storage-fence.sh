#!/usr/bin/env bash
# Who may write to the LUN: a node that lost it stops within a second, and nobody else's LUN is touched.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/library.sh"
source "$(dirname "$0")/lib/target.sh"
source "$(dirname "$0")/lib/storage.sh"

if ((EUID != 0)) || [[ ! -e /dev/fuse ]]; then
    skipped 'fence: needs root and /dev/fuse'
    exit 0
fi
trap clean_up_storage EXIT

node=$work/node
mkdir -p "$node"
target_start "$work" 768M

# milliseconds_since NANOSECONDS
milliseconds_since() { echo $((($(date +%s%N) - $1) / 1000000)); }

# lose_it NAME: another node takes the LUN from the one that runs; what that one does is timed.
lose_it() {
    local name=$1 term=$2 began took
    began=$(date +%s%N)
    check "$name: the other node takes the LUN" "$drill" take "$TARGET_URL" 2 "$term"
    node_says "$name: the bridge notices" '^fenced ' 5
    took=$(milliseconds_since "$began")
    node_says "$name: the node tears down" '^torn-down ' 10
    printf '%s: noticed after %s ms; %s\n' "$name" "$took" "$node_line"
    check "$name: within a second" test "$took" -lt 1000
    check "$name: torn down in less than a second" test "$(step total "$node_line")" -lt 1000
    wait "$node_pid" && true
    check "$name: with the exit status of a fenced node" test $? -eq 77
    node_pid=
    node_end
    check "$name: nothing is left" wait_gone 3
    check_says "$name: its writes are refused" 'error conflict: .*reservation conflict' "$drill" write "$TARGET_URL" 1 9 66
    check_says "$name: nor may it take the LUN back in its old term" 'error superseded: .*node 2, term' \
        "$drill" take "$TARGET_URL" 1 $((term - 1))
}

# Under load: writers with direct I/O and through the page cache.
node_start 1 5 "$node" --format
node_says 'attach' '^attached ' 30
node_run sh -c "while dd if=/dev/zero of=$node/mount/direct bs=256k count=64 oflag=direct status=none; do :; done" \
    2>"$work/direct.log" &
direct=$!
node_run touch "$node/mount/buffered"
# Only what is there already: after the unmount the folder beneath would take the bytes for ever.
node_run sh -c "while dd if=/dev/zero of=$node/mount/buffered bs=64k count=64 conv=nocreat,fsync status=none; do :; done" \
    2>"$work/buffered.log" &
buffered=$!
sleep 1
# The writers hold the file system open only while dd runs, and dd ends with the first error: that of a write, or between two
# runs that the file is gone.
lose_it 'under load' 6
check 'the direct writer was told' grep -q 'Input/output error' "$work/direct.log"
check 'the buffered writer was told' grep -qE 'Input/output error|No such file' "$work/buffered.log"
wait "$direct" "$buffered" || true
"$drill" clear "$TARGET_URL" 2 6 >/dev/null

# Idle: nothing is written, and it is noticed all the same.
node_start 1 7 "$node"
node_says 'attach again' '^attached ' 30
sleep 1
lose_it 'idle' 8
"$drill" clear "$TARGET_URL" 2 8 >/dev/null

# Dead target: teardown does not wait for it.
node_start 1 9 "$node"
node_says 'attach once more' '^attached ' 30
node_run dd if=/dev/zero of="$node/mount/dirty" bs=1M count=20 status=none
kill -STOP "$TARGET_PID"
node_run dd if=/dev/zero of="$node/mount/stuck" bs=1M count=1 oflag=direct status=none 2>/dev/null &
stuck=$!
sleep 0.3
node_tell teardown
node_says 'a silent target does not hold up the teardown' '^torn-down ' 10
check 'which takes less than a second' test "$(step total "$node_line")" -lt 1000
printf 'with a silent target: %s\n' "$node_line"
wait "$stuck" || true
node_end
check 'nothing is left of it' wait_gone 3
check_says 'a silent target is unreachable' 'error unreachable: ' timeout 10 "$drill" inspect "$TARGET_URL" 1
kill -CONT "$TARGET_PID"
"$drill" clear "$TARGET_URL" 1 9 >/dev/null

# The same with a bridge that was started anew meanwhile and never reached the target.
node_start 1 10 "$node"
node_says 'attach with a new term' '^attached ' 30
attached=$node_line
kill -STOP "$TARGET_PID"
node_run dd if=/dev/zero of="$node/mount/stuck" bs=1M count=1 oflag=direct status=none 2>/dev/null &
stuck=$!
sleep 0.3
kill -KILL "$(bridge_of "$attached")"
node_says 'a new bridge is started' '^restarted ' 5
sleep 0.3
node_tell teardown
node_says 'a new bridge without a target does not hold it up either' '^torn-down ' 10
check 'which takes less than a second too' test "$(step total "$node_line")" -lt 1000
printf 'with a new bridge and a silent target: %s\n' "$node_line"
wait "$stuck" || true
node_end
check 'nothing is left of it either' wait_gone 3
kill -CONT "$TARGET_PID"
"$drill" clear "$TARGET_URL" 1 10 >/dev/null

# The target's power goes; its reservations are there again afterwards, as APTPL has it, and what was in its write cache is not.
# (tgt has no APTPL: our key is taken anew before the bridge may look.)
node_start 1 10 "$node"
node_says 'attach before a power loss of the target' '^attached ' 30
attached=$node_line
node_run dd if=/dev/zero of="$node/mount/unflushed" bs=1M count=4 oflag=direct status=none
kill -STOP "$(bridge_of "$attached")"
target_stop
target_start "$work" 768M
check 'the reservation is as it was' "$drill" take "$TARGET_URL" 1 10
kill -CONT "$(bridge_of "$attached")"
node_says 'the bridge says that writes may be lost' '^asks unflushed=true' 10
node_tell teardown
node_says 'the node tears down' '^torn-down ' 10
wait "$node_pid" || true
node_end
check 'nothing is left after that' wait_gone 3

# An unmount waits for the bridge in the kernel. One that dies meanwhile must not make it wait for ever.
node_start 1 11 "$node"
node_says 'attach before a bridge dies' '^attached ' 30
attached=$node_line
node_run dd if=/dev/zero of="$node/mount/dirty" bs=1M count=4 status=none
kill -STOP "$(bridge_of "$attached")"
node_tell detach
sleep 0.3
kill -KILL "$(bridge_of "$attached")"
node_says 'a bridge that dies during the unmount ends it with an error' '^error .*lunbridge ended during the unmount' 10
wait "$node_pid" || true
node_end
check 'nothing is left behind' wait_gone 5

# Nor may one that hangs: it is ended when it has not answered for 12 s.
node_start 1 11 "$node"
node_says 'attach before a bridge hangs' '^attached ' 30
attached=$node_line
node_run dd if=/dev/zero of="$node/mount/dirty" bs=1M count=4 status=none
kill -STOP "$(bridge_of "$attached")"
node_tell detach
node_says 'a bridge that hangs during the unmount ends it, too' '^error .*lunbridge ended during the unmount' 30
wait "$node_pid" || true
node_end
check 'nothing is left behind by that one either' wait_gone 5

# Clean or not, a node that ends leaves its reservation: an older node's write finds no gap, and a newer node preempts it.
node_start 1 12 "$node"
node_says 'attach for a clean end' '^attached ' 30
node_tell detach
node_says 'detach' '^detached ' 20
node_end
check_says 'the reservation stands' 'holder=484600010000000c' "$drill" inspect "$TARGET_URL" 1
check_says 'no write of an older node lands' 'error conflict' "$drill" write "$TARGET_URL" 2 9 66
check_says 'the same node comes back with a new term, and ends what its old one had in flight' '^taken .*drain=' \
    "$drill" take "$TARGET_URL" 1 13
check 'and another takes it from there' "$drill" take "$TARGET_URL" 2 14
check_says 'an older term may not' 'error superseded' "$drill" take "$TARGET_URL" 1 13
check 'unless a new cluster is made by force' "$drill" take "$TARGET_URL" 1 1 --force
"$drill" clear "$TARGET_URL" 1 1 >/dev/null

# What must be refused, each with its reason.
check_says 'a wrong password' 'error loginRefused: .*check the user and password' \
    "$drill" inspect "${TARGET_URL/Pa55/Pa56}" 1
check_says 'the password is not in the message' '%\*\*\*@' "$drill" inspect "${TARGET_URL/Pa55/Pa56}" 1
check_says 'a LUN that is not there' 'error notFound: .*no such LUN' "$drill" inspect "${TARGET_URL%/1}/7" 1
# LIO says "service unavailable" of a name that it does not have, as of one that is not ready yet.
missing='error notFound: .*no target'
if [[ $TARGET_KIND == lio ]]; then missing='error unreachable: .*Service unavailable'; fi
check_says 'a target that is not there' "$missing" "$drill" inspect "${TARGET_URL%lun/1}nul/1" 1
check_says 'a port where nobody listens' 'error unreachable: ' "$drill" inspect "iscsi://127.0.0.1:9/$TARGET_IQN/1" 1

"$drill" foreign "$TARGET_URL" >/dev/null
check_says 'a foreign reservation is respected' 'error foreignReservation: .*not Holdfast' "$drill" take "$TARGET_URL" 1 11
check_says 'and still there' 'holder=abcdef' "$drill" inspect "$TARGET_URL" 1
check 'unless it is forced' "$drill" take "$TARGET_URL" 1 11 --force
"$drill" clear "$TARGET_URL" 1 11 >/dev/null

# refuse_to_attach NAME PATTERN: attaching says so, even with --format, and not a byte of the LUN changes.
refuse_to_attach() {
    local before
    # Any write by the target moves the time; reading 768 MB twice would tell the same.
    before=$(stat --format='%y %b' "$TARGET_IMAGE")
    check_says "$1" "error notOurs: .*$2" \
        timeout 30 "$drill" hold "$TARGET_URL" 1 12 "$filesystem" "$node" "$binaries/lunbridge" --format </dev/null
    check "$1: and is left alone" test "$before" = "$(stat --format='%y %b' "$TARGET_IMAGE")"
    check "$1: nothing stays attached" wait_gone 3
}
truncate -s 0 "$TARGET_IMAGE" && truncate -s 768M "$TARGET_IMAGE"
mkfs.xfs -q -K -f -L elsewhere "$TARGET_IMAGE"
refuse_to_attach 'an XFS of somebody else' 'an XFS file system .*elsewhere'
truncate -s 0 "$TARGET_IMAGE" && truncate -s 768M "$TARGET_IMAGE"
mkfs.ext4 -q -F "$TARGET_IMAGE"
refuse_to_attach 'an ext4' 'ext2, ext3 or ext4'
truncate -s 0 "$TARGET_IMAGE" && truncate -s 768M "$TARGET_IMAGE"
printf 'x' | dd of="$TARGET_IMAGE" bs=1 seek=$((768 * 1024 * 1024 - 100)) conv=notrunc status=none
refuse_to_attach 'one byte at the very end' 'data of an unknown kind'
