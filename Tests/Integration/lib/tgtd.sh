# shellcheck shell=bash
# A tuned tgtd of our own: sourced after library.sh by the scripts that need a LUN.
#   tgtd_start FOLDER SIZE [NETNS [ADDRESS]]   sets TGTD_PID, TGTD_PORT, TGTD_ADDRESS, TGTD_IMAGE, TGTD_URL; CHAP, one sparse image
#   tgtd_stop, tgtd_admin ARGS...

TGTD_IQN=iqn.2026-11.test.holdfast:lun
TGTD_USER=holdfast
TGTD_PASSWORD=Pa55word-with-@-and-/

tgtd_admin() { TGT_IPC_SOCKET=$TGTD_IPC tgtadm -C 8 --lld iscsi "$@"; }

# Starts (or starts again, with the image that is there) and waits until the LUN can be logged in to.
tgtd_start() {
    local folder=$1 size=$2 namespace=${3:-} address=${4:-127.0.0.1}
    local enter=()
    [ -z "$namespace" ] || enter=(nsenter --net="/run/netns/$namespace")
    TGTD_IPC=$folder/tgtd.ipc
    TGTD_IMAGE=$folder/lun.img
    [ -e "$TGTD_IMAGE" ] || truncate -s "$size" "$TGTD_IMAGE"
    TGTD_PORT=${TGTD_PORT:-$(free_port)}
    TGT_IPC_SOCKET=$TGTD_IPC "${enter[@]}" tgtd -f -C 8 -t 16 --iscsi portal="$address:$TGTD_PORT" \
        >"$folder/tgtd.log" 2>&1 &
    TGTD_PID=$!
    local i
    for ((i = 0; i < 100; i++)); do
        tgtd_admin --op show --mode system >/dev/null 2>&1 && break
        kill -0 "$TGTD_PID" 2>/dev/null || { cat "$folder/tgtd.log" >&2; return 1; }
        sleep 0.05
    done
    tgtd_admin --op new --mode target --tid 1 -T "$TGTD_IQN"
    local setting
    for setting in MaxRecvDataSegmentLength=1048576 InitialR2T=No FirstBurstLength=262144 MaxBurstLength=1048576 \
        MaxOutstandingR2T=8 ImmediateData=Yes MaxXmitDataSegmentLength=1048576; do
        tgtd_admin --op update --mode target --tid 1 -n "${setting%%=*}" -v "${setting#*=}"
    done
    tgtd_admin --op new --mode logicalunit --tid 1 --lun 1 -b "$TGTD_IMAGE" --blocksize 512
    tgtd_admin --op update --mode logicalunit --tid 1 --lun 1 --params thin_provisioning=1
    tgtd_admin --op new --mode account --user "$TGTD_USER" --password "$TGTD_PASSWORD"
    tgtd_admin --op bind --mode account --tid 1 --user "$TGTD_USER"
    tgtd_admin --op bind --mode target --tid 1 -I ALL
    TGTD_URL="iscsi://$TGTD_USER%$TGTD_PASSWORD@$address:$TGTD_PORT/$TGTD_IQN/1"
    export TGTD_URL
}

# As if its power went: nothing is said to anybody.
tgtd_stop() {
    [ -n "${TGTD_PID:-}" ] || return 0
    kill -KILL "$TGTD_PID" 2>/dev/null || true
    wait "$TGTD_PID" 2>/dev/null || true
    TGTD_PID=
    rm -f "$TGTD_IPC" "$TGTD_IPC".lock
}
