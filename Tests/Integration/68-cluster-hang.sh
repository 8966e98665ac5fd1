#!/usr/bin/env bash
# A node hangs and comes back. Its kernel never hung: while nothing of the service runs, it takes a client's connection and
# acknowledges what the client asks. That client must not wait for its own time-out (20 s for a NEGOTIATE, whoever asks).
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/library.sh"

export HOLDFAST_LAB_ID=hang$$
# shellcheck source=lib/cluster.sh
source "$(dirname "$0")/lib/cluster.sh"

network() { nsenter --net="/run/netns/hf-$HOLDFAST_LAB_ID-$1" -- "${@:2}"; }
cable() { network lan ip link set "$1" "$2"; }
# Every process of the node.
signal_all() {
    local pids
    mapfile -t pids < <(ip netns pids "hf-$HOLDFAST_LAB_ID-$1")
    kill "-$2" "${pids[@]}" 2>/dev/null || true  # one that ended meanwhile
}

cat >"$work/claim.py" <<'PYTHON'
# What the kernel of a machine with the address sends when it looks for the client: everybody who hears it learns the address anew.
import socket, sys, time
virtual, client = (socket.inet_aton(text) for text in sys.argv[1:])
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
raw.bind(("eth0", 0x0806))
mine = raw.getsockname()[4]
frame = b"\xff" * 6 + mine + b"\x08\x06" + b"\x00\x01\x08\x00\x06\x04\x00\x01" + mine + virtual + b"\0" * 6 + client
# The neighbour takes no second change within a second: until it has taken this one.
for _ in range(15):
    raw.send(frame)
    time.sleep(0.1)
PYTHON
cat >"$work/client.py" <<'PYTHON'
import socket, subprocess, sys, time
virtual, hardware = sys.argv[1:]
deadline = time.monotonic() + 20
while hardware not in subprocess.run(["ip", "neigh", "show", virtual], capture_output=True, text=True).stdout:
    if time.monotonic() > deadline:
        sys.exit("the hung node's kernel never had the address")
    time.sleep(0.01)
s = socket.create_connection((virtual, 445), timeout=5)
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

hung=$(active)
if [[ $hung == node-a ]]; then heir='node-b'; else heir='node-a'; fi
cable "$hung" down
signal_all "$hung" STOP
check 'the other node takes over' wait_for 30 serves "$heir"
hardware=$(network "$hung" ip --json link show eth0 | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["address"])')
cable "$hung" up
network client python3 "$work/client.py" 10.77.0.10 "$hardware" >"$work/client" 2>&1 &
client=$!
network "$hung" python3 "$work/claim.py" 10.77.0.10 10.77.0.40
check 'the client asks' wait_for 10 grep -q '^asked' "$work/client"
check_says 'and the kernel of the hung node took its connection' \
    "10.77.0.10:445 *10.77.0.40:$(sed -n 's/^asked from //p' "$work/client")" \
    network "$hung" ss --no-header --tcp --numeric state established
signal_all "$hung" CONT
began=$SECONDS
wait "$client" || true
check_says 'the client is told when the node is back' '^reset$' cat "$work/client"
check 'at once' test $((SECONDS - began)) -le 2
share() {
    timeout 60 nsenter --net="/run/netns/hf-$HOLDFAST_LAB_ID-client" smbclient //10.77.0.10/test \
        -U "user1%user1-$(cat "$folder/target/password")" -s /dev/null -c "$1"
}
check 'and finds the share where it is' share 'ls'
check 'which is at the other node' serves "$heir"
