#!/usr/bin/env bash
# A node hangs and comes back. Its kernel never hung: until the address that it has on loan is due, it takes a client's connection
# and acknowledges what the client asks. That client must not wait for its own time-out (20 s for a NEGOTIATE, whoever asks), and
# nobody else may find that kernel once the other node serves.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/library.sh"

export HOLDFAST_LAB_ID=hang$$
# shellcheck source=lib/cluster.sh
source "$(dirname "$0")/lib/cluster.sh"

network() { nsenter --net="/run/netns/hf-$HOLDFAST_LAB_ID-$1" -- "${@:2}"; }
# Every process of the node.
signal_all() {
    local pids
    mapfile -t pids < <(ip netns pids "hf-$HOLDFAST_LAB_ID-$1")
    kill "-$2" "${pids[@]}" 2>/dev/null || true  # one that ended meanwhile
}

cat >"$work/client.py" <<'PYTHON'
import socket, subprocess, sys, time
virtual, hardware = sys.argv[1:]
s = socket.create_connection((virtual, 445), timeout=5)
if hardware not in subprocess.run(["ip", "neigh", "show", virtual], capture_output=True, text=True).stdout:
    sys.exit("somebody else than the hung node took the connection")
# A NEGOTIATE for 2.1 ([MS-SMB2] 2.2.3): 64 bytes of header, 36 of body, one dialect.
body = b"\x24\0\x01\0\x01\0\0\0" + bytes(28) + b"\x10\x02"
s.sendall((64 + len(body)).to_bytes(4, "big") + b"\xfeSMB\x40\0" + bytes(58) + body)
print("asked from", s.getsockname()[1], flush=True)
s.settimeout(20)
try:
    print("answered" if s.recv(1) else "ended", flush=True)
except ConnectionResetError:
    print("reset", flush=True)
except TimeoutError:
    print("nothing", flush=True)
PYTHON

share() {
    timeout 60 nsenter --net="/run/netns/hf-$HOLDFAST_LAB_ID-client" smbclient //10.77.0.10/test \
        -U "user1%user1-$(cat "$folder/target/password")" -s /dev/null -c "$1"
}

hung=$(active)
if [[ $hung == node-a ]]; then heir='node-b'; else heir='node-a'; fi
hardware=$(network "$hung" ip --json link show eth0 | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["address"])')
has_address() { [[ $(network "$hung" ip -o address show dev eth0) == *' 10.77.0.10/'* ]]; }
check 'the active node has the address' has_address
# Its cable stays where it is.
signal_all "$hung" STOP
stopped=$(date +%s%N)
network client python3 "$work/client.py" 10.77.0.10 "$hardware" >"$work/client" 2>&1 &
client=$!
check 'a client asks' wait_for 10 grep -q '^asked' "$work/client"
check_says 'and the kernel of the hung node took its connection' \
    "10.77.0.10:445 *10.77.0.40:$(sed -n 's/^asked from //p' "$work/client")" \
    network "$hung" ss --no-header --tcp --numeric state established
while has_address && (($(date +%s%N) - stopped < 10000000000)); do sleep 0.02; done
gone=$((($(date +%s%N) - stopped) / 1000000))
printf 'the kernel of the hung node gave the address up after %d ms\n' "$gone"
check 'which it gives up by itself, within 3 s' test "$gone" -lt 3000
check 'the other node takes over' wait_for 30 serves "$heir"
check 'and is found, though the hung node is still on the network' share 'ls'
signal_all "$hung" CONT
began=$SECONDS
wait "$client" || true
check_says 'the client is told when the node is back' '^reset$' cat "$work/client"
check 'at once' test $((SECONDS - began)) -le 2
check 'which finds the share where it is' share 'ls'
check 'which is at the other node' serves "$heir"
