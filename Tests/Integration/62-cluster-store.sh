#!/usr/bin/env bash
# A node's stored state is damaged, gone or old: it is noticed, said, and taken anew from the other nodes, while clients work.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/library.sh"

export HOLDFAST_LAB_ID=store$$ HOLDFAST_CLUSTERD_OPTIONS='--check-state-every 5'
# shellcheck source=lib/cluster.sh
source "$(dirname "$0")/lib/cluster.sh"

names=(node-a node-b witness)
other() { if [[ $1 == node-a ]]; then echo node-b; else echo node-a; fi; }
state() { echo "$folder/$1/state"; }

# What the write-ahead log holds is moved to the database: a log that lies beside it would mend the damage.
checkpoint() { sqlite3 -cmd '.timeout 5000' "$(state "$1")/state.db" 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null; }

# Everything behind the first page of the database.
damage() {
    local file
    file=$(state "$1")/state.db
    checkpoint "$1"
    dd if=/dev/urandom of="$file" bs=4096 seek=1 count=$(($(stat -c %s "$file") / 4096 - 1)) conv=notrunc status=none
}

kill_clusterd() { kill -KILL "$(process "$1" clusterd)"; }

# identity NODE: its number, as the leader knows it.
identity() {
    ctl "$(leader)" status --json |
        python3 -c 'import json, sys; print(*(n["id"] for n in json.load(sys.stdin)["nodes"] if n["name"] == sys.argv[1]))' "$1"
}
leader() {
    local node
    for node in "${names[@]}"; do
        ctl "$node" status --json 2>/dev/null |
            python3 -c 'import json, sys; print(json.load(sys.stdin).get("leader") or "")' 2>/dev/null | grep . && return
    done
}

# whole NODE OLD: it has another number than OLD, votes, is connected and has its log.
whole() {
    ctl "$(leader)" status --json | python3 -c '
import json, sys
for node in json.load(sys.stdin)["nodes"]:
    if node["name"] == sys.argv[1]:
        sys.exit(0 if node["id"] != int(sys.argv[2]) and node["connected"] and node["role"] in ("follower", "leader")
                 and (node.get("lag") or 0) < 64 else 1)
sys.exit(1)' "$1" "$2"
}

within_a_minute() {
    local until=$((SECONDS + 60))
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS > until)); then return 1; fi
        sleep 0.2
    done
}

# heals WHAT NODE OLD: within a minute, and how long it took.
heals() {
    local began=$SECONDS
    check "$1: $2 is whole again" within_a_minute whole "$2" "$3"
    echo "    after $((SECONDS - began)) s"
}

# A client that works all the time; what it was told is written down.
share() {
    timeout 60 nsenter --net="/run/netns/hf-$HOLDFAST_LAB_ID-client" smbclient //10.77.0.10/test -U "user1%user1-$(cat "$folder/target/password")" -s /dev/null -c "$1"
}
work_on() {
    local number=0
    while [[ -d $work && ! -e $work/enough ]]; do
        number=$((number + 1))
        printf '%s\n' "$number" >"$work/number"
        if share "put $work/number file-$((number % 20)); get file-$((number % 20)) $work/back" >"$work/said" 2>&1 &&
            cmp -s "$work/number" "$work/back"; then
            echo "ok $number"
        else
            echo "FAILED $number: $(tr '\n' ' ' <"$work/said")"
        fi
    done >>"$work/client.log"
}
work_on &
client=$!

# The standby: bytes of its file change while its clusterd is down.
standby=$(other "$(active)")
number=$(identity "$standby")
kill_clusterd "$standby"
damage "$standby"
heals 'changed bytes' "$standby" "$number"
check 'its log says so once, in one line' bash -c "[[ \$(grep -c 'critical.* the state of node .* is lost' '$folder/$standby/log') == 1 ]]"
check_says 'the events say so' 'state-lost on '"$standby"'.*taken back as node' ctl witness status
check 'the damaged file is kept' bash -c "ls '$(state "$standby")'/state.db.damaged-[0-9]*"
check 'for its owner alone' bash -c "[[ \$(stat -c %a '$(state "$standby")'/state.db.damaged-[0-9]* | sort -u) == 600 ]]"
check 'the new one has the versioned form' bash -c "[[ \$(sqlite3 '$(state "$standby")/state.db' \"SELECT value FROM meta WHERE key='format'\") == 3 ]]"

# The file is gone.
number=$(identity "$standby")
kill_clusterd "$standby"
rm -f "$(state "$standby")"/state.db "$(state "$standby")"/state.db-wal "$(state "$standby")"/state.db-shm
heals 'a missing file' "$standby" "$number"

# An old copy is put in its place: it forgot what the node promised since.
number=$(identity "$standby")
mkdir "$work/old"
kill_clusterd "$standby"
cp "$(state "$standby")"/state.db* "$work/old"
again() { [[ -n $(process "$1" clusterd) ]] && (ctl "$1" status >/dev/null 2>&1); }
check 'it starts anew' wait_for 20 again "$standby"
kill_clusterd "$standby"
rm -f "$(state "$standby")"/state.db "$(state "$standby")"/state.db-wal "$(state "$standby")"/state.db-shm
cp "$work"/old/state.db "$work"/old/state.db-wal "$(state "$standby")" 2>/dev/null || cp "$work"/old/state.db "$(state "$standby")"
heals 'an old copy' "$standby" "$number"
check_says 'and is called what it is' 'is lost .it is older than this node: ' cat "$folder/$standby/log"

# The witness: its file is cut.
number=$(identity witness)
kill_clusterd witness
checkpoint witness
truncate -s 5000 "$(state witness)/state.db"
heals 'a truncated file' witness "$number"

# So far nothing was done to the node that serves.
check 'the client was never refused' bash -c "! grep FAILED '$work/client.log'"

# While it runs: noticed by reading, before anybody needs it. The share goes over in order, if it is the active node's.
number=$(identity "$standby")
damage "$standby"
heals 'changed under a running standby' "$standby" "$number"
first=$(active)
number=$(identity "$first")
moves() { ctl witness status --json | grep -c '"kind" : "move"' || true; }
before=$(moves)
# A row that nothing is written to: a write that meets the damage ends the node at once.
sqlite3 -cmd '.timeout 5000' "$(state "$first")/state.db" 'UPDATE state SET applied_index = applied_index - 1'
heals 'changed under the active node' "$first" "$number"
check 'the other node serves' serves "$(other "$first")"
check 'it was a planned move' test "$(moves)" -gt "$before"

# The active node dies with its file.
first=$(active)
number=$(identity "$first")
check 'an heir' wait_for 30 ctl witness status
kill_clusterd "$first"
damage "$first"
heals 'the active node dies with its state' "$first" "$number"
check 'and the other one serves' serves "$(other "$first")"
check 'at most three damaged files are kept' bash -c \
    "(( \$(ls -d '$(state "$first")'/state.db.damaged-* | grep -vc -e '-wal\$' -e '-shm\$') <= 3 ))"

# No leader, nobody to heal from yet: it waits, and says so.
standby=$(other "$(active)")
number=$(identity "$standby")
kill -STOP "$(process witness clusterd)" "$(process "$(active)" clusterd)"
kill_clusterd "$standby"
damage "$standby"
waits() { (ctl "$1" status 2>&1 || true) | grep -qE 'lost its state .*the last answer: '; }
check 'without the others it waits, and says so' wait_for 60 waits "$standby"
kill -CONT "$(process witness clusterd)" "$(process "$(other "$standby")" clusterd)"
heals 'when they are back' "$standby" "$number"

check 'the client works again' wait_for 30 bash -c "tail -n 1 '$work/client.log' | grep '^ok '"
touch "$work/enough"
wait "$client" || true
check 'the client worked' bash -c "(( \$(grep -c '^ok ' '$work/client.log') > 20 ))"
echo "    $(grep -c '^ok ' "$work/client.log") rounds"

# The first fsync that fails ends the node: what the disk holds is not known any more.
if command -v strace >/dev/null; then
    standby=$(other "$(active)")
    pid=$(process "$standby" clusterd)
    timeout 60 strace -f -p "$pid" -o "$work/strace.log" -e trace=fdatasync,fsync \
        -e inject=fdatasync,fsync:error=EIO >/dev/null 2>&1 &
    tracer=$!
    sleep 1
    ctl witness share set test --comment 'a write' >/dev/null 2>&1 || ctl witness limit set notifies 777 >/dev/null || true
    gone() { ! kill -0 "$pid" 2>/dev/null; }
    check 'a failed fsync ends the node' wait_for 20 gone
    wait "$tracer" 2>/dev/null || true
    check 'it was one' grep -q 'EIO.*INJECTED' "$work/strace.log"
    check 'and it says so' grep -qE 'critical.*(disk I/O error|consensus stopped)' "$folder/$standby/log"
    back() { ctl "$standby" status --json 2>/dev/null | grep -q '"hasQuorum" : true'; }
    check 'started anew it follows' wait_for 30 back
else
    skipped 'a failed fsync: no strace here'
fi
