#!/usr/bin/env bash
# A LUN that becomes larger while it is in use, and one that becomes smaller.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/library.sh"
source "$(dirname "$0")/lib/target.sh"
source "$(dirname "$0")/lib/storage.sh"

if ((EUID != 0)) || [[ ! -e /dev/fuse ]]; then
    skipped 'a LUN that grows: needs root and /dev/fuse'
    exit 0
fi
trap clean_up_storage EXIT

node=$work/node
mkdir -p "$node"
head -c 64M /dev/urandom >"$work/random"
target_start "$work" 512M

# resize BYTES: at the target. LIO's disk grows under it; tgt learns of it when it is started again.
resize() {
    if [[ $TARGET_KIND == lio ]]; then
        target_resize "$1"
    else
        target_stop
        truncate -s "$1" "$TARGET_IMAGE"
        target_start "$work" 512M
        node_says 'the bridge asks after the restart' '^asks ' 10
        node_tell retake
    fi
}
megabytes() { node_run df --output=size -BM "$node/mount" | tail -n 1 | tr -dc 0-9; }

node_start 1 5 "$node" --format
node_says 'attach' '^attached ' 60
check 'a file system of less than 512 MB' test "$(megabytes)" -lt 512
node_run sh -c "while dd if=$work/random of=$node/mount/load bs=256k oflag=direct,nonblock conv=notrunc status=none; do :; done" \
    2>"$work/load.log" &
load=$!
sleep 0.5
resize $((1024 * 1024 * 1024))
if [[ $TARGET_KIND == lio ]]; then node_tell measure; fi
node_says 'the LUN grew, and all that is on it' '^measured grown\(from: 536870912\)' 20
check 'the file system has the new size' test "$(megabytes)" -gt 900
check 'and takes more than fitted before' node_run dd if=/dev/urandom of="$node/mount/large" bs=1M count=600 oflag=direct status=none
node_tell measure
node_says 'after that nothing changes' '^measured unchanged' 10
check 'the writer went on' kill -0 "$load"
pkill_load() {
    local writer
    kill -TERM "$load" 2>/dev/null || true
    for writer in $(pgrep -f "of=$node/mount/load" || true); do kill -KILL "$writer" 2>/dev/null || true; done
    wait "$load" 2>/dev/null || true
}
pkill_load
check 'and saw no error' test ! -s "$work/load.log"
sum=$(node_run sha256sum "$node/mount/large")
node_tell detach
node_says 'detach' '^detached ' 30
node_end
check 'the file system is clean' xfs_repair -n -f "$TARGET_IMAGE"

# While nobody has it.
if [[ $TARGET_KIND == tgt ]]; then
    target_stop
    truncate -s 1536M "$TARGET_IMAGE"
    target_start "$work" 512M
else
    target_resize $((1536 * 1024 * 1024))
fi
node_start 2 6 "$node"
node_says 'another node attaches' '^attached ' 30
check 'the file system has that size at once' test "$(megabytes)" -gt 1400
check 'and every byte' test "$(node_run sha256sum "$node/mount/large")" = "$sum"

# A LUN that shrank is not followed. (tgt only: LIO's disk does not shrink under it.)
if [[ $TARGET_KIND == tgt ]]; then
    resize $((1024 * 1024 * 1024))
    node_says 'a LUN that shrank is told of' '^measured shrunk\(from: 1610612736\)' 20
    check 'and not followed' test "$(megabytes)" -gt 1400
    resize $((1536 * 1024 * 1024))
    node_says 'until it has its size again' '^measured unchanged' 20
fi
node_tell detach
node_says 'and detaches' '^detached ' 30
