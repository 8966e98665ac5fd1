# shellcheck shell=bash
# Linux's own target in a guest, as the target of target.sh. Its kernel is fetched by cluster/laboratory/packages.
#   target_start FOLDER SIZE [NETNS [ADDRESS]], target_stop, target_resize SIZE

lio_laboratory=${here:?}/../../cluster/laboratory
export HOLDFAST_CACHE=${HOLDFAST_CACHE:-$here/../../.lab-cache}
"$lio_laboratory/packages" kernel >/dev/null
"$lio_laboratory/guest/build" "$HOLDFAST_CACHE" target >/dev/null
# Those whose registrations must be there again after a restart.
lio_initiators='iqn.2026-11.test.holdfast:node1 iqn.2026-11.test.holdfast:node2'

target_start() {
    local folder=$1 size=$2 namespace=${3:-} address=${4:-127.0.0.1}
    local enter=()
    [ -z "$namespace" ] || enter=(nsenter --net="/run/netns/$namespace")
    TARGET_FOLDER=$folder/lio
    TARGET_IMAGE=$folder/lun.img
    [ -e "$TARGET_IMAGE" ] || truncate -s "$size" "$TARGET_IMAGE"
    TARGET_PORT=${TARGET_PORT:-$(free_port)}
    if [ ! -e "$TARGET_FOLDER" ]; then
        mkdir -p "$TARGET_FOLDER"
        "$lio_laboratory/lio" prepare "$TARGET_FOLDER" "$TARGET_IQN" "$TARGET_USER" "$TARGET_PASSWORD" 10.0.2.15/24 \
            1=10.0.2.15:3260 "$lio_initiators" 1
    fi
    rm -f "$TARGET_FOLDER/console.log"
    "${enter[@]}" "$lio_laboratory/lio" run "$TARGET_FOLDER" "user:$address:$TARGET_PORT" -- "1=$TARGET_IMAGE" \
        >"$folder/qemu.log" 2>&1 &
    TARGET_PID=$!
    "$lio_laboratory/lio" wait "$TARGET_FOLDER" "$TARGET_PID" || { cat "$folder/qemu.log" >&2; return 1; }
    TARGET_URL="iscsi://$TARGET_USER%$TARGET_PASSWORD@$address:$TARGET_PORT/$TARGET_IQN/1"
    export TARGET_URL
}

target_stop() {
    [ -n "${TARGET_PID:-}" ] || return 0
    kill -KILL "$TARGET_PID" 2>/dev/null || true
    wait "$TARGET_PID" 2>/dev/null || true
    TARGET_PID=
}

# target_resize BYTES: the disk becomes larger under the running target.
target_resize() {
    truncate -s "$1" "$TARGET_IMAGE"
    python3 - "$TARGET_FOLDER/monitor" "$1" <<'PYTHON'
import socket
import sys

monitor = socket.socket(socket.AF_UNIX)
monitor.connect(sys.argv[1])
said = b""
for command in ("", f"block_resize disk1 {sys.argv[2]}B"):
    if command:
        monitor.sendall(f"{command}\n".encode())
    prompts = said.count(b"(qemu) ")
    while said.count(b"(qemu) ") == prompts:
        got = monitor.recv(4096)
        if not got:
            sys.exit("the monitor is gone")
        said += got
PYTHON
}
