# shellcheck shell=bash
# A whole cluster in namespaces: two nodes, a witness, a target. Source library.sh first; HOLDFAST_LAB_ID names it, and it is gone
# when the script ends.
# shellcheck source-path=SCRIPTDIR/..

: "${HOLDFAST_LAB_ID:?}" "${binaries:?}" "${here:?}" "${work:?}"

if ((EUID != 0)) || [[ ! -e /dev/fuse ]]; then
    skipped 'cluster: needs root and /dev/fuse'
    exit 0
fi
for program in clusterd clusterctl lunbridge; do
    if [[ ! -x $binaries/$program ]]; then
        skipped "cluster: no $program in $binaries"
        exit 0
    fi
done

lab=$here/../../cluster/lab
folder=/run/holdfast-lab/$HOLDFAST_LAB_ID
# What no test may bring about: a program of a node that traps. Whoever restarts it hides that, and its log goes with the laboratory.
crash='Fatal error|Precondition failed|Program crashed|AddressSanitizer|ThreadSanitizer'
check_crashes() {
    local log
    for log in "$folder"/*/log; do
        if grep -qE "$crash" "$log" 2>/dev/null; then
            failed "nothing crashes on $(basename "$(dirname "$log")")" "$(grep -E -A 25 "$crash" "$log" | head -n 30)"
        fi
    done
}
# A failed check shows the end of each node's log, too: the laboratory is gone before anybody could look.
log_lines=12
eval "$(declare -f failed | sed '1s/failed/failed_alone/')"
failed() {
    failed_alone "$@"
    local node
    for node in node-a node-b witness; do
        if [[ -s $folder/$node/log ]]; then tail -n "$log_lines" "$folder/$node/log" | cut -c 1-300 | sed "s/^/    $node: /"; fi
    done
}
clean_up() {
    check_crashes
    "$lab" down >/dev/null 2>&1 || true
}
trap clean_up EXIT

# lab_up_options=(--quorum-lun) before this file is sourced: without a witness.
cluster_kind='a cluster of two nodes and a witness'
if [[ -n ${lab_up_options[*]:-} ]]; then cluster_kind="a cluster with ${lab_up_options[*]}"; fi
if ! "$lab" up ${lab_up_options[@]+"${lab_up_options[@]}"} >"$work/up.log" 2>&1; then
    failed "$cluster_kind" "$(cat "$work/up.log")"
    exit 0
fi
passed "$cluster_kind"

# on NODE COMMAND...: on the node, with its mounts, processes and network.
on() {
    local node=$1
    shift
    timeout 90 nsenter --target="$(cat "$folder/$node/init")" --mount --net --pid -- "$@"
}

# ctl NODE WORDS...: clusterctl there.
ctl() {
    local node=$1
    shift
    on "$node" "$binaries/clusterctl" "$@" --socket "$folder/$node/state/admin.sock"
}

active() { ctl witness status --json 2>/dev/null | python3 -c 'import json, sys; print(json.load(sys.stdin).get("active") or "")'; }
serves() { [[ $(active) == "$1" ]]; }

# process NODE PROGRAM: its process number, as the host sees it.
process() {
    local entry space
    space=$(readlink "/proc/$(cat "$folder/$1/init")/ns/pid")
    for entry in /proc/[0-9]*; do
        if [[ $(readlink "$entry/ns/pid" 2>/dev/null) == "$space" && $(readlink "$entry/exe" 2>/dev/null) == */$2 ]]; then
            echo "${entry#/proc/}"
            return
        fi
    done
    return 1
}
