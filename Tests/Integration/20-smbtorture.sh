#!/usr/bin/env bash
# Samba's own protocol tests. What is known to fail stands in smbtorture-expected-failures with its reason; a failure
# that is not listed and a listed test that passes are both errors.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/library.sh"

suites=(
    connect read rw create getinfo setinfo dir compound compound_find lock session tcon mkdir rename durable-v2-open
    persistent-open
)
cd "$work" # smbtorture makes temporary files where it stands
time_limit=${HOLDFAST_TORTURE_LIMIT:-90}
expected=$here/smbtorture-expected-failures

make_share
# shellcheck disable=SC2034  # start_server uses it
share_flags=,ca
# These make and delete thousands of files: on a share that brings each deletion to stable storage that only measures
# the disk. They get the same folder as an ordinary share.
declare -A share_of=([dir]=plain [compound_find]=plain)
start_server --share "plain=$share_path"

declare -A reason=()
while read -r name why; do
    if [[ -z $name || $name == \#* ]]; then continue; fi
    if [[ -z $why ]]; then failed "expected failure $name has a reason"; fi
    reason[$name]=$why
done <"$expected"

# A listed test's last word stands twice: smb2.read.eof.eof.
list=$(smbtorture --list 2>/dev/null | tr -d ' ' | sed -E 's/\.([^.]+)\.\1$/.\1/')
declare -A exists=()
for suite in "${suites[@]}"; do
    names=$(grep -E "^smb2\.$suite(\.|\$)" <<<"$list" || true)
    if [[ -z $names ]]; then
        skipped "smb2.$suite: not in $(smbtorture --version 2>/dev/null | tail -n 1)"
        continue
    fi
    for name in $names; do
        exists[$name]=yes
        if [[ -n ${HOLDFAST_TORTURE_ONLY:-} && ! $name =~ $HOLDFAST_TORTURE_ONLY ]]; then continue; fi
        began=$SECONDS
        status=0
        output=$(timeout "$time_limit" smbtorture "//127.0.0.1/${share_of[$suite]:-test}" -U "alice%$password" -p "$port" -s /dev/null \
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
            skipped-*) skipped "$name $(grep -m 1 '^skip: ' <<<"$output" | cut -c 1-100)" ;;
            failed-listed) passed "$name fails as expected: ${reason[$name]}" ;;
            passed-listed) failed "$name passes though it is listed as an expected failure: take it off the list" ;;
            failed-) failed "$name ($took s)" "$output" ;;
        esac
        if ! kill -0 "$server" 2>/dev/null; then
            failed "the server lives through $name" "$(tail -n 20 "$server_log")"
            start_server --share "plain=$share_path"
        fi
    done
done

for name in "${!reason[@]}"; do
    if [[ -z ${exists[$name]:-} ]]; then printf 'note: %s is listed but not in this smbtorture\n' "$name"; fi
done
