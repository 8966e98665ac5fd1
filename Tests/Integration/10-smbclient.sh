#!/usr/bin/env bash
# smbclient lists, puts, gets, renames and deletes; every dialect, signed and encrypted; what arrives is what was sent.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/library.sh"

make_share
start_server

# Real content: this machine's libraries, with an odd length.
find /usr/lib -name '*.so*' -type f -size +64k -print0 | sort -z | xargs -0 cat 2>/dev/null | head -c 20971533 >"$work/source" ||
    test "$(stat -c %s "$work/source")" = 20971533

check_says "the share is listed" '^\s*test\s+Disk' \
    timeout 20 smbclient -L 127.0.0.1 -p "$port" -U "alice%$password" -s /dev/null -m SMB3
check_says "IPC\$ is listed" '^\s*IPC\$\s+IPC' \
    timeout 20 smbclient -L 127.0.0.1 -p "$port" -U "alice%$password" -s /dev/null -m SMB3

for dialect in SMB2_02 SMB2_10 SMB3_00 SMB3_02 SMB3_11; do
    check "$dialect: put" client test "put $work/source copy-$dialect" -m "$dialect"
    check_same "$dialect: the file on disk is the one sent" "$work/source" "$share_path/copy-$dialect"
    check "$dialect: get" client test "get copy-$dialect $work/back-$dialect" -m "$dialect"
    check_same "$dialect: the file that came back is the one sent" "$work/source" "$work/back-$dialect"
    rm -f "$work/back-$dialect"
done

for protection in sign encrypt; do
    check "$protection: put" client test "put $work/source copy-$protection" -m SMB3_11 --client-protection="$protection"
    check "$protection: get" client test "get copy-$protection $work/back-$protection" -m SMB3_11 \
        --client-protection="$protection"
    check_same "$protection: same bytes" "$work/source" "$work/back-$protection"
    rm -f "$work/back-$protection"
done

check "mkdir" client test 'mkdir folder; mkdir folder/inner'
check "the folder is a directory on disk" test -d "$share_path/folder/inner"
check "put into a folder" client test "cd folder; put $work/source inner/file"
check_says "the folder lists its file with its size" 'file +[A-Z]* +20971533 ' client test 'cd folder\inner; ls'
check "rename" client test 'rename folder\inner\file folder\renamed'
check_same "a renamed file keeps its bytes" "$work/source" "$share_path/folder/renamed"
check "rename by case only" client test 'rename folder\renamed folder\Renamed'
check_says "and the list shows the new case" ' Renamed ' client test 'cd folder; ls'
check "names are found whatever their case" client test "get FOLDER\\RENAMED $work/any-case"
check_same "and it is the same file" "$work/source" "$work/any-case"
check_says "a folder with files in it is not removed" 'DIRECTORY_NOT_EMPTY' client test 'rmdir folder'
check "delete" client test 'del folder\Renamed; rmdir folder\inner; rmdir folder'
check "deleted is gone on disk" test ! -e "$share_path/folder"
check_says "deleted is gone for the client" 'OBJECT_(NAME|PATH)_NOT_FOUND' client test "get folder\\Renamed $work/none"

check "names beyond ASCII" client test "put $work/source \"Grüße 漢字 🎈.txt\""
check "are UTF-8 on disk" test -e "$share_path/Grüße 漢字 🎈.txt"
check_says "are listed" 'Grüße 漢字 🎈.txt' client test 'ls'
check_says "a pattern chooses" 'copy-SMB3_11' client test 'ls copy-*_11'
check_says "a pattern that nothing matches" 'NT_STATUS_NO_SUCH_FILE' client test 'ls nothing-*'
check_says "free space is told" 'blocks of size' client test 'du'
check_says "overwriting truncates" ' 5 ' \
    bash -c "printf 12345 >'$work/short'; timeout 20 smbclient //127.0.0.1/test '$password' -U alice -p $port -s /dev/null \
        -c 'put $work/short copy-sign; ls copy-sign'"

# A tree with many small files, there and back.
mkdir -p "$work/tree"
for index in {1..150}; do head -c $((index * 97)) "$work/source" >"$work/tree/file $index"; done
check "a tree of 150 files goes up" client test "recurse ON; prompt OFF; lcd $work; mput tree"
mkdir -p "$work/returned"
check "and comes back" client test "recurse ON; prompt OFF; lcd $work/returned; mget tree"
check "with the same bytes" diff -r "$work/tree" "$work/returned/tree"

stop_server
check_same "stopping loses nothing" "$work/source" "$share_path/copy-SMB3_11"
start_server
check "a restarted server serves" client test "get copy-SMB3_11 $work/after"
check_same "the same bytes" "$work/source" "$work/after"
