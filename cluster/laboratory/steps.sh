# shellcheck shell=bash
# Steps, each timed, counted and by itself: `cluster/laboratory/test` and `nightly` are made of them.
#   step NAME FUNCTION [NEEDS...]   runs FUNCTION unless the words of `only` name others; where a step that it needs failed, it is
#                                   counted as failed, too, and the others still run
#   finish_steps                    prints what the failed steps complained of, how long each took, and 'N passed, N failed';
#                                   false where a step failed or none ran
# Who reads only the end of a long log (CI keeps no more) sees there which step failed, and why.
set -euo pipefail

only=()
steps_passed=0
steps_failed=0
steps_broken=()
steps_known=()
steps_times=()
steps_log=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-steps-XXXXXX")
trap 'rm -rf "$steps_log"' EXIT

# How many lines of a failed step are repeated at the end: those that look like complaints, with what follows them, and its last ones.
readonly steps_complaints=160 steps_follow=36 steps_last_lines=25
readonly steps_complaint='✘|error:|[Ff]atal|FAILED|^fail|[1-9][0-9]* failed|AssertionError|Traceback|SUMMARY: '

step() {
    local name=$1 need began=$SECONDS status=0
    steps_known+=("$name")
    if ((${#only[@]} > 0)) && [[ " ${only[*]} " != *" $name "* ]]; then return; fi
    for need in "${@:3}"; do
        if [[ " ${steps_broken[*]} " == *" $need "* ]]; then
            printf '\n#### %s: not run, %s failed\n' "$name" "$need"
            steps_failed=$((steps_failed + 1))
            steps_broken+=("$name")
            return
        fi
    done
    printf '\n#### %s (at %d s)\n' "$name" "$SECONDS"
    # Not as part of a condition, where `set -e` has no effect.
    set +e
    (set -euo pipefail; "$2") </dev/null 2>&1 | tee "$steps_log/$name"
    status=${PIPESTATUS[0]}
    set -e
    steps_times+=("$name $((SECONDS - began)) s")
    if ((status == 0)); then
        printf '#### %s passed in %d s\n' "$name" $((SECONDS - began))
        steps_passed=$((steps_passed + 1))
    else
        printf '#### %s FAILED with %d after %d s\n' "$name" "$status" $((SECONDS - began))
        steps_failed=$((steps_failed + 1))
        steps_broken+=("$name")
    fi
}

finish_steps() {
    local name
    for name in "${only[@]}"; do
        if [[ " ${steps_known[*]} " != *" $name "* ]]; then
            printf '\n#### there is no step %s; there are: %s\n' "$name" "${steps_known[*]}"
            steps_failed=$((steps_failed + 1))
        fi
    done
    for name in "${steps_broken[@]}"; do repeat_complaints "$name"; done
    printf '\n#### '
    printf '%s; ' "${steps_times[@]}"
    printf 'all in %d s\n' "$SECONDS"
    if ((${#steps_broken[@]} > 0)); then printf '#### FAILED: %s\n' "${steps_broken[*]}"; fi
    printf '%d passed, %d failed\n' "$steps_passed" "$steps_failed"
    ((steps_failed == 0 && steps_passed > 0))
}

repeat_complaints() {
    local log=$steps_log/$1
    if [[ ! -s $log ]]; then return; fi
    printf '\n#### %s FAILED; of what it said:\n' "$1"
    grep -nE -A "$steps_follow" "$steps_complaint" "$log" | cut -c 1-400 | tail -n "$steps_complaints" || true
    printf '#### its last lines:\n'
    tail -n "$steps_last_lines" "$log" | cut -c 1-400
}

# Release programs with the Swift runtime inside, as a node gets them.
programs() {
    swift build -c release --static-swift-stdlib
    local name
    for name in clusterd clusterctl smbserverd lunbridge; do
        "$(programs_path)/$name" --help >/dev/null
    done
}

programs_path() { swift build -c release --static-swift-stdlib --show-bin-path; }

# simulate SEEDS: all three simulators.
simulate() {
    "$(programs_path)/clustersim" --seeds "0..<$1" --seconds 60 \
        && "$(programs_path)/clustersim" --quorum-disk --seeds "0..<$1" --seconds 60 \
        && "$(programs_path)/clustersim" --takeover --seeds "0..<$1" --seconds 60
}

# Each safeguard switched off, in all three simulators: they must notice.
hunt_defects() {
    "$(programs_path)/clustersim" --mutations \
        && "$(programs_path)/clustersim" --quorum-disk --mutations \
        && "$(programs_path)/clustersim" --takeover --mutations
}

# leftovers LABORATORY: nothing of what a laboratory starts is still there.
leftovers_of() {
    local left
    left=$(ip netns list | grep "^hf-$1-" || true)
    left+=$(losetup --list --noheadings --output BACK-FILE | grep "holdfast-lab/$1/" || true)
    left+=$(ls -d "/run/holdfast-lab/$1" "/dev/shm/holdfast-lab-$1" 2>/dev/null || true)
    printf '%s' "$left"
    [[ -z $left ]]
}
