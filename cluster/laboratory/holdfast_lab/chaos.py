"""cluster/lab chaos: one random fault after another under clients that account for all that was acknowledged; then the table.

`smbbench chaos` is the workload and the judge of bytes, names, handles and locks; this side does the faults, takes them back, waits
until the cluster is whole, and says which fault cost what.
"""

import argparse
import json
import os
import random
import secrets
import statistics
import subprocess
import threading
import time

from .chaos_faults import FAULTS, ActivePowerLoss, WayCut
from .chaos_membership import CHANGES
from .laboratory import SHARE
from .network import VIRTUAL_IP
from .record import LabError, run as command, start_time
from .scenario import wait_for_follower
from .view import table

KINDS = (*FAULTS, *CHANGES)
USER = "holder"
STATE_DISK = 192 << 20  # bytes for what clusterd keeps; so that it can be full
WHOLE_LIMIT = 60  # seconds until the cluster is whole again after a fault was taken back
STALL_LIMIT = 30.0  # seconds that a client may stand still, whatever happens
SETTLE = (1.0, 3.0)  # seconds of work between two faults
VERIFY_LIMIT = 180
COUNTED = ("acknowledged", "lost", "wrong", "errors")


class Workload:
    """smbbench chaos in the client's namespace, and what it says."""

    def __init__(self, laboratory, clients, seed):
        path = f"//{VIRTUAL_IP}/{SHARE}/chaos-{secrets.token_hex(3)}"
        words = laboratory.network.inside(
            "client", laboratory.binaries / "smbbench", "chaos", path, "--user", laboratory.account(USER), "--password-env",
            "HOLDFAST_PASSWORD", "--clients", clients, "--seed", seed)
        self.process = subprocess.Popen(
            [str(word) for word in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True, env={**os.environ, "HOLDFAST_PASSWORD": laboratory.password(USER)})
        laboratory.record.add("process", what="chaos", pid=self.process.pid, start=start_time(self.process.pid))
        self.log = open(laboratory.record.directory / "workload.log", "w")
        self.counts = dict.fromkeys(COUNTED, 0)
        self.stall = 0.0  # the longest since it was last asked for
        self.findings = []
        self.stopped = threading.Event()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.log.write(line)
            try:
                said = json.loads(line)
            except ValueError:
                self.findings.append(line.strip())
                continue
            event = said["event"]
            if event in ("progress", "ended"):
                self.counts = {name: said[name] for name in COUNTED}
            elif event == "stall":
                self.stall = max(self.stall, said["milliseconds"] / 1000)
            elif event == "stopped":
                self.stopped.set()
            elif event in ("lost", "wrong", "errors"):
                self.findings.append(f"{event}: client {said['client']}: {said['what']}")
        self.log.flush()

    def tell(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def take_stall(self):
        stall, self.stall = self.stall, 0.0
        return stall

    def finish(self, laboratory):
        """Everything is verified on another node than the one that wrote it: it comes from the LUN, not from a memory."""
        if self.process.poll() is None:
            self.tell("stop")
            if not self.stopped.wait(VERIFY_LIMIT):
                self.findings.append(f"the clients did not pause within {VERIFY_LIMIT} s")
            try:
                active = laboratory.active()
                active.control("move", timeout=60)
                wait_for_follower(laboratory, active)
            except LabError as error:
                self.findings.append(f"the move before everything is verified: {error}")
        return self.end()

    def end(self):
        self.tell("verify")
        try:
            status = self.process.wait(VERIFY_LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.findings.append(f"the clients had not verified everything within {VERIFY_LIMIT} s")
            status = 1
        self.reader.join(10)
        return status


class Row:
    """What one kind of fault did, over all times that it happened."""

    def __init__(self, kind):
        self.kind = kind
        self.times = 0
        self.stall = 0.0
        self.counts = dict.fromkeys(COUNTED, 0)
        self.wrong = []


class Chaos:
    def __init__(self, laboratory, options, say):
        self.laboratory = laboratory
        self.chance = random.Random(options.seed)
        self.options = options
        ways = laboratory.network.paths
        self.kinds = [
            kind for kind in KINDS
            if (not options.only or kind.name in options.only) and (kind is not WayCut or ways > 1)
            and (not kind.needs_witness or "witness" in laboratory.nodes)]
        if not self.kinds:
            raise LabError("way-cut takes two ways to the target (--paths 2), what is done with the witness takes one")
        self.rows = {kind.name: Row(kind) for kind in self.kinds}
        self.takeovers = []  # the cluster's own account of each power loss of the active node
        self.say = say

    def up(self):
        # A file system of its own: the state's disk can be full, and its fsync is a disk's.
        for node in self.laboratory.nodes.values():
            node.state_disk = STATE_DISK
            node.listen = "0.0.0.0"  # it may come to live at another address
        self.laboratory.offers_quorum_lun = True
        self.laboratory.up(self.say)

    def play(self):
        workload = Workload(self.laboratory, self.options.clients, self.options.seed)
        ends = time.monotonic() + self.options.minutes * 60
        done = 0
        while (done < self.options.faults) if self.options.faults else (time.monotonic() < ends):
            time.sleep(self.chance.uniform(*SETTLE))
            self.one(workload, self.next_kind(done))
            done += 1
            if workload.process.poll() is not None:
                break
        return self.finish(workload, done)

    def next_kind(self, done):
        """Every kind once, in a random order, before any comes again."""
        if done % len(self.kinds) == 0:
            self.order = self.chance.sample(self.kinds, len(self.kinds))
        return self.order[done % len(self.kinds)]

    def one(self, workload, kind):
        row = self.rows[kind.name]
        row.times += 1
        before, began, told = dict(workload.counts), time.monotonic(), len(workload.findings)
        workload.take_stall()
        history = self.laboratory.recorded("takeover")
        met = self.befall(kind, row)
        time.sleep(1.5)  # a stall is told when it is over, the counts once a second
        stall = workload.take_stall()
        row.stall = max(row.stall, stall)
        if stall > STALL_LIMIT:
            row.wrong.append(f"a client stood still for {stall:.1f} s, {STALL_LIMIT:.0f} s are allowed")
        for name in COUNTED:
            row.counts[name] += workload.counts[name] - before[name]
        takeover = self.laboratory.recorded("takeover")
        if kind is ActivePowerLoss and takeover != history:
            self.takeovers.append((stall, takeover))
        self.say(f"{kind.title}: {met}; stall {stall:.2f} s, whole after {time.monotonic() - began:.1f} s"
                 + "".join(f"; {finding}" for finding in workload.findings[told:][:3]))

    def befall(self, kind, row):
        """The fault from its beginning to its end, and the cluster whole again; says whom it met."""
        fault, met, healed = None, "-", False
        try:
            fault = kind(self.laboratory, self.chance)
            met = fault.strike()
            time.sleep(fault.lasts)
            fault.heal()
            healed = True
            self.laboratory.wait_until_whole(WHOLE_LIMIT)
        except LabError as error:
            row.wrong.append(f"{met}: {error}")
            self.say(f"FAILED  {kind.title}, {met}: {error}")
            if fault is not None and not healed:
                try:
                    fault.heal()
                except (LabError, AttributeError):
                    pass  # it had not got so far
            self.wake()
        return met

    def wake(self):
        """After a fault that went wrong: everything on, whatever state it was left in."""
        for node in self.laboratory.nodes.values():
            self.laboratory.network.link(node.name, up=True)
            if node.frozen:
                node.thaw()
            if node.boot_process() is None:
                node.power_on()

    def finish(self, workload, done):
        status = workload.finish(self.laboratory)
        return self.report(workload, status, done)

    def report(self, workload, status, done):
        rows = [
            [row.kind.title, row.times, *(row.counts[name] for name in COUNTED), f"{row.stall:.2f}",
             "FAILED" if row.wrong or any(row.counts[name] for name in COUNTED[1:]) else "passed"]
            for row in self.rows.values() if row.times]
        print("\n" + table(["fault", "times", *COUNTED, "longest stall s", "result"], rows))
        print(f"\n{done} faults, {workload.counts['acknowledged']} operations acknowledged, "
              f"{workload.counts['lost']} lost, {workload.counts['wrong']} wrong, {workload.counts['errors']} errors "
              "(after everything was verified on the other node)")
        self.report_takeovers()
        for finding in workload.findings:
            print(f"FOUND {finding}")
        wrong = [(row.kind.title, problem) for row in self.rows.values() for problem in row.wrong]
        for title, problem in wrong:
            print(f"FAILED {title}: {problem}")
        failed = sum(1 for row in rows if row[-1] == "FAILED")
        if failed == 0 and (status != 0 or workload.findings):
            failed = 1
        print(f"\n{max(0, len(rows) - failed)} passed, {failed} failed", flush=True)
        return failed

    def report_takeovers(self):
        """Minimum, median and 99th percentile of the power losses, as a client saw them and as the cluster accounts for them."""
        if not self.takeovers:
            return
        lines = [["as the clients saw it", *spread([stall for stall, _ in self.takeovers])]]
        lines.append(["takeover itself", *spread([told["milliseconds"] / 1000 for _, told in self.takeovers])])
        names = [step["name"] for step in self.takeovers[0][1]["steps"]]
        for name in names:
            values = [
                step["milliseconds"] / 1000 for _, told in self.takeovers for step in told["steps"] if step["name"] == name]
            lines.append([f"  {name}", *spread(values)])
        print(f"\n{len(self.takeovers)} takeovers after a power loss, seconds")
        print(table(["", "minimum", "median", "p99"], lines))


def spread(values):
    ordered = sorted(values)
    return [f"{value:.3f}" for value in (
        ordered[0], statistics.median(ordered), ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))])]


def run(laboratory, words, say):
    parser = argparse.ArgumentParser(prog="cluster/lab chaos")
    parser.add_argument("--minutes", type=float, default=5, help="how long faults go on (5)")
    parser.add_argument("--faults", type=int, default=0, help="so many faults instead")
    parser.add_argument("--seed", type=int, default=None, help="repeat the choices of another run")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument(
        "--only", action="append", choices=[kind.name for kind in KINDS], help="this kind of fault (repeatable)")
    options = parser.parse_args(words)
    if options.seed is None:
        options.seed = secrets.randbelow(1 << 31)
    say(f"the faults are drawn from seed {options.seed}")
    command("iptables", "--version")
    chaos = Chaos(laboratory, options, say)
    failed = 1
    try:
        chaos.up()
        failed = chaos.play()
    finally:
        if failed:
            say(f"the logs are in {laboratory.keep_logs()}")
        laboratory.down()
    return 1 if failed else 0
