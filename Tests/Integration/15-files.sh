#!/usr/bin/env bash
# What a file is beyond its bytes, as smbclient sees it: streams, hard links, links that lead away, copies on the server.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/library.sh"

make_share
start_server

head -c 3000001 /dev/urandom >"$work/source"
check "put" client test "put $work/source file"

# Copies on the server
check "scopy" client test 'scopy file copy'
check_same "the copy is the source" "$work/source" "$share_path/copy"
if ((EUID == 0)); then
    shared=$(filefrag -v "$share_path/copy" 2>/dev/null | grep -c shared || true)
    if ((shared > 0)); then passed "the copy shares its blocks"; else skipped "no shared blocks: filefrag says nothing"; fi
fi

# Hard links
check "hardlink" client test 'hardlink file name2'
check_same "the other name has the same bytes" "$work/source" "$share_path/name2"
check_says "both names are one file" '^ *2$' stat -c %h "$share_path/file"
check_says "a name that is taken is not linked over" 'OBJECT_NAME_COLLISION' client test 'hardlink copy name2'
check "deleting one name" client test 'del file'
check_same "keeps the other" "$work/source" "$share_path/name2"

# Modes, whatever the umask of who started the server
check "a file and a folder" client test "put $work/source plain; mkdir folder"
check_says "the file has the share's mode" '^664$' stat -c %a "$share_path/plain"
check_says "and so has the folder" '^775$' stat -c %a "$share_path/folder"
check_says "the journal is its owner's alone" '^600$' stat -c %a "$work/state/journal.db"

# Streams
printf 'in a stream' >"$work/stream"
check "put into a stream" client test "put $work/stream name2:first"
check "get from a stream" client test "get name2:FIRST $work/stream.back"
check_same "the stream is what was put" "$work/stream" "$work/stream.back"
if ((EUID == 0)); then
    check "put of a large stream" client test "put $work/source name2:large"
    check "get of it" client test "get name2:LARGE $work/large.back"
    check_same "it has all its bytes" "$work/source" "$work/large.back"
    stop_server
    start_server
    rm -f "$work/large.back"
    check "get of it from a server that was started anew" client test "get name2:large $work/large.back"
    check_same "it still has" "$work/source" "$work/large.back"
    check_says "it is listed" ":large:[$]DATA" client test 'allinfo name2'
fi
check_says "the file itself is untouched" '^3000001$' stat -c %s "$share_path/name2"

# Links that Linux made are shown and never followed.
ln -s /etc "$share_path/out"
ln -s name2 "$share_path/beside"
check_says "a symbolic link is not followed out of the share" 'NT_STATUS_(STOPPED_ON_SYMLINK|OBJECT_PATH_NOT_FOUND|OBJECT_NAME_NOT_FOUND)' \
    client test "get out/passwd $work/passwd"
check "nothing came" test ! -s "$work/passwd"
check_says "a link in a list is a reparse point" ' beside +[A-Z]*r?' client test 'ls'

check_server_alive "the server is the one that was started"
