#!/usr/bin/env bash
# A process that may have few descriptors: it takes all that it may have, lets clients use most of them, and keeps some for its own work.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/library.sh"

make_share
printf 'contents\n' >"$work/file"
# Root may raise its upper limit as well, unless it lacks the right to: then it is as in a container.
program=$binaries/smbserverd
mkdir -p "$work/bin"
cat >"$work/bin/smbserverd" <<END
#!/bin/sh
exec setpriv --bounding-set=-sys_resource -- prlimit --nofile=64:800 "$program" "\$@"
END
chmod +x "$work/bin/smbserverd"
real=$binaries
if ((EUID == 0)); then binaries=$work/bin; fi
share_flags=,ca
start_server
binaries=$real
if ((EUID != 0)); then
    skipped 'few descriptors: only root can take a right from itself'
    exit 0
fi
check_says 'it says for how many it has room' 'at most 600 files can be open, and 100 clients .* 800 descriptors' cat "$server_log"

# hold COUNT: a client that keeps as many open files; ends when it cannot.
hold() {
    HOLDFAST_PASSWORD=$password timeout 60 "$real/smbbench" handles "//127.0.0.1:$port/test" --user alice \
        --password-env HOLDFAST_PASSWORD --count "$1" >"$work/holder.log" 2>&1
}
hold 590 &
holder=$!
holds() { grep -qx holding "$work/holder.log"; }
check '590 files are open, more than the limit that it was started with' wait_for 20 holds
check 'others are served' client test "mkdir folder; cd folder; put $work/file file; ls; rename file other; del other; cd ..; rmdir folder"
kill "$holder"
wait "$holder" || true
hold 601 || true
check_says 'one more than there is room for is refused' STATUS_TOO_MANY_OPENED_FILES cat "$work/holder.log"
check 'by the limit, not by the kernel' bash -c "! grep -q 'Too many open files' '$server_log'"
check_server_alive 'the server lives'
