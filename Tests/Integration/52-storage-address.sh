#!/usr/bin/env bash
# The virtual address moves: the client hears neither FIN nor reset from the old node, and at once from the new one. Only who
# never got an answer from the old node, and so is in nobody's records, is reset by it.
# Three namespaces on one bridge, everything recorded at the client.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/library.sh"

if ((EUID != 0)) || ! command -v tcpdump >/dev/null || ! command -v python3 >/dev/null; then
    skipped 'address: needs root, tcpdump and python3'
    exit 0
fi
drill=$binaries/storagedrill
names=platform-$$
pids=()

clean_up_address() {
    exec 7>&- 9>&- || true
    local pid end
    for pid in "${pids[@]}"; do
        disown "$pid" 2>/dev/null || true
        kill -KILL "$pid" 2>/dev/null || true
    done
    for end in switch client a b; do ip netns del "$names-$end" 2>/dev/null || true; done
    clean_up
}
trap clean_up_address EXIT

in_namespace() {
    local end=$1
    shift
    nsenter --net="/run/netns/$names-$end" -- "$@"
}

for end in switch client a b; do
    ip netns add "$names-$end"
    in_namespace "$end" ip link set lo up
done
in_namespace switch ip link add bridge0 type bridge
in_namespace switch ip link set bridge0 up
number=1
for end in client a b; do
    in_namespace switch ip link add "to-$end" type veth peer name eth0 netns "$names-$end"
    in_namespace switch ip link set "to-$end" master bridge0 up
    in_namespace "$end" ip address add "10.77.0.$number/24" dev eth0
    in_namespace "$end" ip -6 address add "fd77::$number/64" dev eth0 nodad
    in_namespace "$end" ip link set eth0 up
    number=$((number + 1))
done

# The client: connects, is greeted or (with a word that nobody reads) not, says its port, waits for whatever ends the connection,
# says when and how.
cat >"$work/client.py" <<'PYTHON'
import socket, sys, time
s = socket.create_connection((sys.argv[1], 445), timeout=5)
if len(sys.argv) == 2:
    s.recv(1)
else:
    s.sendall(sys.argv[2].encode())
print("connected", s.getsockname()[1], flush=True)
s.settimeout(20)
try:
    data = s.recv(1)
    print("ended" if not data else "data", time.time_ns(), flush=True)
except ConnectionResetError:
    print("reset", time.time_ns(), flush=True)
except OSError as error:
    print("error", error, flush=True)
PYTHON

# wait_for_line FILE PATTERN: until a line of the file matches.
wait_for_line() {
    local i
    for ((i = 0; i < 200; i++)); do
        if grep -qE "$2" "$1" 2>/dev/null; then return 0; fi
        sleep 0.02
    done
    cat "$1"
    return 1
}

# lives_on_loan NAME ADDRESS/PREFIX: whoever dies or hangs with it does not answer for it much longer.
lives_on_loan() {
    local name=$1 began
    check_says "$name: an address on loan stays while its life is prolonged" '^kept true' \
        in_namespace a "$drill" keep "$2" eth0 2 6
    began=$(date +%s%N)
    while [[ $(in_namespace a ip -o address show dev eth0) == *" $2 "* ]]; do
        if (($(date +%s%N) - began > 5000000000)); then break; fi
        sleep 0.02
    done
    printf '%s: the kernel took it away after %d ms\n' "$name" $((($(date +%s%N) - began) / 1000000))
    check "$name: and is gone within 3 s without that" test $((($(date +%s%N) - began) / 1000000)) -lt 3000
}

# move NAME ADDRESS/PREFIX FILTER
move() {
    local name=$1 virtual=$2 address=${2%/*} capture=$work/capture-$1 port client other recorder old new moved
    rm -f "$work/commands"
    mkfifo "$work/commands"
    in_namespace a "$drill" listen "$virtual" eth0 <"$work/commands" >"$work/a-$name" 2>&1 &
    old=$!
    pids+=("$old")
    exec 7>"$work/commands"
    check "$name: the old node listens before the address is there" wait_for_line "$work/a-$name" '^listening'
    in_namespace a "$drill" announce "$virtual" eth0 >/dev/null
    in_namespace client python3 "$work/client.py" "$address" >"$work/client-$name" 2>&1 &
    client=$!
    pids+=("$client")
    check "$name: a client connects" wait_for_line "$work/client-$name" '^connected'
    port=$(sed -n 's/^connected //p' "$work/client-$name")
    in_namespace client python3 "$work/client.py" "$address" negotiate >"$work/other-$name" 2>&1 &
    pids+=("$!")
    check "$name: another connects and is not answered" wait_for_line "$work/other-$name" '^connected'
    other=$(sed -n 's/^connected //p' "$work/other-$name")

    in_namespace client tcpdump -i eth0 -n -e -l --immediate-mode \
        "arp or icmp6 or tcp port 445" >"$capture" 2>"$work/tcpdump-$name" &
    recorder=$!
    pids+=("$recorder")
    check "$name: recording" wait_for_line "$work/tcpdump-$name" 'listening on'

    # The old node goes: address first, then its sockets.
    printf 'drop\n' >&7
    check "$name: the old node drops the address" wait_for_line "$work/a-$name" '^dropped false'
    check_says "$name: it knows who got no answer" '^unanswered 1$' cat "$work/a-$name"
    check "$name: that client is reset at once" wait_for_line "$work/other-$name" '^reset'
    sleep 0.5
    check_says "$name: the client has heard nothing of it" '^0$' grep -cE '^(ended|reset)' "$work/client-$name"
    # shellcheck disable=SC2016  # awk's own
    check_says "$name: neither FIN nor reset was on the wire to it" '^0$' \
        awk -v other=".$other:" 'index($0, other) == 0 && /Flags \[[^\]]*[FR]/ { n++ } END { print n + 0 }' "$capture"

    # The new one comes.
    rm -f "$work/commands-b"
    mkfifo "$work/commands-b"
    in_namespace b "$drill" listen "$virtual" eth0 <"$work/commands-b" >"$work/b-$name" 2>&1 &
    new=$!
    pids+=("$new")
    exec 9>"$work/commands-b"
    check "$name: the new node listens" wait_for_line "$work/b-$name" '^listening'
    moved=$(date +%s%N)
    in_namespace b "$drill" announce "$virtual" eth0 "$3$port" >"$work/announce-$name" 2>&1 &
    pids+=("$!")
    check "$name: the client's connection is reset" wait_for_line "$work/client-$name" '^reset'
    local heard
    heard=$(sed -n 's/^reset //p' "$work/client-$name")
    if [[ -n $heard ]]; then
        printf '%s: the client knew %d ms after the new node began\n' "$name" $(((heard - moved) / 1000000))
        check "$name: within 500 ms" test $(((heard - moved) / 1000000)) -lt 500
    fi
    in_namespace client python3 "$work/client.py" "$address" >"$work/again-$name" 2>&1 &
    pids+=("$!")
    check "$name: and it connects to the new node" wait_for_line "$work/b-$name" '^accepted'
    check "$name: all rounds are sent" wait_for_line "$work/announce-$name" '^announced'
    kill -TERM "$recorder"
    wait "$recorder" || true
    printf 'drop\n' >&9
    check "$name: the new node can drop it too" wait_for_line "$work/b-$name" '^dropped false'
    exec 7>&- 9>&-
    wait "$old" "$new" || true
}

hardware=$(in_namespace b ip -o link show eth0 | sed -n 's/.*link\/ether \([0-9a-f:]*\).*/\1/p')

move ipv4 10.77.0.100/24 10.77.0.1:
capture=$work/capture-ipv4
check_says 'ipv4: five gratuitous requests' '^5$' \
    grep -cE "$hardware > ff:ff:ff:ff:ff:ff.*Request who-has 10.77.0.100.* tell 10.77.0.100" "$capture"
check_says 'ipv4: five gratuitous replies' '^5$' \
    grep -cE "$hardware > ff:ff:ff:ff:ff:ff.*Reply 10.77.0.100 is-at $hardware" "$capture"
check_says 'ipv4: the tickle is a bare ACK from the service' 'Flags \[\.\]' \
    grep -E "10.77.0.100.445 > 10.77.0.1.*ack 0, win 1234, length 0" "$capture"
check_says 'ipv4: which the new node answers with a reset' 'Flags \[R\]' \
    grep -E "$hardware > .* 10.77.0.100.445 > 10.77.0.1" "$capture"

move ipv6 fd77::100/64 '[fd77::1]:'
capture=$work/capture-ipv6
check_says 'ipv6: five unsolicited neighbour advertisements' '^5$' \
    grep -cE "$hardware > 33:33:00:00:00:01.*neighbor advertisement, tgt is fd77::100" "$capture"

lives_on_loan ipv4 10.77.0.101/24
lives_on_loan ipv6 fd77::101/64

# The link.
# Not through the function: the process number would be that of a shell around it.
nsenter --net="/run/netns/$names-a" -- "$drill" watch eth0 >"$work/watch" 2>&1 &
pids+=("$!")
check 'the link is up' wait_for_line "$work/watch" '^link up'
in_namespace switch ip link set to-a down
check 'a pulled cable is seen' wait_for_line "$work/watch" '^link down'
in_namespace switch ip link set to-a up
check 'and that it is back' bash -c "for i in {1..100}; do [ \$(grep -c '^link up' '$work/watch') -ge 2 ] && exit 0; sleep 0.05; done; exit 1"
check_says 'an interface that is not there' 'error notFound: there is no network interface' \
    "$drill" announce 10.77.0.100/24 no-such-if
