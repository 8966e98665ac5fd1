#!/usr/bin/env bash
# The services behind the named pipes, asked by rpcclient and impacket: shares, names and SIDs, users, and who may see what.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/library.sh"

impacket_version=0.13.1

make_share 320
start_server --name HOLDFAST

rpc() { # COMMANDS
    timeout 20 rpcclient -U "alice%$password" -p "$port" -s /dev/null 127.0.0.1 -c "$1"
}

check_says "smbclient lists the shares" 'test +Disk' \
    timeout 20 smbclient -L //127.0.0.1 -U "alice%$password" -p "$port" -s /dev/null
check_says "srvinfo" 'os version +:.10\.0' rpc srvinfo
check_says "netshareenum" 'netname: test' rpc netshareenum
check_says "netshareenumall" 'netname: IPC\$' rpc netshareenumall
for level in 1 2 502; do check_says "netsharegetinfo $level" 'netname: test' rpc "netsharegetinfo test $level"; done
check_says "netsharegetinfo 1005" 'flags: 0x0' rpc "netsharegetinfo test 1005"
check_says "netsharegetinfo of none" 'WERR_NERR_NETNAMENOTFOUND|NERR_NetNameNotFound|DOS code 0x00000906' rpc "netsharegetinfo nothing 1"
check "netremotetod" rpc netremotetod
check "wkssvc_wkstagetinfo" rpc wkssvc_wkstagetinfo
check_says "sessions are not for everybody" 'WERR_ACCESS_DENIED' rpc netsessenum
check_says "nor are open files" 'WERR_ACCESS_DENIED' rpc netfileenum
check_says "nor connections" 'WERR_ACCESS_DENIED' rpc netconnenum

check_says "lsaquery" 'Domain Name: WORKGROUP' rpc lsaquery
check_says "lsaquery 5: the account domain" 'Domain Sid: S-1-5-21-' rpc "lsaquery 5"
check_says "lsaquery 12: the DNS domain" 'Domain NetBios Name: WORKGROUP' rpc "lsaquery 12"
check_says "lookupnames: a user" 'alice S-1-5-21-[0-9-]+-1000 \(User: 1\)' rpc "lookupnames alice"
check_says "lookupnames: with the domain" 'S-1-5-21-[0-9-]+-1000 \(User: 1\)' rpc 'lookupnames HOLDFAST\\alice'
check_says "lookupnames: well-known" 'SYSTEM S-1-5-18 ' rpc "lookupnames SYSTEM"
check_says "lookupnames: nobody" 'NT_STATUS_NONE_MAPPED' rpc "lookupnames nobody"
sid=$(rpc "lookupnames alice" | awk '{ print $2 }')
check_says "lookupsids: the user's SID back" 'HOLDFAST\\alice \(1\)' rpc "lookupsids $sid"
check_says "lookupsids: well-known" 'BUILTIN\\Administrators \(4\)' rpc "lookupsids S-1-5-32-544"
check_says "lookupsids: a Unix id" 'Unix User\\1000 \(1\)' rpc "lookupsids S-1-22-1-1000"
check_says "lookupsids3 is a domain controller's" 'NT_STATUS_ACCESS_DENIED' rpc "lookupsids3 S-1-1-0"
check_says "getusername" 'Account Name: alice, Authority Name: HOLDFAST' rpc getusername
check_says "accounts with privileges are not told" 'NT_STATUS_ACCESS_DENIED' rpc lsaenumsid

check_says "enumdomusers" 'user:\[alice\] rid:\[0x3e8\]' rpc enumdomusers
check_says "queryuser" 'User Name +:.alice' rpc "queryuser 1000"
check_says "querydispinfo" 'Account: alice' rpc querydispinfo
check_says "samlookupnames" 'name alice: 0x3e8 \(1\)' rpc "samlookupnames domain alice"
check_says "samlookuprids" 'rid 0x3e8: alice \(1\)' rpc "samlookuprids domain 1000"
check_says "queryusergroups" 'rid:\[0x201\]' rpc "queryusergroups 1000"
check_says "aliases of BUILTIN" 'group:\[Administrators\] rid:\[0x220\]' rpc "enumalsgroups builtin"
check_says "members of Users" 'S-1-5-11' rpc "queryaliasmem builtin 545"
check_says "the registry is not served" 'NT_STATUS_OBJECT_NAME_NOT_FOUND' rpc "winreg_enumkey HKLM"
check_says "no pipe for the anonymous" 'NT_STATUS_(ACCESS_DENIED|LOGON_FAILURE)' \
    timeout 20 rpcclient -N -U % -p "$port" -s /dev/null 127.0.0.1 -c enumdomusers

if python3 -m venv "$work/venv" >"$work/pip.log" 2>&1 &&
    "$work/venv/bin/pip" install --quiet "impacket==$impacket_version" >>"$work/pip.log" 2>&1; then
    found=$work/impacket.out
    ask_impacket() { "$work/venv/bin/python" "$here/rpc_impacket.py" "$port" alice "$password" >"$found"; }
    check "impacket asks all services" ask_impacket
    for level in None 2 5 6; do # RPC's own authentication: none, of the connection, signed, encrypted
        check_says "1000 SIDs in one call, level $level" "sid 1000 alice 1 fragment None level $level" cat "$found"
        check_says "1000 SIDs in many fragments, level $level" "sid 1000 alice 1 fragment 1024 level $level" cat "$found"
    done
    check_says "a wrong password of RPC's own" 'wrong password: rpc_s_access_denied' cat "$found"
    check_says "samr lists the users" 'user alice 1000 groups \[513\]' cat "$found"
    for level in 0 1 2 501 502; do check_says "shares at level $level" "shares $level .*'test'" cat "$found"; done
    check_says "everybody sees their own session" "sessions \['alice'\]" cat "$found"
    check_says "the time of day" "year $(date -u +%Y)" cat "$found"
    check_says "server information 102" 'server 102 HOLDFAST' cat "$found"
    check_says "workstation information 102" 'workstation 102 HOLDFAST' cat "$found"
else
    skipped "impacket $impacket_version: pip cannot install it ($(tail -n 1 "$work/pip.log" | cut -c 1-80))"
fi

# Samba's own tests of the services, plain, signed and encrypted by RPC: what is known to fail stands with its reason in
# rpc-expected-failures, and what fails is exactly that.
torture() { # SUITE BINDING
    local ran=$work/torture.out
    timeout 60 smbtorture "ncacn_np:127.0.0.1$2" -p "$port" -U "alice%$password" -s /dev/null "$1" >"$ran" 2>&1 || true
    grep -E '^(success|failure|error|skip):' "$ran" || return 1
    sed -nE 's/^(failure|error): (.*[^ [])( \[)?$/\2/p' "$ran" | sort >"$work/torture.failed"
    sed -nE "s/^$1: ([^#]*[^# ]) *#.*$/\\1/p" "$here/rpc-expected-failures" | sort | diff - "$work/torture.failed"
}
for suite in rpc.srvsvc rpc.wkssvc rpc.lsa rpc.lsa.lookupsids rpc.lsa-getuser rpc.samr rpc.samr.users; do
    for binding in '' '[sign]' '[seal]'; do check "smbtorture $suite $binding" torture "$suite" "$binding"; done
done
check "smbtorture rpc.bind" torture rpc.bind ''
check_server_alive "the server lives through it"
