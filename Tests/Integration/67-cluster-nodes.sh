#!/usr/bin/env bash
# Nodes get other names and other addresses while they serve.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/library.sh"

# They listen on every address that they have.
export HOLDFAST_LAB_ID=nodes$$ HOLDFAST_CLUSTERD_OPTIONS='--listen 0.0.0.0:7420'
# shellcheck source=lib/cluster.sh
source "$(dirname "$0")/lib/cluster.sh"

# The standby of the laboratory's two, by the laboratory's name.
standby() { if [[ $(active) == node-a ]]; then echo node-b; else echo node-a; fi; }
# field NAME FIELD: of a node, as the witness shows it.
field() {
    ctl witness status --json | python3 -c '
import json, sys
print(*(n[sys.argv[2]] for n in json.load(sys.stdin)["nodes"] if n["name"] == sys.argv[1]))' "$1" "$2"
}
has() { [[ $(field "$1" "$2") == "$3" ]]; }
ready() { has "$1" connected True && { has "$1" role follower || has "$1" role leader; }; }
share() {
    timeout 60 nsenter --net="/run/netns/hf-$HOLDFAST_LAB_ID-client" smbclient //10.77.0.10/test \
        -U "user1%user1-$(cat "$folder/target/password")" -s /dev/null -c "$1"
}

first=$(active)
second=$(standby)
refuses 'a node that is not there' 1 'no node nobody' ctl witness node set nobody --rename other
refuses 'a name that is none' 1 'must have 1 to 63' ctl witness node set "$second" --rename 'a b'
refuses 'a name that another has' 1 'another node has the name witness' ctl witness node set "$second" --rename witness
refuses 'an address that another has' 1 'node witness has the address' ctl witness node set "$second" --address 10.77.0.13:7420
refuses 'an address that is none' 1 'HOST:PORT' ctl witness node set "$second" --address nowhere
refuses 'nothing to change' 64 'say what is to change' ctl witness node set "$second"
refuses 'another name for the node that serves' 1 "move' first" ctl "$second" node set "$first" --rename other

# A name.
head -c 3000000 /dev/urandom >"$work/bytes"
check 'a file' share "put $work/bytes bytes"
check_says 'the standby is renamed' 'is second from now on' ctl witness node set "$second" --rename second
check 'everybody knows' wait_for 10 ready second
check_says 'it says so itself' 'this node is second from now on' cat "$folder/$second/log"
check_says 'the audit has it' "node set $second --rename second: done" ctl witness events
refuses 'its old name is nobody' 1 "no node $second" ctl witness node set "$second" --address 10.77.0.99:7420
restarts() { kill -KILL "$(process "$second" clusterd)"; }
check 'it is started with its old name' restarts
check 'and is there again' wait_for 30 ready second
check_says 'with a warning' "was renamed from $second to second" cat "$folder/$second/log"
check 'the share moves to it' ctl witness move second
check 'and is served by it' wait_for 30 serves second
check 'with what was in it' share "get bytes $work/back"
check 'to the last byte' cmp "$work/bytes" "$work/back"

# A takeover from the renamed node, and its old name again.
"$lab" kill "$second" >/dev/null 2>&1
check 'the other node takes over' wait_for 30 serves "$first"
check 'with every byte' share "get bytes $work/back"
check 'as before' cmp "$work/bytes" "$work/back"
"$lab" revive "$second" >/dev/null 2>&1
check 'it comes back' wait_for 30 ready second
check 'and is renamed back' ctl "$first" node set second --rename "$second"
check 'so that all is as it was' wait_for 10 ready "$second"

# An address, of the standby and then of the node that serves. At the old one nobody answers any more.
address=10
for node in "$second" "$first"; do
    address=$((address + 20))
    old=$(field "$node" address)
    check "$node has another address, too" on "$node" ip addr add "10.77.0.$address/24" dev eth0
    check_says "$node is there for the others from now on" "$node is at 10.77.0.$address:7420" \
        ctl witness node set "$node" --address "10.77.0.$address:7420"
    check "$node is not at its old one any more" on "$node" iptables -w -I INPUT -d "${old%:*}" -p tcp --dport 7420 -j DROP
    check "$node is reached" wait_for 20 ready "$node"
    check "$node is known by it" has "$node" address "10.77.0.$address:7420"
    check "$node takes over" bash -c "[[ '$(active)' == '$node' ]] || { $(declare -f ctl on); folder='$folder' binaries='$binaries' ctl witness move '$node'; }"
    check "$node serves" wait_for 30 serves "$node"
    check "$node has every byte" share "get bytes $work/back"
    check "$node has them right" cmp "$work/bytes" "$work/back"
done
# Once more, when every connection is made anew.
for node in "$second" witness "$first"; do
    kill -KILL "$(process "$node" clusterd)"
    check "$node finds the others again" wait_for 40 ready "$node"
done
check 'and the share is served' wait_for 30 share "get bytes $work/back"
