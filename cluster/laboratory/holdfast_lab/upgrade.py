"""cluster/lab upgrade: the programs of an earlier commit are replaced by the present ones, node by node, under clients that account
for all that was acknowledged; with what is held back in between, takeovers both ways, and a node that is put back too late."""

import argparse
import os
import re
import secrets
import shutil
import time
from pathlib import Path

from .chaos import COUNTED, STALL_LIMIT, Workload
from .node import PEER_PORT
from .record import LabError
from .view import table

WHOLE_LIMIT = 60  # seconds until every node follows or serves
WORK = 2.0  # seconds of work after each step
END_LIMIT = 20  # seconds until a program that must not go on has said so
NOTHING, REPLACE, FINISH = 0, 6, 7  # exit statuses of `clusterctl upgrade status`


class Upgrade:
    def __init__(self, laboratory, options, say):
        self.laboratory = laboratory
        self.options = options
        self.say = say
        self.new = laboratory.binaries
        self.old = Path(os.environ["HOLDFAST_OLD_BINARIES"])
        self.rows = []
        self.problems = []
        self.workload = None

    # What is done

    def play(self):
        lab = self.laboratory
        for node in lab.nodes.values():
            node.binaries = self.old
        lab.up(self.say)
        self.workload = Workload(lab, self.options.clients, self.options.seed)
        time.sleep(WORK)
        for name, step in (
                ("old programs everywhere", self.all_old),
                ("standby node-b replaced", lambda: self.replace("node-b")),
                ("mixed: finish and old commands, old leader", self.mixed),
                *self.of_witness("new program, old leader", self.new),
                ("crash of active node-a: old to new", lambda: self.crash("node-a", "node-b")),
                ("mixed: finish and old commands, new leader", self.mixed),
                *self.of_witness("old program, new leader", self.old),
                ("crash of active node-b: new to old", lambda: self.crash("node-b", "node-a")),
                *([("witness replaced", lambda: self.replace("witness"))] if "witness" in lab.nodes else []),
                ("move: old to new", lambda: self.move("node-b")),
                ("move: new to old", lambda: self.move("node-a")),
                ("move: old to new, for good", lambda: self.move("node-b")),
                ("the way back: node-b has its old program", self.back_and_forth),
                ("former active node-a replaced", lambda: self.replace("node-a")),
                ("upgrade finish", self.finish),
                ("old program on the finished cluster", self.too_late),
                ("crash of the active node, all new", self.last_crash)):
            self.step(name, step)
            if self.workload.process.poll() is not None:
                break
        status = self.workload.finish(lab)
        return self.report(status)

    def step(self, name, act):
        workload = self.workload
        before, told = dict(workload.counts), len(workload.findings)
        workload.take_stall()
        began, said, wrong = time.monotonic(), "", []
        try:
            said = act() or ""
            self.laboratory.wait_until_whole(WHOLE_LIMIT)
        except LabError as error:
            wrong.append(str(error))
        seconds = time.monotonic() - began
        time.sleep(WORK)
        stall = workload.take_stall()
        if stall > STALL_LIMIT:
            wrong.append(f"a client stood still for {stall:.1f} s")
        counts = [workload.counts[count] - before[count] for count in COUNTED]
        wrong += workload.findings[told:]
        self.problems += [f"{name}: {problem}" for problem in wrong]
        self.rows.append([name, *counts, f"{stall:.2f}", f"{seconds:.1f}", "FAILED" if wrong or any(counts[1:]) else "passed"])
        self.say(f"{name}: {said or 'done'}; stall {stall:.2f} s" + "".join(f"; WRONG: {problem}" for problem in wrong[:3]))

    def all_old(self):
        return f"served by {self.laboratory.active().name}"

    def replace(self, name):
        node = self.laboratory.nodes[name]
        if self.laboratory.active() is node:
            raise LabError(f"{name} serves: it is moved away first")
        self.restart(node, self.new)
        return f"{name} runs the new programs"

    def of_witness(self, which, binaries):
        """Joining, and being taken back, between the two programs."""
        if "witness" not in self.laboratory.nodes:
            return []
        return [
            (f"witness joins anew: {which}", lambda: self.join_anew("witness", binaries)),
            (f"witness loses its state: {which}", lambda: self.lose_state("witness"))]

    def leader(self):
        name = self.laboratory.status().get("leader")
        if name not in self.laboratory.nodes:
            raise LabError("no node leads")
        return self.laboratory.nodes[name]

    def join_anew(self, name, binaries):
        """Taken out, emptied, and let in with a token by whoever leads."""
        lab = self.laboratory
        node, leader = lab.nodes[name], self.leader()
        node.shut_down()
        leader.control("leave", name, timeout=60)
        shutil.rmtree(node.state)
        node.binaries = binaries
        node.power_on()
        node.wait_for_socket()
        token = leader.control("token").stdout.split()[-1]
        node.control(
            "join", f"{leader.address}:{PEER_PORT}", "--token", token, "--node-name", name,
            "--address", f"{node.address}:{PEER_PORT}", "--interface", "eth0", "--role", node.role, timeout=60)
        lab.wait_until_whole(WHOLE_LIMIT)
        return f"{leader.name} let {name} in"

    def lose_state(self, name):
        """Its state.db is gone: the others take it back under a new number."""
        node = self.laboratory.nodes[name]
        before = self.laboratory.recorded("state-lost")
        node.power_off()
        for file in node.state.glob("state.db*"):
            file.unlink()
        node.power_on()
        node.wait_for_socket()
        deadline = time.monotonic() + WHOLE_LIMIT
        while self.laboratory.recorded("state-lost") == before:
            if time.monotonic() > deadline:
                raise LabError(f"{name} was not taken back after {WHOLE_LIMIT} s")
            time.sleep(0.2)
        self.laboratory.wait_until_whole(WHOLE_LIMIT)
        return f"{self.leader().name} took {name} back"

    def restart(self, node, binaries):
        """As the package manager does it: stopped in order, other programs, started."""
        node.shut_down()
        node.binaries = binaries
        node.power_on()
        node.wait_for_socket()
        self.laboratory.wait_until_whole(WHOLE_LIMIT)

    def crash(self, name, heir):
        lab = self.laboratory
        node = lab.nodes[name]
        if lab.active() is not node:
            raise LabError(f"{name} does not serve")
        node.power_off()
        deadline = time.monotonic() + WHOLE_LIMIT
        while lab.wait_until_serving(WHOLE_LIMIT).name != heir:
            if time.monotonic() > deadline:
                raise LabError(f"{heir} does not serve after {name} lost its power")
            time.sleep(0.1)
        time.sleep(WORK)
        node.power_on()
        node.wait_for_socket()
        lab.wait_until_whole(WHOLE_LIMIT)
        return f"{heir} took over in {self.took('takeover')}, {name} is back"

    def took(self, kind):
        recorded = self.laboratory.recorded(kind)
        return f"{recorded['milliseconds']:.0f} ms" if recorded else "an unknown time"

    def move(self, name):
        lab = self.laboratory
        if lab.active().name != name:
            lab.active().control("move", name, timeout=60)
        if lab.active().name != name:
            raise LabError(f"{name} does not serve after the move")
        return f"{name} serves"

    def back_and_forth(self):
        """Until the end the old programs can be put back, on state that the new ones have written."""
        lab = self.laboratory
        node = lab.nodes["node-b"]
        self.move("node-a")
        self.restart(node, self.old)
        self.move("node-b")
        self.move("node-a")
        self.restart(node, self.new)
        self.move("node-b")
        return "the old program served on what the new one had stored"

    def mixed(self):
        """What the new programs could do is refused, what the old ones can works, and both have the same state after it."""
        self.expect_status(REPLACE)
        self.expect_refused("node-b", ["upgrade", "finish"], r"older program|cannot be finished")
        shown = self.laboratory.nodes["node-b"].control("status").stdout
        if "MIXED" not in shown:
            raise LabError("clusterctl status does not show that the programs differ")
        mark = f"mixed-{secrets.token_hex(2)}"
        for name in ("node-a", "node-b"):
            control = self.laboratory.nodes[name].control
            control("user", "add", f"{mark}-{name[-1]}", "--password-stdin", text_input="a password\n")
            control("share", "set", "test", "--hide-files", f".{mark}-{name[-1]}")
            control("limit", "set", "notifies", str(4000 + secrets.randbelow(90)))
            control("credentials", "issue", f"{mark}-{name[-1]}", "--output", str(self.laboratory.nodes[name].directory / f"{mark}-c"))
            control("security", "set", "session-lifetime", str(80_000 + secrets.randbelow(90)))
        return f"{self.refused}; {self.compare()}"

    def compare(self):
        """The configuration after one entry, as each node has it by itself."""
        nodes = list(self.laboratory.nodes.values())
        deadline = time.monotonic() + WHOLE_LIMIT
        while True:
            index = self.laboratory.status()["commitIndex"]
            time.sleep(0.5)
            told = {node.name: self.inspected(node, index) for node in nodes}
            if all(told.values()):
                break
            if time.monotonic() > deadline:
                raise LabError(f"not every node tells its state after entry {index}")
        if len({self.comparable(text) for text in told.values()}) != 1:
            raise LabError(f"the nodes' states differ after entry {index}: {told}")
        return f"one state on {len(nodes)} nodes after entry {index}"

    @staticmethod
    def inspected(node, index):
        """Empty where the node does not keep that entry, or has not come so far."""
        parts = [node.control("inspect", part, "--index", str(index), check=False) for part in ("configuration", "opens", "locks")]
        return "".join(part.stdout for part in parts) if all(part.returncode == 0 for part in parts) else ""

    @staticmethod
    def comparable(text):
        return re.sub(r"\s+", " ", text)

    def finish(self):
        self.expect_status(FINISH)
        said = self.laboratory.nodes["node-a"].control("upgrade", "finish").stdout.strip()
        self.expect_status(NOTHING)
        if self.laboratory.status().get("version") != int(re.search(r"version (\d+)", said).group(1)):
            raise LabError(f"the cluster does not run what was said: {said}")
        self.expect_refused("node-b", ["upgrade", "finish"], r"nothing to finish")
        events = self.laboratory.nodes["node-b"].control("events").stdout
        if "upgraded on" not in events or not re.search(r"administration .*upgrade finish: done", events):
            raise LabError("the events do not tell of the upgrade")
        return said

    def too_late(self):
        """An old program on what a new one has stored says so, ends, and changes nothing."""
        lab = self.laboratory
        standby = lab.standby()
        standby.shut_down()
        standby.binaries = self.old
        written = standby.log.stat().st_size
        standby.power_on()
        deadline = time.monotonic() + END_LIMIT
        while True:
            with open(standby.log, "rb") as log:
                log.seek(written)
                text = log.read().decode(errors="replace")
            if re.search(r"newer version|needs? version|runs version", text) and "ended with" in text:
                break
            if time.monotonic() > deadline:
                raise LabError(f"the old program on {standby.name} did not refuse: {text[-400:]}")
            time.sleep(0.1)
        boot = standby.boot_process()
        standby.power_off()
        if boot is None:
            raise LabError("the node was off")
        standby.binaries = self.new
        standby.power_on()
        standby.wait_for_socket()
        lab.wait_until_whole(WHOLE_LIMIT)
        said = next(line for line in text.splitlines() if re.search(r"newer version|needs? version|runs version", line))
        return f"{standby.name}: {said.split(']')[-1].strip()[:110]}"

    def last_crash(self):
        lab = self.laboratory
        active, standby = lab.active(), lab.standby()
        return self.crash(active.name, standby.name)

    # What is expected

    def expect_status(self, status):
        """Of `clusterctl upgrade status`, asked of every node that runs the new programs."""
        for node in (node for node in self.laboratory.nodes.values() if node.binaries == self.new):
            deadline = time.monotonic() + 10
            while True:
                done = node.control("upgrade", "status", check=False)
                if done.returncode == status:
                    break
                if time.monotonic() > deadline:
                    raise LabError(
                        f"upgrade status on {node.name} ends with {done.returncode}, not {status}: {done.stdout}{done.stderr}")
                time.sleep(0.3)

    refused = ""

    def expect_refused(self, name, words, pattern):
        done = self.laboratory.nodes[name].control(*words, check=False)
        message = " ".join((done.stderr or done.stdout).split())
        if done.returncode == 0 or not re.search(pattern, message):
            raise LabError(f"{' '.join(words)} on {name} ended with {done.returncode}: {message}")
        self.refused = f"refused: {message[:120]}"

    def report(self, status):
        workload = self.workload
        print("\n" + table(["step", *COUNTED, "longest stall s", "took s", "result"], self.rows))
        print(f"\nfrom {self.old.name} to these programs: {workload.counts['acknowledged']} operations acknowledged, "
              f"{workload.counts['lost']} lost, {workload.counts['wrong']} wrong, {workload.counts['errors']} errors "
              "(after everything was verified on the other node)")
        for problem in self.problems:
            print(f"FAILED {problem}")
        for finding in workload.findings:
            print(f"FOUND {finding}")
        failed = sum(1 for row in self.rows if row[-1] == "FAILED")
        if failed == 0 and (status != 0 or workload.findings or self.problems):
            failed = 1
        print(f"\n{max(0, len(self.rows) - failed)} passed, {failed} failed", flush=True)
        return failed


def run(laboratory, words, say):
    parser = argparse.ArgumentParser(prog="cluster/lab upgrade")
    parser.add_argument("--from", dest="commit", help="the commit of the old programs (see cluster/laboratory/previous)")
    parser.add_argument("--seed", type=int, default=None, help="repeat what the clients of another run did")
    parser.add_argument("--clients", type=int, default=4)
    options = parser.parse_args(words)
    if options.seed is None:
        options.seed = secrets.randbelow(1 << 31)
    say(f"the clients' work follows from seed {options.seed}")
    upgrade = Upgrade(laboratory, options, say)
    failed = 1
    try:
        failed = upgrade.play()
    finally:
        if failed:
            say(f"the logs are in {laboratory.keep_logs()}")
        laboratory.down()
    return 1 if failed else 0
