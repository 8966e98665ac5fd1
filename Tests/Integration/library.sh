# shellcheck shell=bash
# For the numbered scripts: a server of their own on a file system of their own, and results that the harness counts.

set -euo pipefail
# A script that ends early says where.
trap 'printf "    %s, line %d, ended with %d: %s\n" "${0##*/}" "$LINENO" "$?" "$BASH_COMMAND"' ERR

binaries=${HOLDFAST_BINARIES:?}
work=${HOLDFAST_WORK:?}
results=${HOLDFAST_RESULTS:?}
# shellcheck disable=SC2034  # the scripts use it
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

password='Correct-Horse 7'
share_path=$work/share
server_log=$work/smbserverd.log
server=
port=

passed() { printf 'passed %s\n' "$*" | tee -a "$results"; }
skipped() { printf 'skipped %s\n' "$*" | tee -a "$results"; }
failed() {
    printf 'failed %s\n' "$1" | tee -a "$results"
    if (($# > 1)); then printf '%s\n' "${@:2}" | sed 's/^/    /' | tail -n 30; fi
}

# check NAME COMMAND...: passes when the command succeeds.
check() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then passed "$name"; else failed "$name" "exit $? from: $*" "$output"; fi
}

# check_says NAME PATTERN COMMAND...: passes when the command's output has the pattern, whatever its exit status.
check_says() {
    local name=$1 pattern=$2 output
    shift 2
    output=$("$@" 2>&1) || true
    if grep -qE -- "$pattern" <<<"$output"; then passed "$name"; else failed "$name" "no '$pattern' from: $*" "$output"; fi
}

# refuses NAME STATUS PATTERN COMMAND...: ends with that status and says so.
refuses() {
    local name=$1 status=$2 pattern=$3 output got=0
    shift 3
    output=$("$@" 2>&1) || got=$?
    if ((got == status)) && grep -qE -- "$pattern" <<<"$output"; then
        passed "$name"
    else
        failed "$name" "exit $got instead of $status, or no '$pattern' from: $*" "$output"
    fi
}

# check_same NAME FILE FILE: passes when both have the same SHA-256.
check_same() {
    local one two
    one=$(sha256sum <"$2" 2>&1) || true
    two=$(sha256sum <"$3" 2>&1) || true
    if [[ -n $one && $one == "$two" ]]; then passed "$1"; else failed "$1" "$2: $one" "$3: $two"; fi
}

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
    local left=$(($1 * 5))
    shift
    until "$@" >/dev/null 2>&1; do
        if ((left-- <= 0)); then return 1; fi
        sleep 0.2
    done
}

# A port that nothing listens on now.
free_port() {
    local candidate
    while true; do
        candidate=$((20000 + RANDOM % 12000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$candidate") 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
}

# make_share [MEGABYTES]: XFS on a loop device, as a node has it; without root a plain folder.
make_share() {
    mkdir -p "$share_path"
    if ((EUID != 0)); then return; fi
    truncate -s "${1:-2048}M" "$work/share.img"
    mkfs.xfs -q -K -m reflink=1,bigtime=1 -i size=1024 "$work/share.img"
    mount -o loop,noatime "$work/share.img" "$share_path"
}

# start_server [OPTION...]: the share's flags (",ca") stand in share_flags. All users have the same password.
share_flags=
start_server() {
    port=${port:-$(free_port)}
    mkdir -p "$work/state"
    (umask 077 && printf '%s\n' "$password" "$password" "$password" >"$work/password")
    "$binaries/smbserverd" --share "test=$share_path$share_flags" --user alice --password-file "$work/password" \
        --port "$port" --state-dir "$work/state" "$@" >>"$server_log" 2>&1 &
    server=$!
    for _ in {1..100}; do
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return; fi
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    failed "smbserverd starts" "$(tail -n 20 "$server_log")"
    exit 1
}

stop_server() {
    if [[ -z $server ]]; then return; fi
    kill -TERM "$server" 2>/dev/null || true
    for _ in {1..50}; do
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
}

# The server that was started is the one that still runs.
check_server_alive() {
    if kill -0 "$server" 2>/dev/null; then passed "$1"; else failed "$1" "$(tail -n 20 "$server_log")"; fi
}

clean_up() {
    stop_server
    if mountpoint -q "$share_path"; then umount "$share_path" || umount --lazy "$share_path"; fi
}
trap clean_up EXIT
trap 'exit 143' INT TERM

# client SHARE COMMANDS [OPTIONS...]: smbclient as alice.
client() {
    local share=$1 commands=$2
    shift 2
    timeout 60 smbclient "//127.0.0.1/$share" "$password" -U alice -p "$port" -s /dev/null "$@" -c "$commands"
}
