#!/usr/bin/env bash
# Whoever makes a share's folder on the LUN may have to wait there, for ever if need be. The node hears its bridge meanwhile.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/library.sh"

export HOLDFAST_LAB_ID=folders$$
# shellcheck source=lib/cluster.sh
source "$(dirname "$0")/lib/cluster.sh"

first=$(active)
daemon=$(process "$first" clusterd)
place=$(awk '$3 == "xfs" && $1 ~ /loop/ { print $2; exit }' "/proc/$daemon/mounts")

# Frozen, the file system keeps whoever would change it in the kernel, as it does where something has to be read from a target that is
# away; and nothing but that keeps it.
frozen=
freeze() {
    nsenter --target="$daemon" --mount -- fsfreeze --freeze "$place"
    frozen=yes
}
thaw() {
    if [[ -n $frozen ]]; then nsenter --target="$daemon" --mount -- fsfreeze --unfreeze "$place" || true; fi
    frozen=
}
trap 'thaw; clean_up' EXIT
folder_waits() {
    local thread
    for thread in "/proc/$daemon/task"/*; do
        if [[ $(cat "$thread/comm") == folders ]] && grep -q '^State:.D' "$thread/status"; then return 0; fi
    done
    return 1
}
listing() {
    on "$first" timeout 10 smbclient "//10.77.0.10/$1" -U "user1%user1-$(cat "$folder/target/password")" -s /dev/null -c ls
}

check 'a share that is there already' listing test
freeze
ctl "$first" share add late --path deep/late >"$work/added" 2>&1 &
adding=$!
check 'the folder of another one waits' wait_for 10 folder_waits
check 'the death of lunbridge meanwhile' kill -KILL "$(process "$first" lunbridge)"
check '... is mended in place' wait_for 10 grep -q 'bridge-restart' "$folder/$first/log"
check '... while the folder waits' folder_waits
thaw
wait "$adding" || true
check_says 'whoever added it is told that it is served' 'share late is served' cat "$work/added"
check 'as it is' listing late
check 'and nobody moved' serves "$first"
