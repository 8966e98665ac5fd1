#!/usr/bin/env bash
# Samba's own protocol tests against a standalone server: what `cluster/lab torture --standalone-only` runs, without the suites
# that only wait; HOLDFAST_NIGHTLY=1 runs them too. HOLDFAST_TORTURE_ONLY=REGEX picks tests.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/library.sh"

words=(--standalone-only --results "$results")
if [[ -n ${HOLDFAST_TORTURE_ONLY:-} ]]; then words+=(--only "$HOLDFAST_TORTURE_ONLY"); fi
if [[ -z ${HOLDFAST_NIGHTLY:-} ]]; then words+=(--quick); fi

status=0
HOLDFAST_LAB_ID=integration-$$ HOLDFAST_CACHE=$work PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=$here/../../cluster/laboratory python3 -m holdfast_lab torture "${words[@]}" || status=$?
# 3: some test surprised, which the results say already.
((status == 0 || status == 3))
