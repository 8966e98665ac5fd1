# shellcheck shell=bash
# A node's doing by hand: storagedrill in a mount namespace of its own, spoken to line by line. Sourced after library.sh.
# shellcheck source-path=SCRIPTDIR/..

drill=${binaries:?}/storagedrill
filesystem=11111111-2222-4333-8444-555555555555
node_pid=
node_line=
node_log=

# node_start NODE TERM FOLDER [OPTIONS...]: takes the fence, attaches and stays. Its lines come on descriptor 8.
node_start() {
    local node=$1 term=$2 folder=$3
    shift 3
    mkdir -p "$folder/mount"
    rm -f "$folder/commands" "$folder/events"
    mkfifo "$folder/commands" "$folder/events"
    "$drill" hold "$TARGET_URL" "$node" "$term" "$filesystem" "$folder" "$binaries/lunbridge" "$@" \
        <"$folder/commands" >"$folder/events" 2>>"$folder/log" &
    node_pid=$!
    exec 7>"$folder/commands" 8<"$folder/events"
    node_log=$folder/log
    : >"$node_log.said"
}

node_tell() { printf '%s\n' "$1" >&7; }

# node_says NAME PATTERN SECONDS: passes when the node says so in time. (Not through `check`: that is a subshell.)
node_says() {
    if node_expect "$2" "$3" 2>"${work:?}/expected"; then passed "$1"; else failed "$1" "$(cat "$work/expected")"; fi
}

# node_expect PATTERN SECONDS: reads lines until one matches; it is left in node_line. What the node said before, and what stands in
# its log, tells more about one that does not come.
node_expect() {
    local pattern=$1 deadline=$((SECONDS + $2))
    while ((SECONDS <= deadline)) && IFS= read -r -t "$2" -u 8 node_line; do
        printf '%s\n' "$node_line" >>"$node_log.said"
        if [[ $node_line =~ $pattern ]]; then return 0; fi
    done
    {
        printf 'expected %s; what was said so far:\n' "$pattern"
        tail -n 12 "$node_log.said"
        printf 'in the log:\n'
        tail -n 12 "$node_log"
    } >&2
    return 1
}

# node_run COMMAND...: inside the node's mount namespace.
node_run() { nsenter --mount="/proc/$node_pid/ns/mnt" -- "$@"; }

# The bridge's pid, from the last line that named it.
bridge_of() { sed -n 's/.*pid=\([0-9]*\).*/\1/p' <<<"$1" | head -n 1; }

# step NAME LINE: the milliseconds of one step.
step() { sed -n "s/.*[ ]$1=\([0-9]*\).*/\1/p" <<<"$2"; }

node_end() {
    exec 7>&- 8<&- || true
    if [[ -n $node_pid ]]; then
        kill -KILL "$node_pid" 2>/dev/null || true
        wait "$node_pid" 2>/dev/null || true
    fi
    node_pid=
}

# What the kernel still has of this script's: loop devices over a file in its folder.
loops_left() { losetup --noheadings --output NAME,BACK-FILE -a | grep -F "${work:?}" || true; }

# wait_gone SECONDS: until neither a loop device of this script nor its file system is left.
wait_gone() {
    local i
    for ((i = 0; i < $1 * 20; i++)); do
        if [[ -z $(loops_left) ]]; then return 0; fi
        sleep 0.05
    done
    loops_left
    return 1
}

clean_up_storage() {
    node_end
    target_stop
    clean_up
}
