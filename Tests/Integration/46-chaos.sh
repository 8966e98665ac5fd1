#!/usr/bin/env bash
# Clients that account for all that was acknowledged, through several kills of a standalone server (cluster/lab chaos does more to a
# cluster); and that they notice when something is gone.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/library.sh"

make_share
share_flags=,ca
start_server
mkfifo "$work/orders"

# begin NAME SEED: the clients work; their orders are on descriptor 7.
begin() {
    said=$work/$1.said
    "$binaries/smbbench" chaos "//127.0.0.1:$port/test/$1" --user alice --password-file "$work/password" --clients 3 \
        --seed "$2" <"$work/orders" >"$said" 2>&1 &
    clients=$!
    exec 7>"$work/orders"
    wait_for 10 grep -q begun "$said"
}
kill_server() {
    kill -KILL "$server"
    wait "$server" 2>/dev/null || true
}
pause() {
    printf 'stop\n' >&7
    wait_for 30 grep -q '"stopped"' "$said"
}
# finish: everything is verified; sets status.
finish() {
    # The server that was started meanwhile has the descriptor, too: closing it would tell the clients nothing.
    printf 'verify\n' >&7
    exec 7>&-
    status=0
    wait "$clients" || status=$?
}
counted() { sed -n "s/.*\"ended\".*\"$1\": \([0-9]*\).*/\1/p" "$said"; }

begin whole 1
for _ in 1 2 3 4; do
    sleep 1
    kill_server
    start_server
done
sleep 1
pause
finish
check 'nothing is lost through four kills' test "$status" -eq 0
check 'and much was acknowledged' test "$(counted acknowledged)" -gt 300
check 'and the clients came back each time' test "$(counted reclaims)" -ge 12
tail -n 1 "$said"

# The clients hold closed and open files; one block of one of them changes on the disk while nobody serves.
begin corrupted 2
sleep 3
pause
kill_server
mapfile -t victims < <(find "$share_path/corrupted" -type f -size +4k | sort)
victim=${victims[0]:-}
check 'there is a file to break' test -f "$victim"
dd if=/dev/zero of="$victim" bs=1 count=5 seek=$(($(stat -c %s "$victim") - 9)) conv=notrunc status=none
start_server
finish
check 'a byte that is different is found' test "$status" -eq 1
check_says 'and it is said where' "\"what\": \"${victim##*/}: " grep -E '"event": "(lost|wrong)"' "$said"

begin removed 3
sleep 2
pause
kill_server
victim=$(find "$share_path/removed" -type f | sort | tail -n 1)
rm "$victim"
start_server
finish
check 'a name that is gone is found' test "$status" -eq 1
check_says 'and it is said which' "\"what\": \"${victim##*/} is not listed" grep '"event": "lost"' "$said"

# Without its journal the server knows no handle any more.
begin forgotten 4
sleep 2
pause
kill_server
rm -r "$work/state"
start_server
finish
check 'handles that are gone are found' test "$status" -eq 1
check_says 'and it is said which' '"what": "the handle of ' grep '"event": "lost"' "$said"
check_server_alive 'the server is well after all'
