#!/usr/bin/env bash
# Wrong passwords, wrong names, full disks and broken packets: the right answer at the right place, and nothing lost.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/library.sh"

make_share 320
start_server

printf 'kept' >"$work/kept"
check "a file that must survive all this" client test "put $work/kept kept"

as() { # USER PASSWORD SHARE COMMANDS
    timeout 20 smbclient "//127.0.0.1/$3" "$2" -U "$1" -p "$port" -s /dev/null -c "$4"
}
check_says "wrong password" 'NT_STATUS_LOGON_FAILURE' as alice wrong test ls
check_says "an empty password" 'NT_STATUS_LOGON_FAILURE' as alice '' test ls
check_says "unknown user: the same answer as a wrong password" 'NT_STATUS_LOGON_FAILURE' as mallory "$password" test ls
check_says "unknown share" 'NT_STATUS_BAD_NETWORK_NAME' as alice "$password" nowhere ls
check_says "no anonymous user" 'NT_STATUS_(ACCESS_DENIED|LOGON_FAILURE)' \
    timeout 20 smbclient //127.0.0.1/test -N -U % -p "$port" -s /dev/null -c ls
check_says "SMB1 is not spoken" 'NT_STATUS_(CONNECTION_|INVALID_NETWORK_RESPONSE|IO_TIMEOUT|END_OF_FILE|NOT_SUPPORTED)' \
    timeout 20 smbclient //127.0.0.1/test "$password" -U alice -p "$port" -s /dev/null \
    --option='client min protocol=NT1' -m NT1 -c ls

long=$(printf 'n%.0s' {1..300})
check_says "a name that is too long" 'NT_STATUS_(OBJECT_NAME_INVALID|NAME_TOO_LONG)' client test "put $work/kept $long"
check_says "a file that is not there" 'NT_STATUS_OBJECT_NAME_NOT_FOUND' client test "get nothing $work/nothing"
check_says "a folder that is not there" 'NT_STATUS_OBJECT_PATH_NOT_FOUND' client test "get no\\where $work/nothing"
check_says "an existing folder" 'NT_STATUS_OBJECT_NAME_COLLISION' client test 'mkdir twice; mkdir twice'

check "a file becomes read-only" client test "put $work/kept sealed; setmode sealed +r"
check_says "and is not deleted" 'NT_STATUS_(CANNOT_DELETE|ACCESS_DENIED)' client test 'del sealed; ls sealed'
check "and is still there" test -e "$share_path/sealed"
check_says "nor overwritten" 'NT_STATUS_ACCESS_DENIED' client test "put $work/kept sealed"

ln -s /etc "$share_path/outside"
check_says "a symlink leads nowhere out of the share" 'NT_STATUS_' client test "get outside\\passwd $work/stolen"
check "and nothing came through it" test ! -s "$work/stolen"
check_says "nor do dots" 'NT_STATUS_' client test "get ..\\..\\etc\\passwd $work/stolen"
check "and nothing came through them" test ! -s "$work/stolen"

if mountpoint -q "$share_path"; then
    head -c 400M /dev/zero >"$work/large"
    check_says "a full disk says so" 'NT_STATUS_DISK_FULL' client test "put $work/large large"
    check_server_alive "the server lives on a full disk"
    rm -f "$work/large"
    check "room can be made" client test 'del large'
    check "and used again" client test "put $work/kept again"
    check_same "with the right bytes" "$work/kept" "$share_path/again"
fi

check "broken packets end their connection and nothing else" \
    python3 "$here/broken_packets.py" 127.0.0.1 "$port"
check_server_alive "the server lives through them"
check "and serves" client test "get kept $work/kept-after"
check_same "what it had" "$work/kept" "$work/kept-after"

# The server's own start.
refuses() {
    local status=0
    timeout 10 "$binaries/smbserverd" "$@" --state-dir "$work/other" --password-file "$work/password" || status=$?
    printf 'exit %d\n' "$status"
    ((status != 124)) || printf 'it runs\n'
}
check_says "a port that is taken is told" "$port" \
    refuses --share "test=$share_path" --user alice --port "$port"
check_says "a folder that is not there is told" "$work/missing" \
    refuses --share "test=$work/missing" --user alice --port "$(free_port)"
