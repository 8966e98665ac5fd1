"""cluster/lab bench: smbserverd and Debian's smbd on the same files of the same machine, in turns; medians and their ratio.

CPU time a byte or an operation is what is compared: it is steadier on a shared machine than bytes a second, and what a server
leaves to others. Traffic goes over the loopback only; the share is XFS over a sparse file in memory.
"""

import argparse
import json
import os
import secrets
import shutil
import signal
import socket
import statistics
import time
from pathlib import Path

from .record import LabError, Record, end_process, run, start_time
from .view import table

USER = "root"  # smbd maps its users to the machine's; ours knows only this one
SHARE_SIZE = "3G"
IDLE_CONNECTIONS = 100
# (what, smbbench's words)
PLAIN = ("--signing", "none")
ROWS = [
    *((f"{work} {size}, plain", ("--work", work, "--size", size, *PLAIN)) for work in ("read", "write") for size in ("1M", "64K", "4K")),
    *((f"{work} 1M, {mac.upper()}", ("--work", work, "--size", "1M", "--signing", mac)) for mac in ("gmac", "cmac") for work in ("read", "write")),
    *((f"{work} 1M, GCM", ("--work", work, "--size", "1M", "--encryption", "gcm")) for work in ("read", "write")),
    ("open and close", ("--work", "open", *PLAIN)),
    ("stat", ("--work", "stat", *PLAIN)),
]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One of the servers that are compared: its name in the table, its port and its first process."""

    def __init__(self, name):
        self.name = name
        self.port = free_port()
        self.process = None

    def wait_for_port(self, log):
        deadline = time.monotonic() + 15
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise LabError(f"{self.name} does not start: {log.read_text(errors='replace').strip()[-400:]}") from None
            time.sleep(0.05)

    def tree(self):
        """The process numbers of the server and all its descendants."""
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                except OSError:
                    continue
        found = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return found

    def megabytes(self):
        """Proportional set size: what the machine would have more without it."""
        total = 0
        for pid in self.tree():
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        return total / 1024

    def end(self):
        processes = [(pid, start_time(pid)) for pid in self.tree()]
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except Exception:  # whatever is left is ended below
            pass
        for pid, started in processes:
            end_process(pid, started)


class Bench:
    def __init__(self, identity, binaries):
        self.record = Record(identity)
        self.binaries = binaries
        self.folder = Path("/dev/shm") / f"holdfast-bench-{identity}"
        self.share = self.folder / "share"
        self.secret = secrets.token_hex(8)
        self.servers = []

    def prepare(self):
        self.record.clean()
        self.record.create()
        self.clean_folder()
        self.record.add("directory", path=str(self.folder))
        self.share.mkdir(parents=True)
        run("truncate", "-s", SHARE_SIZE, self.folder / "image")
        run("mkfs.xfs", "-q", "-K", "-m", "reflink=1,bigtime=1", "-i", "size=1024", self.folder / "image")
        run("mount", "-o", "loop,noatime", self.folder / "image", self.share)
        self.start_ours()
        if shutil.which("smbd"):
            self.start_smbd("smbd", [])
            self.start_smbd("smbd tuned", ["use sendfile = yes", "aio read size = 0", "aio write size = 0"])

    def clean_folder(self):
        run("umount", "--lazy", self.share, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_ours(self):
        server = Server("ours")
        password, log = self.folder / "password", self.folder / "smbserverd.log"
        password.touch(mode=0o600)
        password.write_text(self.secret + "\n")
        server.process = self.record.spawn(
            "smbserverd", self.binaries / "smbserverd", "--share", f"test={self.share}", "--user", USER,
            "--password-file", password, "--port", server.port, "--state-dir", self.folder / "state",
            # As smbd does by default: what is called plain here would be signed otherwise.
            "--signing", "optional", log=log)
        server.wait_for_port(log)
        self.servers.append(server)

    def start_smbd(self, name, settings):
        server = Server(name)
        home = self.folder / name.replace(" ", "-")
        for part in ("private", "lock", "state", "cache", "pid"):
            (home / part).mkdir(parents=True)
        configuration, log = home / "smb.conf", home / "out"
        lines = [
            "[global]", "workgroup = BENCH", f"smb ports = {server.port}", "interfaces = lo", "bind interfaces only = yes",
            *(f"{what} = {home / part}" for what, part in (
                ("private dir", "private"), ("lock directory", "lock"), ("state directory", "state"),
                ("cache directory", "cache"), ("pid directory", "pid"))),
            f"ncalrpc dir = {home / 'pid/ncalrpc'}", f"log file = {home / 'log'}", "disable spoolss = yes",
            "load printers = no", *settings, "[test]", f"path = {self.share}", "read only = no"]
        configuration.write_text("\n".join(lines) + "\n")
        run("smbpasswd", "-c", configuration, "-L", "-a", "-s", USER, text_input=f"{self.secret}\n{self.secret}\n")
        server.process = self.record.spawn(name, "smbd", "-F", "--no-process-group", "-s", configuration, log=log)
        server.wait_for_port(log)
        self.servers.append(server)

    # Measuring

    def measure(self, server, words, seconds):
        done = run(
            self.binaries / "smbbench", "bench", f"//127.0.0.1:{server.port}/test", "--user", USER, "--password-env", "SMB_PASSWORD",
            "--pid", server.process.pid, "--seconds", seconds, "--json", *words, timeout=120,
            environment={"SMB_PASSWORD": self.secret})
        return json.loads(done.stdout.splitlines()[-1])

    def idle_memory(self, server):
        """With connections that negotiate nothing: a process or a thread for each shows all the same."""
        held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(IDLE_CONNECTIONS)]
        time.sleep(1.5)
        megabytes = server.megabytes()
        for connection in held:
            connection.close()
        return megabytes

    def play(self, rounds, seconds):
        rows = []
        for what, words in ROWS:
            samples = {server.name: [] for server in self.servers}
            for _ in range(rounds):
                for server in self.servers:
                    samples[server.name].append(self.measure(server, words, seconds))
            rows.append(self.row(what, samples))
            print(f"{what}: measured", flush=True)
        memory = [self.idle_memory(server) for server in self.servers]
        rows.append([f"{IDLE_CONNECTIONS} idle connections", *(f"{value:.1f} MB" for value in memory),
                     *(f"{memory[0] / other:.2f}" for other in memory[1:])])
        names = [server.name for server in self.servers]
        print()
        print(table(["", *names, *(f"ours / {name}" for name in names[1:])], rows))
        print(f"\nCPU seconds a GB, or microseconds an operation (operations a second); medians of {rounds} rounds in turns, "
              f"{seconds:g} s each, 16 requests under way on one connection; memory is PSS")
        if len(names) == 1:
            print("Debian's smbd is not installed: apt-get install samba puts it beside ours")

    @staticmethod
    def row(what, samples):
        is_bytes = any(word in what for word in ("1M", "64K"))
        key = "cpuSecondsPerGigabyte" if is_bytes else "cpuMicrosecondsPerOperation"
        costs = {name: statistics.median(sample[key] for sample in taken) for name, taken in samples.items()}
        rates = {name: statistics.median(sample["operationsPerSecond"] for sample in taken) for name, taken in samples.items()}
        mine, *others = costs
        return [what, *(f"{costs[name]:.3g} ({rates[name]:.0f}/s)" for name in costs),
                *(f"{costs[mine] / costs[other]:.2f}" for other in others)]

    def end(self):
        for server in self.servers:
            server.end()
        self.clean_folder()
        self.record.clean()


def play(laboratory, words, say):
    parser = argparse.ArgumentParser(prog="cluster/lab bench")
    parser.add_argument("--cluster", action="store_true", help="what replicating a handle costs, instead")
    parser.add_argument("--against", metavar="DIRECTORY", help="with --cluster: other programs, whose cluster takes turns with this one")
    parser.add_argument("--rounds", type=int, help="3; of pairs with --cluster 12")
    parser.add_argument("--seconds", type=float, default=1.5, help="of each measurement")
    options = parser.parse_args(words)
    options.rounds = options.rounds or (12 if options.cluster else 3)
    if options.against and not options.cluster:
        parser.error("--against goes with --cluster")
    if os.geteuid() != 0:
        raise LabError("this needs root for a mount of its own: run it with sudo")
    if options.cluster:
        from . import bench_cluster  # it stands on this module

        laboratory.record.lock()
        return bench_cluster.play(laboratory, options, say)
    bench = Bench(f"{laboratory.record.identity}-bench", laboratory.binaries)
    bench.record.lock()
    try:
        bench.prepare()
        bench.play(options.rounds, options.seconds)
    finally:
        bench.end()
    return 0
