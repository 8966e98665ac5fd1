#!/usr/bin/env bash
# Other people's clients, each with what only it does: smbclient, smbget, smbcacls, rpcclient and net of Samba; impacket and
# smbprotocol from PyPI. In a network of their own, because `net rpc share` knows no port but 445. Every byte by SHA-256.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/library.sh"

impacket_version=0.13.1
smbprotocol_version=1.17.0
venv=$work/venv

if ((EUID != 0)); then
    skipped "other people's clients: this needs root for a network of their own"
    exit 0
fi
if [[ -z ${HOLDFAST_ALONE:-} ]]; then
    # What is fetched is fetched before there is no way out.
    if ! {
        python3 -m venv "$venv" &&
            "$venv/bin/pip" install --quiet "impacket==$impacket_version" "smbprotocol==$smbprotocol_version"
    } >"$work/pip.log" 2>&1; then rm -rf "$venv"; fi
    HOLDFAST_ALONE=yes exec unshare --net bash "${BASH_SOURCE[0]}"
fi
ip link set lo up
port=445
make_share 640
mkdir "$work/ca"
start_server --share "ca=$work/ca,ca" --administrator root --name HOLDFAST

sum_of() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum); }

# smbget: a file, one that broke off, a tree, encrypted.
mkdir -p "$share_path/tree/deep/er" "$work/got"
head -c 5000011 /dev/urandom >"$share_path/tree/large"
for size in 0 1 4096 65537; do head -c $size /dev/urandom >"$share_path/tree/deep/er/file $size"; done
get() { (cd "$work/got" && timeout 60 smbget --nonprompt --quiet --user="alice%$password" "$@"); }
check "smbget gets a file" get smb://127.0.0.1/test/tree/large
check_same "smbget: the same bytes" "$share_path/tree/large" "$work/got/large"
truncate -s 1234567 "$work/got/large"
check "smbget goes on with a part" get --resume smb://127.0.0.1/test/tree/large
check_same "smbget: the same bytes behind the part" "$share_path/tree/large" "$work/got/large"
rm "$work/got/large"
check "smbget gets a tree, encrypted" get --recursive --encrypt smb://127.0.0.1/test/tree
check "smbget: the tree's bytes" test "$(sum_of "$share_path/tree")" = "$(sum_of "$work/got")"
check_says "smbget of a file that is not there" "can't be found" get smb://127.0.0.1/test/tree/none

# smbclient: what 10-smbclient.sh does not do with it. (Its reput writes at the file's beginning, whatever server it asks.)
check "smbclient copies on the server" client test 'scopy tree\large copied'
check_same "smbclient scopy: the same bytes" "$share_path/tree/large" "$share_path/copied"
check "smbclient makes a tar" client test "tar c $work/tree.tar tree"
mkdir "$work/untarred"
tar -C "$work/untarred" -xf "$work/tree.tar"
check "smbclient tar: the same bytes" test "$(sum_of "$share_path/tree")" = "$(sum_of "$work/untarred/tree")"
check "smbclient unpacks it" client test "mkdir back; cd back; tar x $work/tree.tar"
check "smbclient untar: the same bytes" test "$(sum_of "$share_path/tree")" = "$(sum_of "$share_path/back/tree")"
head -c 1234567 "$share_path/tree/large" >"$work/part"
check "smbclient goes on with a part" client test "reget tree\\large $work/part"
check_same "smbclient reget: the same bytes" "$share_path/tree/large" "$work/part"
check "smbclient makes a hard link" client test 'hardlink tree\large hard'
check_says "smbclient: which has two names" '^2$' stat -c %h "$share_path/hard"
check_says "smbclient sets an extended attribute" '76 61 6C 75 65' client test 'setea hard NAME value; geteas hard'
check_says "smbclient sets a time" 'write_time: +Sat Feb +3 04:05:06 2001' \
    env TZ=UTC timeout 20 smbclient //127.0.0.1/test "$password" -U alice -s /dev/null \
    -c 'utimes hard -1 -1 2001:02:03-04:05:06 -1; allinfo hard'
timeout 20 stdbuf -oL smbclient //127.0.0.1/test "$password" -U alice -s /dev/null -c 'notify tree' >"$work/notified" 2>&1 &
watcher=$!
for _ in {1..50}; do
    client test 'mkdir tree\seen; rmdir tree\seen' >"$work/seen.out" 2>&1
    if grep -q "^0001 seen" "$work/notified"; then break; fi
    sleep 0.1
done
kill "$watcher" 2>/dev/null || true
wait "$watcher" 2>/dev/null || true
check_says "smbclient is notified" '^0001 seen' cat "$work/notified"

# smbcacls: what 35-security.sh does not do with it. (Samba 4.17's own --sddl crashes, whatever server it asks.)
acls() { timeout 20 smbcacls //127.0.0.1/test "$2" --user="$1%$password" --configfile=/dev/null "${@:3}"; }
check "smbcacls propagates an entry" acls root tree \
    --add "ACL:HOLDFAST\\root:ALLOWED/OI|CI/READ" --propagate-inheritance
check_says "down to the files, as inherited" 'ACL:HOLDFAST\\root:ALLOWED/I/READ' acls alice "tree/deep/er/file 1"
check "smbcacls sets a list with names" acls alice tree/large \
    --set "REVISION:1,OWNER:HOLDFAST\\alice,ACL:HOLDFAST\\alice:ALLOWED/0x0/FULL,ACL:Everyone:ALLOWED/0x0/READ"
check_says "smbcacls shows names" 'ACL:HOLDFAST\\alice:ALLOWED/0x0/FULL' acls alice tree/large
check_says "smbcacls asks what it may" '0x1f01ff' acls alice tree/large --maximum-access

# rpcclient and net: RPC's own authentication, and what cannot be changed through a pipe.
rpc() { timeout 20 rpcclient -U "${3:-alice}%$password" --configfile=/dev/null "ncacn_np:127.0.0.1$1" -c "$2"; }
for binding in '' '[connect]' '[sign]' '[seal]' '[ntlm,sign]' '[ntlm,seal]' '[spnego,sign]' '[spnego,seal]'; do
    check_says "rpcclient $binding lists shares" 'netname: test' rpc "$binding" netshareenumall
    check_says "rpcclient $binding finds a name" 'alice S-1-5-21-[0-9-]+ \(User: 1\)' rpc "$binding" "lookupnames alice"
    check_says "rpcclient $binding lists users" 'user:\[alice\]' rpc "$binding" enumdomusers
done
remote() { timeout 20 net rpc "${@:2}" --server=127.0.0.1 --user="$1%$password" --configfile=/dev/null </dev/null; }
check_says "net rpc share list" '^test' remote alice share list
check_says "net rpc share allowedusers" '^test' remote alice share allowedusers
check_says "net rpc info" 'Domain Name: HOLDFAST' remote alice info
check_says "net rpc user" '^alice' remote alice user
check_says "net rpc file, for the administrator" 'PIPE.srvsvc' remote root file
delete_share() { if remote "$1" share delete test; then return 1; fi; }
for user in alice root; do
    check_says "net rpc share add is refused to $user" 'WERR_ACCESS_DENIED|Access is denied|NT_STATUS_ACCESS_DENIED' \
        remote $user share add "more=$work"
    check "net rpc share delete is refused to $user" delete_share $user
done
check_says "the share is still there" '^test' remote alice share list
check_says "net rpc service: no such pipe" 'svcctl.*NT_STATUS_OBJECT_NAME_NOT_FOUND' remote root service list
check_says "net rpc registry: no such pipe" 'winreg.*NT_STATUS_OBJECT_NAME_NOT_FOUND' remote root registry enumerate HKLM
check_says "net rpc printer: no such pipe" 'spoolss.*NT_STATUS_OBJECT_NAME_NOT_FOUND' remote root printer list

if [[ -d $venv ]]; then
    for package in impacket smbprotocol; do
        if "$venv/bin/python" "$here/foreign_$package.py" "$port" alice "$password" >"$work/$package.out" 2>&1; then
            while read -r line; do passed "$package: $line"; done <"$work/$package.out"
        else
            failed "$package" "$(tail -n 25 "$work/$package.out")"
        fi
    done
else
    skipped "impacket $impacket_version, smbprotocol $smbprotocol_version: pip: $(tail -n 1 "$work/pip.log" | cut -c 1-80)"
fi
check_server_alive "the server lives through it"
