#!/usr/bin/env bash
# A target that keeps reservations (LIO, in a guest) loses its power under load: nobody else may write at any moment, and nothing
# that was flushed is lost.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/library.sh"

if ((EUID != 0)) || [[ ! -e /dev/fuse ]]; then
    skipped 'LIO: needs root and /dev/fuse'
    exit 0
fi
HOLDFAST_TARGET=lio
source "$(dirname "$0")/lib/target.sh"
source "$(dirname "$0")/lib/storage.sh"
trap clean_up_storage EXIT

node=$work/node
mkdir -p "$node"
head -c 64M /dev/urandom >"$work/random"
target_start "$work" 1G

node_start 1 5 "$node" --format
node_says 'attach' '^attached ' 60
check 'what is flushed' node_run dd if="$work/random" of="$node/mount/flushed" bs=1M oflag=direct conv=fsync status=none
node_run sh -c "while dd if=$work/random of=$node/mount/load bs=256k oflag=direct status=none; do :; done" 2>/dev/null &
load=$!
sleep 1
target_stop
node_says 'the bridge notices that the target is away' '^unreachable ' 8
target_start "$work" 1G
# Whatever the active node makes of it: between the restart and that moment the LUN was never open to others.
check_says 'the reservation is there at once' 'holder=4846000100000005 type=5' "$drill" inspect "$TARGET_URL" 2
check_says 'another node cannot write' 'error conflict: .*reservation conflict' "$drill" write "$TARGET_URL" 2 9 66
node_says 'the bridge says that writes may be lost' '^asks unflushed=true' 15
node_tell teardown
node_says 'the node tears down' '^torn-down ' 15
wait "$load" 2>/dev/null || true
wait "$node_pid" || true
node_end
check 'nothing is left' wait_gone 5

node_start 1 6 "$node"
node_says 'it attaches anew' '^attached ' 60
check 'every byte that was flushed is there' node_run cmp "$work/random" "$node/mount/flushed"
node_tell detach
node_says 'detach' '^detached ' 30
node_end
check 'the file system is clean' xfs_repair -n -f "$TARGET_IMAGE"
check 'another node takes the LUN' "$drill" take "$TARGET_URL" 2 7
check_says 'and the first one cannot write any more' 'error conflict: .*reservation conflict' "$drill" write "$TARGET_URL" 1 9 66
target_stop
target_start "$work" 1G
check_says 'nor after another power loss of the target' 'error conflict: .*reservation conflict' "$drill" write "$TARGET_URL" 1 9 66

# A node that hangs in the middle of a write: the target waits for the rest of it, and whoever takes the LUN must not wait as long.
node_start 1 8 "$node"
node_says 'attach before a hang' '^attached ' 60
attached=$node_line
node_run sh -c "while dd if=$work/random of=$node/mount/load bs=1M oflag=direct conv=notrunc status=none; do :; done" 2>/dev/null &
load=$!
sleep 1
kill -STOP "$(bridge_of "$attached")"
began=$(date +%s%N)
check 'another node takes the LUN from one that hangs' "$drill" take "$TARGET_URL" 2 9 --evict
took=$((($(date +%s%N) - began) / 1000000))
printf 'taken from a node that hangs after %d ms\n' "$took"
check 'in less than 5 s' test "$took" -lt 5000
kill -CONT "$(bridge_of "$attached")"
node_says 'it learns of it when it goes on' '^fenced .*node 2, term 9' 10
node_says 'and tears down' '^torn-down ' 15
wait "$load" 2>/dev/null || true
wait "$node_pid" || true
node_end
