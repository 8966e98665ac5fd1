"""cluster/lab bench --cluster: what it costs that handles outlive a node: an open on the cluster's continuously available share, beside
the same open without replication.

The nodes' state and the lone server's journal lie on the machine's disk (in the laboratory's cache folder), where a commit costs what it
costs; the LUN lies in memory. Nodes, witness, target and client share the machine's cores.

What a disk's flush takes changes from one second to the next, by more than what is looked for. So the replicated open and that of the
lone server are measured one right after the other, many times, and the figure is the median of the pairs' quotients. With --against,
two clusters are up and take turns.
"""

import json
import os
import shutil
import statistics
from pathlib import Path
from typing import NamedTuple

from .bench import free_port
from .laboratory import SHARE, Laboratory
from .network import VIRTUAL_IP
from .record import run
from .view import table

PLAIN_SHARE = "plain"
USER = "holder"
ALONE = ("--queue", "1")
MANY = ("--queue", "64", "--connections", "4")


class ClusterBench:
    def __init__(self, laboratory, seconds):
        self.laboratory = laboratory
        self.seconds = seconds
        self.folder = laboratory.cache / f"bench-{laboratory.record.identity}"
        self.replicated = f"//{VIRTUAL_IP}/{SHARE}"
        self.alone = None

    def prepare(self, say):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for node in self.laboratory.nodes.values():
            node.state = self.folder / node.name
        self.laboratory.up(say)
        self.password = self.laboratory.password(USER)
        self.laboratory.active().control("share", "add", PLAIN_SHARE, "--path", PLAIN_SHARE, "--no-continuously-available")
        self.start_alone()

    def start_alone(self):
        """A server without a cluster: the journal of its handles is its own."""
        laboratory = self.laboratory
        share, password, log = self.folder / "share", self.folder / "password", laboratory.record.directory / "alone.log"
        port = free_port()
        share.mkdir()
        password.touch(mode=0o600)
        password.write_text(self.password + "\n")
        laboratory.record.spawn(
            "smbserverd", *laboratory.network.inside(
                "client", laboratory.binaries / "smbserverd", "--share", f"{SHARE}={share},ca", "--user", USER, "--password-file",
                password, "--port", port, "--state-dir", self.folder / "alone"),
            log=log)
        run(*laboratory.network.inside(
            "client", "sh", "-c", f"for i in $(seq 100); do ss -Hltn sport = {port} | grep -q . && exit 0; sleep 0.05; done; exit 1"))
        self.alone = f"//127.0.0.1:{port}/{SHARE}"

    def measure(self, target, work, words):
        laboratory = self.laboratory
        done = run(
            *laboratory.network.inside(
                "client", laboratory.binaries / "smbbench", "bench", target, "--user", USER, "--password-env", "HOLDFAST_PASSWORD",
                "--seconds", self.seconds, "--file-size", "1M", "--json", "--work", work, *words),
            timeout=120, environment={**os.environ, "HOLDFAST_PASSWORD": self.password})
        return json.loads(done.stdout.splitlines()[-1])

    def pair(self):
        """An open alone, replicated and right after it with a journal of its own."""
        return Pair(*(self.measure(target, "persistent", ALONE)["openP50Microseconds"] for target in (self.replicated, self.alone)))

    def play(self):
        rows = []
        cases = (
            ("open, not to outlive anything", f"//{VIRTUAL_IP}/{PLAIN_SHARE}", "open-data"),
            ("persistent, a journal of its own", self.alone, "persistent"),
            ("persistent, replicated", self.replicated, "persistent"),
        )
        for what, target, work in cases:
            one, many = (self.measure(target, work, words) for words in (ALONE, MANY))
            rows.append([what, f"{one['openP50Microseconds']:.0f} us", f"{one['openP99Microseconds']:.0f} us",
                         f"{many['operationsPerSecond']:.0f}/s", f"{many['openP50Microseconds'] / 1000:.1f} ms"])
        print(table(["CREATE", "alone p50", "p99", f"{MANY[1]} x {MANY[3]} under way", "p50"], rows))
        print(f"\n{self.seconds:g} s each; opens a second with their CLOSE, each committed by a majority before its answer\n")

    def end(self):
        self.laboratory.down()
        shutil.rmtree(self.folder, ignore_errors=True)


class Pair(NamedTuple):
    """Median microseconds of an open."""

    replicated: float
    alone: float


def compare(benches, rounds):
    """benches: by name. In turns, each round all of them."""
    pairs = {name: [] for name in benches}
    for _ in range(rounds):
        for name, bench in benches.items():
            pairs[name].append(bench.pair())
    rows = []
    for name, taken in pairs.items():
        quotients = sorted(pair.replicated / pair.alone for pair in taken)
        rows.append([name, *(f"{statistics.median(values):.0f} us" for values in zip(*taken, strict=True)),
                     f"{statistics.median(quotients):.2f}", f"{quotients[0]:.2f} to {quotients[-1]:.2f}"])
    print(table(["an open alone", "replicated", "journal of its own", "quotient", "of the pairs"], rows))
    print(f"\nmedians of {rounds} pairs, one right after the other")


def play(laboratory, options, say):
    benches = {str(laboratory.binaries): ClusterBench(laboratory, options.seconds)}
    if options.against:
        other = Laboratory(f"{laboratory.record.identity}-other", Path(options.against).resolve(), laboratory.cache)
        other.record.lock()
        benches[options.against] = ClusterBench(other, options.seconds)
    try:
        for bench in benches.values():
            bench.prepare(say)
        for name, bench in benches.items():
            print(name)
            bench.play()
        compare(benches, options.rounds)
    finally:
        for bench in benches.values():
            bench.end()
    return 0
