#!/usr/bin/env bash
# Leaving, joining again, and the ends of a node, on a whole cluster. What administrators do wrong while they make one is in
# cluster/laboratory/holdfast_lab/faults.py.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/library.sh"

export HOLDFAST_LAB_ID=admin$$
# shellcheck source=lib/cluster.sh
source "$(dirname "$0")/lib/cluster.sh"

follows() { ctl "$1" status --json | grep -q '"hasQuorum" : true'; }
idle() { (ctl "$1" status 2>&1 || true) | grep -q 'in no cluster'; }

refuses 'a move to a witness' 1 'never serves' ctl node-a move witness
refuses 'a leave of the node that serves' 1 "'clusterctl move' first" ctl "$(active)" leave
refuses 'an empty password' 64 'empty password' ctl witness user add zoe --password-stdin <<<''
refuses 'a limit that nobody knows' 64 'no limit printers: they are connections' ctl node-a limit set printers 5
refuses 'a limit out of its bounds' 64 'opens must be a number from 1 to 4194304' ctl node-a limit set opens 0
check 'a limit is set' ctl witness limit set notifies 777
check_says 'and shown on every node' 'notifies [0-9]+/777' ctl node-a status
check_says 'as JSON too' '"limit" : 777' ctl node-b status --json
check 'a limit is reset' ctl node-b limit reset notifies
check_says 'to what it was' '^notifies [0-9]+/65536' ctl witness limit list
refuses 'a security setting that nobody knows' 64 'no security setting guests: they are signing' ctl node-a security set guests on
refuses 'a cipher that is none' 64 'each of these at most once: aes-128-gcm' ctl node-a security set ciphers rot13
check 'a security setting is set' ctl witness security set session-lifetime 3600
check_says 'and shown on every node' 'session-lifetime 3600' ctl node-a status
check_says 'by itself' '^ciphers aes-128-gcm,aes-128-ccm,aes-256-gcm,aes-256-ccm$' ctl node-b security show
check 'and set back' ctl node-b security set session-lifetime 0
check_says 'no clusterd at the socket' 'cannot reach clusterd' "$binaries/clusterctl" status --socket "$work/none.sock"
check_says 'the LUN without its password' '%\*\*\*@' ctl node-b status

# Who did what, and what the state was.
check_says 'an act is an event' 'administration on node-[ab]: uid 0 on witness: security set session-lifetime 3600: done' ctl node-a events
check_says 'and so is one that was refused' "its administrator on node-[ab]: leave node-[ab]: not done: .*'clusterctl move' first" ctl node-b events
check 'it is in the log of the node that was asked' grep -q 'audit: uid 0 on witness: security set session-lifetime 3600: done' "$folder/witness/log"
check 'and in the leader'"'"'s' grep -q 'audit: uid 0 on witness: security set session-lifetime 3600: done' "$folder/$(active)/log"
check 'what came of init is in the log of the node that was made' grep -q 'audit: uid 0: init of cluster tshare: done' "$folder/node-a/log"
check_says 'events as JSON lines' '^\{"detail":.*"kind":"administration"' ctl node-a events --json --since 10m
check 'none of them older than a second' bash -c "sleep 2; [[ -z \$(nsenter --target=\$(cat $folder/witness/init) --mount --net --pid -- \
    $binaries/clusterctl events --since 1s --socket $folder/witness/state/admin.sock) ]]"
(ctl node-b events --follow --since 1s >"$work/followed" 2>&1 &)
sleep 2
ctl witness limit set notifies 4711 >/dev/null
check 'events that follow' wait_for 5 grep -q 'limit set notifies 4711: done' "$work/followed"
ctl witness limit reset notifies >/dev/null
check 'every line says where the node stands' bash -c \
    "! grep ' clusterd' '$folder/node-a/log' | sed '1,/start 1/d' | grep -v 'index=[0-9]* node=node-a role=[a-zA-Z]* term=[0-9]*' | grep -v node-boot"
check_says 'the configuration' '^limit notifies 65536$' ctl witness inspect configuration
now=$(ctl witness inspect configuration | sed -n 's/^as of entry \([0-9]*\).*/\1/p')
earlier() {
    local index
    for ((index = now; index > now - 8; index--)); do
        ctl witness inspect configuration --index "$index" | grep -x 'limit notifies 4711' && return
    done
    return 1
}
check 'and as it was a moment ago' earlier
check 'none of its secrets' bash -c "! nsenter --target=\$(cat $folder/witness/init) --mount --net --pid -- \
    $binaries/clusterctl inspect configuration --socket $folder/witness/state/admin.sock | grep -E 'PRIVATE|$(cat "$folder/target/password")'"
refuses 'an entry that is not there yet' 1 'is not kept: this node keeps the state of the entries [0-9]+ to [0-9]+' ctl witness inspect opens --index 999999
check_says 'no locks, as of now' '^no locks$' ctl node-a inspect locks

# A machine as systemd/clusterd.service starts it, with nothing configured: its name is the host's.
mkdir -p "$work/unit"
command=$(sed -n 's,^ExecStart=/usr/sbin/,,p' "$here/../../systemd/clusterd.service")
command=${command% \$CLUSTERD_OPTIONS}
read -ra command <<<"${command//\/var\/lib\/holdfast/$work/unit}"
# shellcheck disable=SC2016  # the inner shell's own
unshare --uts --net --mount --fork --kill-child bash -c 'hostname "$1"; shift; exec "$@"' unit fresh-node.example.test \
    "$binaries/${command[0]}" "${command[@]:1}" >"$work/unit.log" 2>&1 &
unit=$!
asks_unit() { "$binaries/clusterctl" "$@" --socket "$work/unit/admin.sock" 2>&1; }
waits_for_init() { (asks_unit status || true) | grep -q "in no cluster"; }
check 'the unit starts clusterd' wait_for 10 waits_for_init
check_says 'under the name of the host' 'clusterd runs as node fresh-node, not other' asks_unit join 127.0.0.1:9 \
    --token none --node-name other --address 127.0.0.1:7420
check 'whose log says who asked, and what came of it' grep -qF \
    'audit: uid 0: join at 127.0.0.1:9: not done: clusterd runs as node fresh-node, not other' "$work/unit.log"
kill -KILL "$unit" 2>/dev/null || true
wait "$unit" 2>/dev/null || true

check_says 'both nodes reach the LUN' 'node-b .* reached ' ctl "$(active)" status

# What clients make has the share's modes, though clusterd keeps its own files from everybody.
first=$(active)
mount=/proc/$(process "$first" clusterd)/root$folder/$first/state/mount
check 'a client makes a file and a folder' on "$first" timeout 30 smbclient //10.77.0.10/test \
    -U "user1%user1-$(cat "$folder/target/password")" -s /dev/null -c "put $here/library.sh modes; mkdir modes.folder"
check_says 'the file has the share'"'"'s mode' '^664$' stat -c %a "$mount/test/modes"
check_says 'and so has the folder' '^775$' stat -c %a "$mount/test/modes.folder"
check_says 'and the share'"'"'s own' '^775$' stat -c %a "$mount/test"

# A share that is added is there for whoever connects next; one whose folder cannot be had is not added.
files() {
    on "$(active)" timeout 20 smbclient "//10.77.0.10/$1" -U "user1%user1-$(cat "$folder/target/password")" -s /dev/null -c "$2"
}
at_once() { ctl witness share add "$1" --path "$1" && files "$1" ls; }
is_listed() { ctl node-a share list | grep -qw "$1"; }
is_not_listed() { ! is_listed "$1"; }
for number in 1 2 3 4 5; do
    check "share $number is there when 'share add' has said so" at_once "at-once-$number"
    check 'it goes' ctl witness share remove "at-once-$number"
done
check 'a plain file' files test 'put /etc/hostname in-the-way'
refuses 'a share whose folder is a plain file' 1 'share wrong is not added: .*in-the-way' \
    ctl witness share add wrong --path test/in-the-way
refuses 'a share beneath a plain file' 1 'share wrong is not added: .*in-the-way' \
    ctl "$(active)" share add wrong --path test/in-the-way/folder
check 'it is not listed' is_not_listed wrong
refuses 'a share that there is' 1 'share TEST' ctl witness share add TEST --path elsewhere
# What was a folder when the share was added need not stay one.
check 'a share within another' ctl witness share add within --path test/within
check 'its folder goes' files test 'rmdir within'
check 'and a file takes its place' files test 'put /etc/hostname within'
check 'the node after this one' wait_for 15 ctl witness move
check '... serves the other shares' wait_for 10 files test ls
check 'the share without a folder goes' ctl witness share remove within

# A move that the other node does not take up, because it hangs while the server here is asked to freeze (which hangs, too, so that
# there is time for it): from the detach to the next fence the LUN is never without a reservation, in which a late write of an older
# node would land.
first=$(active)
second='node-b'
if [[ $first == node-b ]]; then second='node-a'; fi
lun="iscsi://holdfast%$(cat "$folder/target/password")@10.77.0.2:3260/iqn.2024-01.example.holdfast:tshare/1"
other=$(process "$second" clusterd)
holders() {
    local until=$((SECONDS + 8))
    while ((SECONDS < until)); do
        on "$first" "$binaries/storagedrill" inspect "$lun" 9 2>/dev/null | grep '^state' || true
    done
}
kill -STOP "$(process "$first" smbserverd)"
ctl "$first" move "$second" >"$work/move.log" 2>&1 &
move=$!
moves() { grep -q 'moving away: freeze' "$folder/$first/log"; }
check 'a move begins' wait_for 5 moves
kill -STOP "$other"
holders >"$work/holders"
kill -CONT "$other"
wait "$move" || true
check 'the share was detached meanwhile' grep -q 'moving away: transfer' "$folder/$first/log"
check 'the LUN was looked at' grep -q 'holder=4846' "$work/holders"
check 'and never without a reservation' bash -c "! grep -v 'holder=4846' '$work/holders'"
somebody_serves() { [[ -n $(active) ]]; }
check 'and somebody serves again' wait_for 20 somebody_serves

# Leaving and joining.
check 'the witness leaves' ctl witness leave
check 'its clusterd starts empty' wait_for 10 idle witness
join=(join 10.77.0.11:7420 --node-name witness --address 10.77.0.13:7420 --role witness)
token=$(ctl node-b token)
refuses 'a node outside' 4 'in no cluster' ctl witness share list
refuses 'the address of another node' 1 'node-b with the address' ctl witness join 10.77.0.11:7420 --node-name witness \
    --address 10.77.0.12:7420 --role witness --token "$token"
check 'it joins again, with the token that the refusal did not use up' ctl witness "${join[@]}" --token "$token"
check 'the cluster has its witness again' wait_for 10 follows witness

# The ends of a node.
first=$(active)
second='node-b'
if [[ $first == node-b ]]; then second='node-a'; fi
check 'SIGTERM at the active node' kill -TERM "$(process "$first" clusterd)"
check '... hands over' wait_for 15 serves "$second"
check_says '... in order' '"kind" : "move"' ctl witness status --json
check '... and comes back as a follower' wait_for 15 follows "$first"
# Somebody follows the events on the node that dies: not in its namespaces, which go with its clusterd. It comes back when it was missed.
timeout 120 "$binaries/clusterctl" events --follow --since 1s --socket "$folder/$second/state/admin.sock" >"$work/through" 2>&1 &
follower=$!
boot=$(cut -d ' ' -f 1 "$folder/$second/boot")
kill -STOP "$boot"
check 'the death of clusterd' kill -KILL "$(process "$second" clusterd)"
check '... is noticed' wait_for 15 serves "$first"
check '... also by who follows the events there' wait_for 10 grep -qE 'cannot reach clusterd|hung up' "$work/through"
kill -CONT "$boot"
check '... and it follows again' wait_for 15 follows "$second"
check '... and shows what happened meanwhile, to who follows the events' wait_for 10 grep -q "takeover on $first" "$work/through"
kill "$follower" 2>/dev/null || true
wait "$follower" 2>/dev/null || true
check 'a clusterd that hangs' kill -STOP "$(process "$first" clusterd)"
check '... is noticed' wait_for 15 serves "$second"
has_address() { [[ $(on "$1" ip -o address show dev eth0) == *' 10.77.0.10/'* ]]; }
without_address() { ! has_address "$1"; }
check '... and has the address no longer' wait_for 5 without_address "$first"
listing() {
    on "$1" timeout 5 smbclient //10.77.0.10/test -U "user1%user1-$(cat "$folder/target/password")" -s /dev/null -c ls
}
check 'a client on the other node is answered' listing "$second"
check '... and so is one on its own node' listing "$first"
# Its server lives: wherever somebody reaches it, it must not answer with what another node may have changed by now.
on "$first" ip address add 10.77.0.10/24 dev eth0
silent() { ! listing "$1"; }
check '... but not by the server of that node' silent "$first"
kill -CONT "$(process "$first" clusterd)"
check '... and it follows again when it goes on' wait_for 15 follows "$first"
check '... without the address' wait_for 5 without_address "$first"
# Until the leader has heard that it is caught up and reaches the LUN it refuses, and says so.
check 'the share may be moved to it' wait_for 15 ctl witness move "$first"
check 'it takes the share back' wait_for 15 serves "$first"
check 'the death of smbserverd' kill -KILL "$(process "$first" smbserverd)"
check '... is mended in place' wait_for 10 grep -q 'server-restart' "$folder/$first/log"
check 'the death of lunbridge' kill -KILL "$(process "$first" lunbridge)"
check '... is mended in place' wait_for 10 grep -q 'bridge-restart' "$folder/$first/log"
check 'the same node still serves' serves "$first"
