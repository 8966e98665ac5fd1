#!/usr/bin/env bash
# Previous versions: made, listed and deleted beside a running server, and what smbclient and smbtorture see of them.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/library.sh"

if ((EUID != 0)); then
    skipped 'snapshots: need root for an XFS of their own'
    exit 0
fi
make_share
# Twice: a folder of the file system, beside which the snapshots lie, and the whole file system, in which they lie hidden.
mkdir "$share_path/folder"
start_server --share "folder=$share_path/folder"

snapshot() { "$binaries/smbserverd" snapshot "$@"; }

head -c 3000001 /dev/urandom >"$work/old"
head -c 3000001 /dev/urandom >"$work/new"

for share in test folder; do
    folder=$share_path
    if [[ $share == folder ]]; then folder+=/folder; fi
    # Larger than an extended attribute.
    check "$share: a large stream" client "$share" "put $work/old beside:large"
    check "$share: a file" client "$share" "mkdir dir; put $work/old dir\\file; put $work/old gone"
    check "$share: without snapshots there are no versions" bash -c "! grep -q @GMT <<<'$(client "$share" 'allinfo dir\file')'"
    token=$(snapshot create "$folder" | cut -d : -f 1)
    check "$share: a snapshot with the second in its name" \
        grep -qE '^@GMT-[0-9]{4}\.[0-9]{2}\.[0-9]{2}-[0-9]{2}\.[0-9]{2}\.[0-9]{2}$' <<<"$token"
    check_says "$share: is listed" "^$token\$" snapshot list "$folder"
    check "$share: the file changes and another goes" client "$share" "put $work/new dir\\file; del gone"

    check_says "$share: allinfo shows the version" "^$token" client "$share" 'allinfo dir\file'
    check "$share: the stream changes" client "$share" "put $work/new beside:large"
    check "$share: get of the stream's old version" client "$share" "get $token\\beside:large $work/got-stream"
    check_same "$share: has the stream's old bytes" "$work/old" "$work/got-stream"
    check "$share: get of the stream" client "$share" "get beside:large $work/got-stream"
    check_same "$share: has the stream's new bytes" "$work/new" "$work/got-stream"
    check "$share: get of the old version" client "$share" "get $token\\dir\\file $work/got-old"
    check_same "$share: has the old bytes" "$work/old" "$work/got-old"
    check "$share: get of the present" client "$share" "get dir\\file $work/got-new"
    check_same "$share: has the new bytes" "$work/new" "$work/got-new"
    check "$share: get of a file that is gone" client "$share" "get $token\\gone $work/got-gone"
    check_same "$share: is that file" "$work/old" "$work/got-gone"
    check_says "$share: the snapshot's root lists it" ' gone ' client "$share" "ls $token\\*"
    check_says "$share: the present does not" 'NO_SUCH_FILE' client "$share" 'ls gone'
    check_says "$share: nothing is put there" 'MEDIA_WRITE_PROTECTED' client "$share" "put $work/new $token\\dir\\other"
    check_says "$share: nor over what is there" 'MEDIA_WRITE_PROTECTED' client "$share" "put $work/new $token\\dir\\file"
    check_says "$share: nothing is deleted there" 'MEDIA_WRITE_PROTECTED' client "$share" "del $token\\dir\\file"
    check_says "$share: no folder is made there" 'MEDIA_WRITE_PROTECTED' client "$share" "mkdir $token\\new"
    check_says "$share: there is no version of another time" 'OBJECT_NAME_NOT_FOUND' \
        client "$share" "get @GMT-2001.01.01-00.00.00\\dir\\file $work/none"
    rm -f "$work/got-old" "$work/got-new" "$work/got-gone"
    # A second has one.
    sleep 1.1
    later=$(snapshot create "$folder" | cut -d : -f 1)
    check_says "$share: the later version is told, too" "^$later" client "$share" 'allinfo dir\file'
    check "$share: get of it" client "$share" "get $later\\dir\\file $work/got-later"
    check_same "$share: has the bytes of its time" "$work/new" "$work/got-later"
    check "$share: the first one is deleted" snapshot delete "$folder" "$token"
    check_says "$share: and is no version any more" 'OBJECT_NAME_NOT_FOUND' \
        client "$share" "get $token\\dir\\file $work/none"
    check "$share: allinfo does not show it" bash -c "! grep -q '$token' <<<'$(client "$share" 'allinfo dir\file')'"
    check "$share: the file goes with its stream" client "$share" 'del beside'
    check_says "$share: a token that is none" 'no such snapshot' snapshot delete "$folder" yesterday
done

# Two versions of each share: that of the deleted one is too young to be swept. Those of the files are gone.
check_says 'streams go with their files' '^4$' bash -c "ls '$share_path/.holdfast/streams' | wc -l"
check_says 'nobody sees where they lie' '^ok$' bash -c "[[ -d '$share_path/.holdfast/snapshots' ]] &&
    ! timeout 20 smbclient //127.0.0.1/test '$password' -U alice -p $port -s /dev/null -c 'ls' | grep -q holdfast && echo ok"
check_says 'nor gets in' 'ACCESS_DENIED' client test 'cd .holdfast; ls'
check_says 'nor into what lies deeper' 'ACCESS_DENIED' client test 'get .holdfast\snapshots\x x'

# Samba's own tests. (listdir is none for us: it names a file with a slash.)
echo content >"$share_path/folder/foo"
printf baz >"$work/stream"
check 'a named stream' client folder "put $work/stream foo:bar"
sleep 1.1
token=$(snapshot create "$share_path/folder" | cut -d : -f 1)
for name in write stream openroot; do
    check_says "smb2.twrp.$name" "^success: $name\$" timeout 60 smbtorture //127.0.0.1/folder -U "alice%$password" -p "$port" \
        -s /dev/null --option=torture:twrp_file=foo --option=torture:twrp_stream=bar --option=torture:twrp_stream_size=3 \
        --option="torture:twrp_snapshot=$token" "smb2.twrp.$name"
done

# While a client writes: each round makes the file all of one byte; no version may be half of one round and half of the next.
mkdir -p "$work/rounds"
for round in {1..8}; do head -c 2000000 /dev/zero | tr '\0' "\\$((round % 8 + 60))" >"$work/rounds/$round"; done
commands=
for round in {1..8}; do commands+="put $work/rounds/$round changing; "; done
# Until there are enough snapshots, however fast the machine is; a writer that has failed makes no more of them.
writes() { while [[ ! -e $work/enough ]]; do client folder "$commands"; done; }
writes >"$work/writer.log" 2>&1 &
writer=$!
made=0
for _ in {1..20}; do
    if snapshot create "$share_path/folder" >>"$work/during.log" 2>&1; then made=$((made + 1)); fi
    if ((made == 3)) || ! kill -0 "$writer" 2>/dev/null; then break; fi
    sleep 1
done
touch "$work/enough"
status=0
wait "$writer" || status=$?
check 'a client writes on while snapshots are made' test "$status" -eq 0
check "snapshots were made meanwhile ($made)" test "$made" -eq 3
check 'and each opens' bash -c "for version in \$('$binaries/smbserverd' snapshot list '$share_path/folder'); do
    timeout 20 smbclient //127.0.0.1/folder '$password' -U alice -p $port -s /dev/null -c \"get \$version\\\\foo $work/one\" &&
        cmp '$work/one' '$share_path/folder/foo' || case \$version in $later) ;; *) exit 1 ;; esac
done"

# The server dies while a snapshot is made: the next one removes what is left, and lists nothing of it.
place=$(find "$share_path/.holdfast/snapshots" -mindepth 1 -maxdepth 1 | while read -r folder; do
    if [[ -d $folder/$token ]]; then echo "$folder"; fi
done)
cp -r "$place/$token" "$place/.making-@GMT-2026.01.01-00.00.00"
check_says 'an unfinished one is not listed' '^ok$' bash -c "'$binaries/smbserverd' snapshot list '$share_path/folder' |
    grep -q 2026.01.01 || echo ok"
stop_server
before=$(snapshot list "$share_path/folder" | wc -l)
start_server --share "folder=$share_path/folder" --snapshots folder=10:2
removed() {
    for _ in {1..100}; do
        if [[ ! -e $place/.making-@GMT-2026.01.01-00.00.00 ]]; then return; fi
        sleep 0.1
    done
    return 1
}
check 'and is removed when the server starts' removed

# A schedule keeps two of its own, and all that were made by hand.
scheduled() { snapshot list "$share_path/folder" | grep -c scheduled || true; }
newest() { snapshot list "$share_path/folder" | grep scheduled | tail -n 1; }
one() {
    for _ in {1..100}; do
        if (($(scheduled) >= 1)); then return; fi
        sleep 0.1
    done
    return 1
}
check 'a schedule makes the first at once' one
first=$(newest)
sleep 32
check_says 'keeps two' '^2$' scheduled
check 'the newest ones' test "$(newest)" '>' "$first"
check_says 'and those that were made by hand' "^$before\$" bash -c "'$binaries/smbserverd' snapshot list '$share_path/folder' |
    grep -vc scheduled"
check_says 'a schedule for a share that is not there' 'no share of that name' "$binaries/smbserverd" --share "a=$share_path" \
    --user alice --snapshots b=60:2
check_says 'a schedule without sense' 'period must be' "$binaries/smbserverd" --share "a=$share_path" --user alice \
    --snapshots a=1:2
check_server_alive 'the server lives'
