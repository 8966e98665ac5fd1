#!/usr/bin/env bash
# The target is silent for longer than anything may hang: what needs the disk waits, and goes on with the same server.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/library.sh"

export HOLDFAST_LAB_ID=target$$
# shellcheck source=lib/cluster.sh
source "$(dirname "$0")/lib/cluster.sh"

silent_seconds=14
share() {
    timeout 60 nsenter --net="/run/netns/hf-$HOLDFAST_LAB_ID-client" smbclient //10.77.0.10/test \
        -U "user1%user1-$(cat "$folder/target/password")" -s /dev/null -c "$1"
}
# The laboratory's own: the one in the target's network.
target() {
    local entry
    for entry in $(ip netns pids "hf-$HOLDFAST_LAB_ID-target"); do
        if [[ $(cat "/proc/$entry/comm" 2>/dev/null) == tgtd ]]; then echo "$entry"; fi
    done
}

serving=$(active)
printf 'contents\n' >"$work/file"
check 'a folder with files' share "mkdir folder; cd folder; put $work/file one; put $work/file two"
server=$(process "$serving" smbserverd)
began=$(ctl witness events | wc -l)
mapfile -t targets < <(target)
check 'the target is found' test "${#targets[@]}" -ge 1
kill -STOP "${targets[@]}"
# What the server would need is asked for anew from the disk.
sync_nothing() { echo 2 >/proc/sys/vm/drop_caches; }
sync_nothing
for name in one two three four; do
    share "cd folder; put $work/file $name" >"$work/$name.said" 2>&1 &
done
sleep "$silent_seconds"
kill -CONT "${targets[@]}"
wait
for name in one two three four; do
    share "get folder/$name $work/$name" >/dev/null 2>&1 || true
    check_same "what was written meanwhile is there: $name" "$work/file" "$work/$name"
done
if grep -l NT_STATUS "$work"/*.said >/dev/null; then
    failed 'nobody was told of an error' "$(grep NT_STATUS "$work"/*.said)"
else
    passed 'nobody was told of an error'
fi
check 'the same server serves' test "$(process "$serving" smbserverd)" = "$server"
check 'on the same node' serves "$serving"
check_says 'its log says what was waited for' 'the LUN is unreachable' cat "$folder/$serving/log"
echo "    $(($(ctl witness events | wc -l) - began)) events"
