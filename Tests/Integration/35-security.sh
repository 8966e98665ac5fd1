#!/usr/bin/env bash
# Who may do what: smbcacls sets, inherits and denies, smbclient meets it, as two users and an administrator. smbcacls knows no
# port but 445: the server stands in a network of its own.
set -euo pipefail
if [[ ${HOLDFAST_OWN_NETWORK:-} != yes ]]; then
    if ((EUID != 0)); then
        printf 'skipped security: a network of its own needs root\n' | tee -a "${HOLDFAST_RESULTS:?}"
        exit 0
    fi
    HOLDFAST_OWN_NETWORK=yes exec unshare --net bash "${BASH_SOURCE[0]}"
fi
ip link set lo up
source "$(dirname "${BASH_SOURCE[0]}")/library.sh"

port=445
make_share
mkdir "$share_path/.limited"
share_flags=,abe
start_server --user bob --administrator carol \
    --share "limited=$share_path/.limited,allow=bob:read,allow=alice:change" --share "closed=$share_path/.limited,deny=bob,allow=Everyone:full"

# as USER SHARE COMMANDS: smbclient.
as() { timeout 20 smbclient "//127.0.0.1/$2" -U "$1%$password" -s /dev/null -c "$3"; }
# acls USER NAME [OPTION...]: smbcacls on the share "test".
acls() {
    local user=$1 name=$2
    shift 2
    timeout 20 smbcacls //127.0.0.1/test "$name" -U "$user%$password" -s /dev/null --numeric "$@"
}
sid_of() { acls "$1" "$2" | sed -n 's/^OWNER://p'; }

printf 'contents\n' >"$work/file"
check "alice makes a folder" as alice test 'mkdir house'
check "bob makes one in it: the root lets everyone" as bob test 'mkdir house\bobs'
alice=$(sid_of alice house)
bob=$(sid_of alice 'house\bobs')
if [[ $alice == S-1-5-21-*-1000 && $bob == S-1-5-21-*-1001 ]]; then
    passed "what somebody makes is theirs"
else
    failed "what somebody makes is theirs" "alice: $alice" "bob: $bob"
fi
check_says "the list came from above" '^ACL:S-1-1-0:0/0x13/0x001f01ff' acls alice house

check "alice keeps it to herself, lets bob look" acls alice house --set \
    "REVISION:1,ACL:$alice:0/3/0x001f01ff,ACL:$bob:0/3/0x001200a9,ACL:S-1-3-0:0/11/0x10000000"
check "alice puts a file" as alice test "cd house; put $work/file f"
check_says "the file has what the folder passes on" "^ACL:$bob:0/0x(0|10)/0x001200a9" acls alice 'house\f'
check_says "the creator is put in" "^ACL:$alice:0/0x(0|10)/0x001f01ff" acls alice 'house\f'
check "bob reads it" as bob test "get house\\f $work/back"
check_same "what bob reads is what alice wrote" "$work/file" "$work/back"
check_says "bob does not write it" ACCESS_DENIED as bob test "cd house; put $work/file f"
check_says "bob puts nothing in" ACCESS_DENIED as bob test "cd house; put $work/file g"
check_says "bob makes no folder in it" ACCESS_DENIED as bob test 'mkdir house\sub'
check_says "bob deletes nothing" ACCESS_DENIED as bob test 'del house\f'
check_says "bob renames nothing" ACCESS_DENIED as bob test 'rename house\f house\mine'
check "bob has a file of his own" as bob test "put $work/file mine"
check_says "bob moves nothing in" ACCESS_DENIED as bob test 'rename mine house\mine'
check_says "bob may not change the list" 'ACCESS_DENIED|NT_STATUS' acls bob 'house\f' --add "ACL:$bob:0/0/0x001f01ff"
check_same "nothing happened to the file" "$work/file" "$share_path/house/f"
check "alice makes a folder in it" as alice test 'mkdir house\sub'
check_says "which passes the creator on" '^ACL:S-1-3-0:0/0x(b|1b)/0x10000000' acls alice 'house\sub'

check "alice denies bob the file" acls alice 'house\f' --set "REVISION:1,ACL:$bob:1/0/0x00000001,ACL:S-1-1-0:0/0/0x001f01ff"
check_says "bob reads it no more" ACCESS_DENIED as bob test "get house\\f $work/back"
check "alice reads it" as alice test "get house\\f $work/back"
check "alice hides it" acls alice 'house\f' --set "REVISION:1,ACL:$alice:0/0/0x001f01ff"
check_says "bob does not see what he may not read" '^ *\. ' as bob test 'ls house\*'
if as bob test 'ls house\*' | grep -q ' f  '; then failed "bob does not see the file"; else passed "bob does not see the file"; fi
check_says "alice does" ' f  ' as alice test 'ls house\*'

check_says "alice gives it to nobody else" 'INVALID_OWNER' acls alice 'house\f' --chown "$bob"
check_says "the administrator is not let in by name" ACCESS_DENIED as carol test "get house\\f $work/back"
check "but takes what she wants" acls carol 'house\f' --chown "$bob"
check_says "bob owns it now" "^OWNER:$bob" acls bob 'house\f'
check "the owner may let himself in" acls bob 'house\f' --set "REVISION:1,ACL:$bob:0/0/0x001f01ff"
check "and reads it" as bob test "get house\\f $work/back"
check_says "and alice is out, who may only delete it" ACCESS_DENIED as alice test "get house\\f $work/back"
check "he deletes it" as bob test 'del house\f'

# What was made on the server itself, without a descriptor, has what it would have inherited.
printf 'secret\n' >"$share_path/house/local"
check_says "bob reads what the folder's list lets him" '' as bob test "get house\\local $work/back"
check_says "bob does not write it" ACCESS_DENIED as bob test "cd house; put $work/file local"
check_says "it is shown" "^ACL:$bob:0/0x(0|10)/0x001200a9" acls alice 'house\local'

check "alice changes on the other share" as alice limited "put $work/file f"
check "bob reads there" as bob limited "get f $work/back"
check_says "bob does not write there" 'ACCESS_DENIED' as bob limited "put $work/file g"
# mkdir asks for no right to write: what it does takes one all the same.
check_says "bob makes no folder there" 'ACCESS_DENIED' as bob limited 'mkdir sub'
check_says "bob puts nothing over what is there" 'ACCESS_DENIED' as bob limited "put $work/password f"
check_says "bob deletes nothing there" 'ACCESS_DENIED' as bob limited 'del f'
check_says "bob renames nothing there" 'ACCESS_DENIED' as bob limited 'rename f g'
check_says "bob makes no second name there" 'ACCESS_DENIED' as bob limited 'hardlink f g'
check_says "bob sees what there is to know" '^stream: \[::[$]DATA\], 9 bytes' as bob limited 'allinfo f'
check_same "nothing happened to what is there" "$work/file" "$share_path/.limited/f"
there=$(ls -A "$share_path/.limited")
if [[ $there == f ]]; then passed "nothing else is there"; else failed "nothing else is there" "$there"; fi
check "alice makes a folder there" as alice limited 'mkdir sub'
check "and takes it away" as alice limited 'rmdir sub'
check_says "carol does not connect" 'ACCESS_DENIED' as carol limited 'ls'
check_says "bob does not where he is denied" 'ACCESS_DENIED' as bob closed 'ls'
check "carol does" as carol closed 'ls'
check_server_alive "the server still runs"
