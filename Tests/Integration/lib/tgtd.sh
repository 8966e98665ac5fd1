# shellcheck shell=bash
# Debian's tgtd, tuned, as the target of target.sh.
#   target_start FOLDER SIZE [NETNS [ADDRESS]], target_stop, tgtd_admin ARGS...

tgtd_admin() { TGT_IPC_SOCKET=$TGTD_IPC tgtadm -C 8 --lld iscsi "$@"; }

# Starts (or starts again, with the image that is there) and waits until the LUN can be logged in to.
target_start() {
    local folder=$1 size=$2 namespace=${3:-} address=${4:-127.0.0.1}
    local enter=()
    [ -z "$namespace" ] || enter=(nsenter --net="/run/netns/$namespace")
    TGTD_IPC=$folder/tgtd.ipc
    TARGET_IMAGE=$folder/lun.img
    [ -e "$TARGET_IMAGE" ] || truncate -s "$size" "$TARGET_IMAGE"
    TARGET_PORT=${TARGET_PORT:-$(free_port)}
    TGT_IPC_SOCKET=$TGTD_IPC "${enter[@]}" tgtd -f -C 8 -t 16 --iscsi portal="$address:$TARGET_PORT" \
        >"$folder/tgtd.log" 2>&1 &
    TARGET_PID=$!
    local i
    for ((i = 0; i < 100; i++)); do
        tgtd_admin --op show --mode system >/dev/null 2>&1 && break
        kill -0 "$TARGET_PID" 2>/dev/null || { cat "$folder/tgtd.log" >&2; return 1; }
        sleep 0.05
    done
    tgtd_admin --op new --mode target --tid 1 -T "$TARGET_IQN"
    local setting
    for setting in MaxRecvDataSegmentLength=1048576 InitialR2T=No FirstBurstLength=262144 MaxBurstLength=1048576 \
        MaxOutstandingR2T=8 ImmediateData=Yes MaxXmitDataSegmentLength=1048576; do
        tgtd_admin --op update --mode target --tid 1 -n "${setting%%=*}" -v "${setting#*=}"
    done
    tgtd_admin --op new --mode logicalunit --tid 1 --lun 1 -b "$TARGET_IMAGE" --blocksize 512
    tgtd_admin --op update --mode logicalunit --tid 1 --lun 1 --params thin_provisioning=1
    tgtd_admin --op new --mode account --user "$TARGET_USER" --password "$TARGET_PASSWORD"
    tgtd_admin --op bind --mode account --tid 1 --user "$TARGET_USER"
    tgtd_admin --op bind --mode target --tid 1 -I ALL
    TARGET_URL="iscsi://$TARGET_USER%$TARGET_PASSWORD@$address:$TARGET_PORT/$TARGET_IQN/1"
    export TARGET_URL
}

# As if its power went: nothing is said to anybody.
target_stop() {
    [ -n "${TARGET_PID:-}" ] || return 0
    kill -KILL "$TARGET_PID" 2>/dev/null || true
    wait "$TARGET_PID" 2>/dev/null || true
    TARGET_PID=
    rm -f "$TGTD_IPC" "$TGTD_IPC".lock
}
