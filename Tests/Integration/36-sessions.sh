#!/usr/bin/env bash
# What the settings of `smbserverd --security` do to other people's clients: encryption of the whole server, allowed algorithms,
# anonymous logons.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/library.sh"

make_share
printf 'contents\n' >"$work/file"
nobody() { timeout 20 smbclient "//127.0.0.1/$1" -N -U% -p "$port" -s /dev/null -c exit; }

start_server --security encryption=required
for dialect in SMB3_00 SMB3_11; do
    check "encryption required: $dialect puts" client test "put $work/file $dialect" -m "$dialect"
    check_same "and what arrives is what was sent" "$work/file" "$share_path/$dialect"
done
for dialect in SMB2_02 SMB2_10; do
    check_says "encryption required: $dialect is refused" ACCESS_DENIED client test ls -m "$dialect"
done
check_says "nobody in particular is refused" LOGON_FAILURE nobody 'IPC$'
stop_server

start_server --security ciphers=aes-256-gcm --security signing-algorithms=aes-gmac
check "3.1.1 with what is allowed" client test "put $work/file allowed" -m SMB3_11 --client-protection=encrypt
for dialect in SMB2_10 SMB3_02; do
    check_says "$dialect cannot sign as is allowed" 'NOT_SUPPORTED|CONNECTION' client test ls -m "$dialect"
done
stop_server

start_server --security anonymous=on --share "open=$share_path,allow=Anonymous Logon:read,allow=alice:full"
check "anonymous on: IPC\$ is open" nobody 'IPC$'
check_says "an ordinary share is not" ACCESS_DENIED nobody test
check "a share that names nobody is" nobody open
check_says "for reading" ACCESS_DENIED \
    timeout 20 smbclient //127.0.0.1/open -N -U% -p "$port" -s /dev/null -c "put $work/file anonymous"
check_says "a wrong password makes no guest" LOGON_FAILURE \
    timeout 20 smbclient //127.0.0.1/open wrong -U alice -p "$port" -s /dev/null -c exit
check "who has a name comes in as ever" client test ls
check_server_alive "the server lives"

check_says "nonsense is refused" 'no security setting guests' "$binaries/smbserverd" --share "x=$share_path" --user a \
    --security guests=on
