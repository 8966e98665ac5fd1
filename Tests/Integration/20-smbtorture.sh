#!/usr/bin/env bash
# Samba's own protocol tests. What is known to fail stands in smbtorture-expected-failures with its reason; a failure
# that is not listed and a listed test that passes are both errors. The suites run in groups side by side, each against a
# server and a file system of its own: most of their time they wait.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/library.sh"

# A group: the share's flags, then its suites. NAME@plain runs on an ordinary share of the same folder: those make and
# delete thousands of files, and where each deletion is brought to stable storage that only measures the disk.
groups=(
    ",ca connect read rw create getinfo setinfo dir@plain compound compound_find@plain lock tcon mkdir rename"
    ",ca session durable-v2-open persistent-open durable-v2-delay"
    ",ca lease dirlease"
    " oplock kernel-oplocks compound_async durable-open durable-open-disconnect"
    " replay"
    ",ca notify notify-inotify change_notify_disabled"
)
# By night also where state is not recorded.
if [[ -n ${HOLDFAST_NIGHTLY:-} ]]; then groups+=(" lease dirlease durable-v2-open"); fi
time_limit=${HOLDFAST_TORTURE_LIMIT:-90}
expected=$here/smbtorture-expected-failures

declare -A reason=()
declare -A either=()
while read -r name why; do
    if [[ -z $name || $name == \#* ]]; then continue; fi
    if [[ $name == \?* ]]; then
        name=${name#\?}
        either[$name]=yes
    fi
    if [[ -z $why ]]; then failed "expected failure $name has a reason"; fi
    reason[$name]=$why
done <"$expected"

# A listed test's last word stands twice: smb2.read.eof.eof.
list=$(smbtorture --list 2>/dev/null | tr -d ' ' | sed -E 's/\.([^.]+)\.\1$/.\1/')

# torture NAME SHARE: runs one test and says how it went.
torture() {
    local name=$1 began=$SECONDS status=0 output took result
    output=$(timeout "$time_limit" smbtorture "//127.0.0.1/$2" -U "alice%$password" -p "$port" -s /dev/null \
        --option=torture:writetimeupdatedelay=500000 "$name" 2>&1) || status=$?
    took=$((SECONDS - began))
    if grep -qE '^(failure|error): ' <<<"$output" || { ((status != 0)) && ! grep -q '^skip: ' <<<"$output"; }; then
        result=failed
        if ((status == 124)); then output+=$'\n'"no end within $time_limit s"; fi
    elif grep -q '^success: ' <<<"$output"; then
        result=passed
    elif grep -q '^skip: ' <<<"$output"; then
        result=skipped
    else
        result=failed
    fi
    case $result-${reason[$name]:+listed} in
        passed-) passed "$name ($took s)" ;;
        skipped-*) skipped "$name $(grep -m 1 -A 1 '^skip: ' <<<"$output" | tr '\n' ' ' | cut -c 1-120)" ;;
        failed-listed) passed "$name fails as expected: ${reason[$name]}" ;;
        passed-listed)
            if [[ -n ${either[$name]:-} ]]; then passed "$name ($took s)"; return; fi
            failed "$name passes though it is listed as an expected failure: take it off the list"
            ;;
        failed-) failed "$name ($took s)" "$output" ;;
    esac
}

# run_group NUMBER FLAGS SUITE...: in a subshell of its own.
run_group() {
    work=$work/$1
    # shellcheck disable=SC2034  # start_server uses it
    share_flags=$2
    shift 2
    share_path=$work/share
    server_log=$work/smbserverd.log
    mkdir -p "$work"
    trap clean_up EXIT
    cd "$work" # smbtorture makes temporary files where it stands
    make_share
    start_server --share "plain=$share_path"
    local suite share names name
    for suite in "$@"; do
        share='test'
        if [[ $suite == *@plain ]]; then share=plain; fi
        suite=${suite%@plain}
        names=$(grep -E "^smb2\.$suite(\.|\$)" <<<"$list" || true)
        if [[ -z $names ]]; then
            skipped "smb2.$suite: not in $(smbtorture --version 2>/dev/null | tail -n 1)"
            continue
        fi
        for name in $names; do
            if [[ -n ${HOLDFAST_TORTURE_ONLY:-} && ! $name =~ $HOLDFAST_TORTURE_ONLY ]]; then continue; fi
            torture "$name" "$share"
            if ! kill -0 "$server" 2>/dev/null; then
                failed "the server lives through $name" "$(tail -n 20 "$server_log")"
                start_server --share "plain=$share_path"
            fi
        done
    done
}

children=()
ports=()
trap 'kill -TERM "${children[@]}" 2>/dev/null || true; exit 143' INT TERM
for number in "${!groups[@]}"; do
    mkdir -p "$work/$number"
    while [[ -z $port || " ${ports[*]} " == *" $port "* ]]; do port=$(free_port); done
    ports+=("$port")
    # A leading blank: an ordinary share.
    flags=${groups[number]%% *}
    read -ra suites <<<"${groups[number]#* }"
    (run_group "$number" "$flags" "${suites[@]}") >"$work/$number/output" 2>&1 &
    children+=($!)
done
for number in "${!groups[@]}"; do
    if ! wait "${children[number]}"; then failed "group ${groups[number]} ended early"; fi
    cat "$work/$number/output"
done

for name in "${!reason[@]}"; do
    if ! grep -qxF -- "$name" <<<"$list"; then printf 'note: %s is listed but not in this smbtorture\n' "$name"; fi
done
