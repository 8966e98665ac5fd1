"""cluster/lab bench --cluster: what it costs that handles outlive a node: an open on the cluster's continuously available share, beside
the same open without replication.

The nodes' state and the lone server's journal lie on the machine's disk (in the laboratory's cache folder), where a commit costs what it
costs; the LUN lies in memory. Nodes, witness, target and client share the machine's cores.
"""

import json
import os
import shutil

from .bench import free_port
from .laboratory import SHARE
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

    def prepare(self, say):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for node in self.laboratory.nodes.values():
            node.state = self.folder / node.name
        self.laboratory.up(say)
        self.password = self.laboratory.password(USER)
        self.laboratory.active().control("share", "add", PLAIN_SHARE, "--path", PLAIN_SHARE, "--no-continuously-available")
        self.port = free_port()
        self.start_alone()

    def start_alone(self):
        """A server without a cluster: the journal of its handles is its own."""
        laboratory = self.laboratory
        share, password, log = self.folder / "share", self.folder / "password", laboratory.record.directory / "alone.log"
        share.mkdir()
        password.touch(mode=0o600)
        password.write_text(self.password + "\n")
        laboratory.record.spawn(
            "smbserverd", *laboratory.network.inside(
                "client", laboratory.binaries / "smbserverd", "--share", f"{SHARE}={share},ca", "--user", USER, "--password-file",
                password, "--port", self.port, "--state-dir", self.folder / "alone"),
            log=log)
        run(*laboratory.network.inside(
            "client", "sh", "-c", f"for i in $(seq 100); do ss -Hltn sport = {self.port} | grep -q . && exit 0; sleep 0.05; done; exit 1"))

    def measure(self, target, work, words):
        laboratory = self.laboratory
        done = run(
            *laboratory.network.inside(
                "client", laboratory.binaries / "smbbench", "bench", target, "--user", USER, "--password-env", "HOLDFAST_PASSWORD",
                "--seconds", self.seconds, "--file-size", "1M", "--json", "--work", work, *words),
            timeout=120, environment={**os.environ, "HOLDFAST_PASSWORD": self.password})
        return json.loads(done.stdout.splitlines()[-1])

    def play(self):
        rows, alone = [], {}
        cases = (
            ("open, not to outlive anything", f"//{VIRTUAL_IP}/{PLAIN_SHARE}", "open-data"),
            ("persistent, a journal of its own", f"//127.0.0.1:{self.port}/{SHARE}", "persistent"),
            ("persistent, replicated", f"//{VIRTUAL_IP}/{SHARE}", "persistent"),
        )
        for what, target, work in cases:
            one, many = (self.measure(target, work, words) for words in (ALONE, MANY))
            alone[what] = one["openP50Microseconds"]
            rows.append([what, f"{alone[what]:.0f} us", f"{one['openP99Microseconds']:.0f} us",
                         f"{many['operationsPerSecond']:.0f}/s", f"{many['openP50Microseconds'] / 1000:.1f} ms"])
        print(table(["CREATE", "alone p50", "p99", f"{MANY[1]} x {MANY[3]} under way", "p50"], rows))
        plain, journal, replicated = alone.values()
        print(f"\nreplicated / journal of its own: {replicated / journal:.2f}; replicated / not to outlive anything: {replicated / plain:.2f}"
              f"\n{self.seconds:g} s each; opens a second with their CLOSE, each committed by a majority before its answer")

    def end(self):
        self.laboratory.down()
        shutil.rmtree(self.folder, ignore_errors=True)


def play(laboratory, seconds, say):
    bench = ClusterBench(laboratory, seconds)
    try:
        bench.prepare(say)
        bench.play()
    finally:
        bench.end()
    return 0
