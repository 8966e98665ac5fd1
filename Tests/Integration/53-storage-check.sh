#!/usr/bin/env bash
# What a target must have for fencing, found out on scratch keys: clusterctl storage check, and what init makes of it.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/library.sh"
source "$(dirname "$0")/lib/target.sh"
source "$(dirname "$0")/lib/storage.sh"

if ((EUID != 0)); then
    skipped 'storage check: needs root for clusterd'
    exit 0
fi
daemons=()
clean_up_check() {
    ((${#daemons[@]} == 0)) || kill -KILL "${daemons[@]}" 2>/dev/null || true
    target_stop
}
trap clean_up_check EXIT

target_start "$work" 512M
# starts NAME COMMAND...: a clusterd of that name, which COMMAND becomes; `asks NAME WORDS...` is its clusterctl.
starts() {
    local name=$1
    shift
    "$@" --state-dir "$work/$name" --name "$name" --listen "127.0.0.1:$(free_port)" >"$work/$name.log" 2>&1 &
    daemons+=("$!")
    check "clusterd is there: $name" wait_for 10 waits_for_init "$name"
}
asks() {
    local name=$1
    shift
    "$binaries/clusterctl" "$@" --socket "$work/$name/admin.sock" 2>&1
}
waits_for_init() { (asks "$1" status || true) | grep -q 'in no cluster'; }
ask() { asks checker "$@"; }
starts checker "$binaries/clusterd"

# What init needs of the machine is looked for before anything is done to the LUN; and where it fails later, it leaves no key there, which
# the next try would take for another cluster's.
initialize=(init --cluster-name tcheck --address 127.0.0.1:7420 --virtual-ip 127.9.9.9/8 --interface lo --lun "$TARGET_URL" --format
    --accept-unsafe)
# shellcheck disable=SC2016  # the inner shell's own
starts bare unshare --mount bash -c 'mount --bind /dev/null "$1" && exec "${@:2}"' bare "$(command -v mkfs.xfs)" "$binaries/clusterd"
refuses 'an init on a machine without mkfs.xfs' 1 'mkfs.xfs is not installed: apt-get install xfsprogs, then try again' \
    asks bare "${initialize[@]}" --node-name bare
check_says 'which takes nothing on the LUN' 'holder=none keys=$' "$drill" inspect "$TARGET_URL" 1
if [[ -e /dev/fuse ]]; then
    mkdir "$work/no-programs"
    starts lame "$binaries/clusterd" --binaries "$work/no-programs"
    refuses 'an init whose lunbridge does not start' 5 'lunbridge.*No such file' asks lame "${initialize[@]}" --node-name lame
    check_says 'which leaves no key behind' 'holder=none keys=$' "$drill" inspect "$TARGET_URL" 1
else
    skipped 'an init that fails behind the fence: needs /dev/fuse'
fi

dd if=/dev/urandom of="$TARGET_IMAGE" bs=1M count=512 conv=notrunc status=none
before=$(sha256sum <"$TARGET_IMAGE")
status=0
said=$(ask storage check "$TARGET_URL") || status=$?
printf '%s\n' "$said"
says() { grep -qE -- "$1" <<<"$said"; }
shows_no_password() { ! grep -qF -- "$TARGET_PASSWORD" <<<"$said"; }
if [[ $TARGET_KIND == tgt ]]; then
    check 'a target that lacks something ends with the status of storage' test "$status" -eq 5
    check 'it is said that tgt forgets reservations' says 'UNSAFE .*do not outlive a restart'
    check 'it is said which writes tgt lets past them' says 'UNSAFE .*WRITE SAME'
    check 'what holds is said, too: reserving' says 'ok .*type 5'
    check 'and that writes are refused' says 'ok .*refuses writes'
    check 'and how it is taken from a node' says 'note .*no PREEMPT AND ABORT.*resets the logical unit'
    check 'and what a new login does' says 'note .*loses its registration'
    check 'and that the cache can be flushed' says 'ok .*writes its cache out'
    check 'and what follows' says '^UNSAFE: .*--accept-unsafe'
else
    check 'a target that has everything ends well' test "$status" -eq 0
    check 'LIO keeps reservations through a power loss' says 'ok .*outlive a power loss'
    check 'it reserves' says 'ok .*type 5'
    check 'refuses writes, of who never registered and of who was preempted' says 'ok .*refuses writes .*and of those that lost it'
    check 'and what else changes data' says 'ok .*refuses every other command'
    check 'aborts what is in flight' says 'ok .*aborts what the preempted one has in flight'
    check 'finds a registration again' says 'ok .*finds its registration again'
    check 'tells who registered' says 'ok .*READ FULL STATUS'
    check 'flushes' says 'ok .*writes its cache out'
    check 'and what follows' says '^Fit for a cluster'
fi
check 'the password is not shown' shows_no_password
check 'no byte is different' test "$(sha256sum <"$TARGET_IMAGE")" = "$before"
check_says 'no key is left' 'holder=none keys=$' "$drill" inspect "$TARGET_URL" 1

# What a check that was killed leaves: the next one clears it away.
check 'a scratch key is left behind' "$drill" take "$TARGET_URL" 65535 0
check_says 'the next check does not mind' 'ok .*type 5' ask storage check "$TARGET_URL"

# In use: asked and not tried.
check 'a node takes the LUN' "$drill" take "$TARGET_URL" 3 7
check_says 'a LUN in use is only asked' 'note .*in use by a Holdfast cluster \(node 3, term 7\)' ask storage check "$TARGET_URL"
check_says 'and keeps its reservation' 'holder=4846000300000007 type=5' "$drill" inspect "$TARGET_URL" 1
"$drill" clear "$TARGET_URL" 3 7 >/dev/null

status=0
ask storage check 'iscsi://127.0.0.1/nothing' >/dev/null || status=$?
check 'an address that is none is refused' test "$status" -eq 1
status=0
ask storage check "${TARGET_URL%/1}/9" >/dev/null || status=$?
check 'a LUN that is not there is storage that fails' test "$status" -eq 5
