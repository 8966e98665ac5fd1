#!/usr/bin/env bash
# Snapshots of a clustered share: ordered on any node, known to both after a move and after the death of a node, and made by
# schedule on whichever node serves.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/library.sh"

export HOLDFAST_LAB_ID=snap$$
# shellcheck source=lib/cluster.sh
source "$(dirname "$0")/lib/cluster.sh"

# user NODE COMMANDS: smbclient on that node, at the address of the cluster.
user() {
    on "$1" timeout 30 smbclient //10.77.0.10/test -U "user1%user1-$(cat "$folder/target/password")" -s /dev/null -c "$2"
}

head -c 1000001 /dev/urandom >"$work/old"
head -c 1000001 /dev/urandom >"$work/new"
first=$(active)
second='node-b'
if [[ $first == node-b ]]; then second='node-a'; fi

check 'a file' user "$first" "put $work/old file"
check_says 'no snapshots' 'no snapshots' ctl "$second" snapshot list
check_says 'a snapshot, ordered at the witness' '^@GMT-.* files in ' ctl witness snapshot create test
token=$(ctl "$second" snapshot list test | awk '{print $2}')
check 'its name is a token' grep -qE '^@GMT-[0-9.]{10}-[0-9.]{8}$' <<<"$token"
check 'the file changes' user "$first" "put $work/new file"
check_says 'a client sees the version' "^$token" user "$first" 'allinfo file'
check_says 'of a share that is not there' 'no share nothing' ctl "$second" snapshot create nothing
check_says 'of another second' 'no such snapshot' ctl "$second" snapshot delete test @GMT-2001.01.01-00.00.00
check_says 'nothing to cancel' 'nothing is being made' ctl "$second" snapshot cancel test
check_says "a share in Holdfast's own folder" "Holdfast's own" ctl "$first" share add own --path .holdfast

check 'the share moves' ctl witness move "$second"
check 'to the other node' wait_for 15 serves "$second"
check_says 'which knows the snapshot' "test +$token" ctl "$first" snapshot list
check 'its client gets the old version' user "$second" "get $token\\file $work/got-old"
check_same 'with the old bytes' "$work/old" "$work/got-old"
check 'and the present one' user "$second" "get file $work/got-new"
check_same 'with the new bytes' "$work/new" "$work/got-new"

check_says 'a schedule' 'every 10 s, 2 of which stay' ctl "$first" snapshot schedule test --every 10s --keep 2
check_says 'is shown on every node' 'test +every 10 s, keeps 2' ctl witness snapshot schedule
check_says 'a schedule without sense' 'period must be' ctl witness snapshot schedule test --every 1s --keep 2
scheduled() { ctl witness snapshot list test | awk '$3 == "scheduled" {print $2}'; }
has_scheduled() { (($(scheduled | wc -l) >= $1)); }
check 'it makes snapshots' wait_for 25 has_scheduled 2
before=$(scheduled | tail -n 1)
check 'the death of the node that serves' kill -KILL "$(process "$second" clusterd)"
check 'is noticed' wait_for 20 serves "$first"
newer() { [[ $(scheduled | tail -n 1) > $before ]]; }
check 'the other node goes on with the schedule' wait_for 30 newer
sleep 12
check_says 'and keeps two' '^2$' bash -c "wc -l <<<'$(scheduled)'"
check_says 'beside the one that was made by hand' "test +$token\$" ctl witness snapshot list test
check_says 'no schedule any more' 'no schedule any more' ctl witness snapshot schedule test --remove
check_says 'none is shown' 'no schedule' ctl "$second" snapshot schedule test

check_says 'it is deleted' 'is deleted' ctl witness snapshot delete test "$token"
check_says 'and is no version any more' 'OBJECT_NAME_NOT_FOUND' user "$first" "get $token\\file $work/none"

# A server dies while it makes one: what is left goes when the next one serves.
mount=/proc/$(process "$first" clusterd)/root$folder/$first/state/mount
place=$(find "$mount/.holdfast/snapshots" -mindepth 1 -maxdepth 1)
cp -r "$place/$(scheduled | head -n 1)" "$place/.making-@GMT-2026.01.01-00.00.00"
check 'the death of its smbserverd' kill -KILL "$(process "$first" smbserverd)"
unfinished_is_gone() { [[ ! -e $place/.making-@GMT-2026.01.01-00.00.00 ]]; }
check 'an unfinished snapshot is removed' wait_for 15 unfinished_is_gone
check_says 'and the others are there' 'scheduled' ctl witness snapshot list test
