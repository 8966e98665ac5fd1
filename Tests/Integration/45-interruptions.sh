#!/usr/bin/env bash
# The server is killed in the middle of one thing after another; a new one takes its place on the same port, with the same
# journal. Two clients come back, reclaim what they had and check. A power loss does the same to more: cluster/lab interrupt.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/library.sh"

make_share
# The server is the grandchild of smbbench when it starts anew: its number lies in a file.
cat >"$work/serve" <<'SCRIPT'
#!/usr/bin/env bash
set -euo pipefail
cd "$1"
setsid "$2" --share "test=$1/share,ca" --user alice --password-file "$1/password" --port "$3" --state-dir "$1/state" \
    >>"$1/smbserverd.log" 2>&1 &
printf '%s\n' "$!" >"$1/pid"
SCRIPT
cat >"$work/break" <<'SCRIPT'
#!/usr/bin/env bash
# Kill, wait until it is gone (or nobody has asked yet how it ended), start the next: that one must be able to bind the port.
set -euo pipefail
pid=$(<"$1/pid")
kill -KILL "$pid"
# The first thread may be a zombie while others still hold the port.
while sed 's/.*) //' "/proc/$pid/task/"*/stat 2>/dev/null | grep -q '^[^ZX]'; do sleep 0.005; done
exec "$(dirname "$0")/serve" "$@"
SCRIPT
chmod +x "$work/serve" "$work/break"

end_server() {
    local pid
    if pid=$(cat "$work/pid" 2>/dev/null); then
        kill -TERM "$pid" 2>/dev/null || true
        for _ in {1..50}; do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL "$pid" 2>/dev/null || true
    fi
    clean_up
}
trap end_server EXIT

port=$(free_port)
mkdir -p "$work/state"
(umask 077 && printf '%s\n' "$password" >"$work/password")
arguments=("$work" "$binaries/smbserverd" "$port")
"$work/serve" "${arguments[@]}"
for _ in {1..100}; do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
    sleep 0.1
done

delays=(--delay 0)
if [[ -n ${HOLDFAST_NIGHTLY:-} ]]; then delays=(--delay 0 --delay 1 --delay 3 --delay 10 --delay 30); fi
while read -r line; do
    name=$(sed -E 's/.*"workload": "([^"]*)".*"delay": ([0-9]+).*/\1, broken after \2 ms/' <<<"$line")
    case $line in
        *'"holds": true'*)
            passed "$name (back after $(sed -E 's/.*"stallMilliseconds": ([0-9]+).*/\1/' <<<"$line") ms)"
            ;;
        *) failed "$name" "$line" "$(tail -n 5 "$server_log")" ;;
    esac
done < <("$binaries/smbbench" interrupt "//127.0.0.1:$port/test/interrupted" --user alice \
    --password-file "$work/password" --break "$(printf '%q ' "$work/break" "${arguments[@]}")" "${delays[@]}" \
    ${HOLDFAST_INTERRUPT_ONLY:+--only "$HOLDFAST_INTERRUPT_ONLY"} || true)

count=$("$binaries/smbbench" interrupt //unused/unused --user nobody --break true --list | wc -l)
ran=$(grep -c 'broken after 0 ms' "$results" || true)
if [[ -z ${HOLDFAST_INTERRUPT_ONLY:-} ]]; then check "all $count workloads ran" [ "$ran" -eq "$count" ]; fi
