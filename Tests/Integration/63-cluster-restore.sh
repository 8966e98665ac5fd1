#!/usr/bin/env bash
# A backup, the loss of all nodes, and the cluster brought back on one machine from the backup and the LUN.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/library.sh"

export HOLDFAST_LAB_ID=restore$$
# shellcheck source=lib/cluster.sh
source "$(dirname "$0")/lib/cluster.sh"

share() {
    on "$1" timeout 30 smbclient //10.77.0.10/test -U "user1%user1-$(cat "$folder/target/password")" -s /dev/null -c "$2"
}
term() { ctl "$1" status --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["term"])'; }
restore=(--node-name node-a --address 10.77.0.11:7420)

printf 'what the company lives on\n' >"$work/book"
check 'a file' share witness "put $work/book book"
check 'a setting' ctl witness limit set notifies 777
check_says 'a backup' '1 shares, [0-9]+ users$' ctl witness backup "$work/backup"
check_says 'is its owner'"'"'s alone' '^600$' stat -c %a "$work/backup"
refuses 'and is never overwritten' 1 'File exists' ctl witness backup "$work/backup"
check 'it holds no private key' bash -c "! grep -q 'PRIVATE KEY' '$work/backup'"
refuses 'a restore on a node of a cluster' 4 'is already node' ctl node-a restore "$work/backup" "${restore[@]}"

# The majority is gone: what one node has can still be saved.
"$lab" kill witness >/dev/null 2>&1
"$lab" kill node-b >/dev/null 2>&1
no_leader() { ctl node-a status --json | grep -q '"hasQuorum" : false'; }
check 'no majority' wait_for 20 no_leader
refuses 'no backup that a majority confirms' 3 'no leader' ctl node-a backup "$work/confirmed"
check_says 'but what the node has' 'NOT CONFIRMED' ctl node-a backup "$work/local" --local

# All is lost but the LUN, the backup, and an old node that nobody knows of.
before=$(term node-a)
"$lab" kill node-a >/dev/null 2>&1
rm -rf "$folder/node-a/state"
"$lab" revive node-a >/dev/null 2>&1
printf 'x' | dd of="$work/local" bs=1 seek=200 conv=notrunc status=none
refuses 'a damaged backup' 1 'damaged .the checksum is wrong' ctl node-a restore "$work/local" "${restore[@]}"
refuses 'another node name' 1 'use the same name' ctl node-a restore "$work/backup" --node-name node-x --address 10.77.0.11:7420
refuses 'an interface that the machine has not' 1 "no network interface eth7.*'ip link'.*--interface" \
    ctl node-a restore "$work/backup" "${restore[@]}" --interface eth7
refuses 'a LUN with the keys of the old nodes' 5 'all its nodes are off, repeat with --force' \
    ctl node-a restore "$work/backup" "${restore[@]}"
check_says 'a restore' 'is brought back as of entry [0-9]+, with this machine as its only node. Dropped: ' \
    ctl node-a restore "$work/backup" "${restore[@]}" --force
active_is() { [[ $(ctl node-a status --json | python3 -c 'import json, sys; print(json.load(sys.stdin).get("active") or "")') == "$1" ]]; }
check 'serves' wait_for 20 active_is node-a
check 'the file, to the user' share node-a "get book $work/back"
check_same 'as it was' "$work/book" "$work/back"
check_says 'with its settings' 'notifies [0-9]+/777' ctl node-a status
check_says 'and says where it comes from' 'restored on node-a: from a backup of entry' ctl node-a status
check 'in a term beyond all of before' test "$(term node-a)" -gt $((before + 1000000))

# The only node of the cluster, and its own state is damaged: there is nobody to take it from. It says so and changes nothing.
boot=$(cut -d ' ' -f 1 "$folder/node-a/boot")
state=$folder/node-a/state
kill -STOP "$boot"
kill -KILL "$(process node-a clusterd)"
sqlite3 -cmd '.timeout 5000' "$state/state.db" 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null
cp "$state/state.db" "$work/whole"
dd if=/dev/urandom of="$state/state.db" bs=4096 seek=1 count=4 conv=notrunc status=none
cp "$state/state.db" "$work/damaged"
kill -CONT "$boot"
check 'its own damage: it stops, and says what to do' wait_for 20 \
    grep -q "no other node to take its contents from.*'clusterctl restore FILE'" "$folder/node-a/log"
check_same 'and leaves the file as it is' "$state/state.db" "$work/damaged"
check 'and nothing is set aside' bash -c "! ls '$state'/state.db.damaged-*"
kill -STOP "$boot"
kill -KILL "$(process node-a clusterd 2>/dev/null)" 2>/dev/null || true
cp "$work/whole" "$state/state.db"
rm -f "$state/state.db-wal" "$state/state.db-shm"
kill -CONT "$boot"
check 'with the file as it was it serves again' wait_for 30 active_is node-a

# The old nodes come back as if nothing had been.
"$lab" revive node-b >/dev/null 2>&1
"$lab" revive witness >/dev/null 2>&1
sleep 8
check 'they have no say' active_is node-a
check 'and cannot write to the LUN' share node-a "put $work/book second"
check_says 'the fence is the restored node'"'"'s' 'held by this node' ctl node-a status

# A new standby.
"$lab" kill node-b >/dev/null 2>&1
"$lab" kill witness >/dev/null 2>&1
rm -rf "$folder/node-b/state" "$folder/witness/state"
"$lab" revive node-b >/dev/null 2>&1
"$lab" revive witness >/dev/null 2>&1
joins() {
    ctl "$1" join 10.77.0.11:7420 --token "$(ctl node-a token | tail -n 1)" --node-name "$1" --address "$2:7420" "${@:3}"
}
check 'node-b joins anew' joins node-b 10.77.0.12
check 'the witness, too' joins witness 10.77.0.13 --role witness
check 'and the share moves' wait_for 20 ctl witness move node-b
check 'to it' wait_for 20 serves node-b
check 'with the file' share witness "get book $work/moved"
check_same 'and all that is in it' "$work/book" "$work/moved"

# Two nodes alone, and one of them loses its state: the other one says what to do, and that is done to the letter.
check 'the witness leaves' ctl witness leave
kill -KILL "$(process node-b clusterd)"
rm -f "$folder"/node-b/state/state.db "$folder"/node-b/state/state.db-wal "$folder"/node-b/state/state.db-shm
says_what_to_do() { (ctl node-b status 2>&1 || true) | grep -q 'does not heal by itself'; }
check 'the node that lost its state says what to do' wait_for 30 says_what_to_do
said=$(ctl node-b status 2>&1 || true)
# step WORD [FROM TO]: the arguments of that clusterctl in what was said, into `words`.
step() {
    local text
    text=$(grep -oE "'clusterctl $1[^']*'" <<<"$said" | tr -d "'")
    if (($# > 1)); then text=${text/"$2"/"$3"}; fi
    read -ra words <<<"${text#clusterctl }"
}
step backup FILE "$work/alone"
check_says 'the other one is backed up' 'NOT CONFIRMED' ctl node-a "${words[@]}"
for node in node-a node-b; do
    "$lab" kill "$node" >/dev/null 2>&1
    mv "$folder/$node/state" "$folder/$node/state.old"
    "$lab" revive "$node" >/dev/null 2>&1
done
step restore FILE "$work/alone"
check_says 'and restored' 'with this machine as its only node' ctl node-a "${words[@]}"
check 'it serves' wait_for 20 active_is node-a
step token
token=$(ctl node-a "${words[@]}" | tail -n 1)
step join TOKEN "$token"
check 'the one that lost its state joins' ctl node-b "${words[@]}"
check 'and the share moves to it' wait_for 20 ctl node-a move node-b
check 'which serves' wait_for 20 active_is node-b
check 'with the file, once more' share node-b "get book $work/again"
check_same 'as it ever was' "$work/book" "$work/again"

