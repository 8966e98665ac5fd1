"""What chaos changes of the cluster itself while clients work: nodes leave and come again, lose what they knew, are called otherwise
and live elsewhere; the third vote goes from a machine to a disk and back. None of it may be seen by a client."""

import shutil
import signal
import time

from .chaos_faults import Fault
from .node import PEER_PORT
from .record import LabError, run

SETTLED = 60  # seconds until a change is through
UNREACHABLE = 2  # clusterctl's exit status where no clusterd listens


def wait_for(what, holds, timeout=SETTLED):
    deadline = time.monotonic() + timeout
    while True:
        try:
            if holds():
                return
            problem = ""
        except LabError as error:
            problem = f": {error}"
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not within {timeout} s{problem}")
        time.sleep(0.2)


class Change(Fault):
    """What an administrator does takes as long as it takes; then comes a moment of work."""

    seconds = (0.5, 2.0)

    def leader(self):
        """Any node that is on and answers; what it is asked it passes on."""
        return self.witness if self.witness is not None and self.witness.init() is not None else self.active

    def record(self, name):
        return next((node for node in self.laboratory.status()["nodes"] if node["name"] == name), None)

    def known(self, node, otherwise=None):
        """The node's number."""
        return (self.record(node.name) or {"id": otherwise})["id"]

    @staticmethod
    def leave(node):
        """clusterd ends when it has left, and the laboratory's machine with it: clusterctl may not live to say so."""
        done = node.control("leave", check=False, timeout=60)
        if done.returncode not in (0, -signal.SIGKILL):
            raise LabError(f"{node.name} does not leave: {(done.stderr or done.stdout).strip()}")

    def join(self, node):
        token = self.active.control("token").stdout.split()[-1]
        words = ["join", f"{self.active.address}:{PEER_PORT}", "--token", token, "--node-name", node.name,
                 "--address", f"{node.address}:{PEER_PORT}", "--interface", "eth0"]
        words += ["--role", "witness"] if node.role == "witness" else []
        deadline = time.monotonic() + SETTLED
        while True:
            # Its clusterd ends when it has left, and is started again: until then nobody is behind its socket.
            said = f"{node.name} is not started again"
            if node.init() is not None:
                done = node.control(*words, check=False, timeout=60)
                if done.returncode == 0:
                    return
                said = f"{node.name} does not join: {(done.stderr or done.stdout).strip()}"
                if done.returncode != UNREACHABLE:
                    raise LabError(said)
            if time.monotonic() > deadline:
                raise LabError(said)
            time.sleep(0.2)

    def wipe(self, node):
        """A new disk in a machine that is off."""
        for entry in node.state.iterdir():
            if entry.name == "lost+found":
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()


class Leaves(Change):
    """A machine is taken out in order and joins again: a learner, then a voter under a new number."""

    def node(self):
        raise NotImplementedError

    def strike(self):
        node = self.node()
        self.leave(node)
        wait_for(f"{node.name} is out", lambda: self.record(node.name) is None)
        self.join(node)
        return node.name


class StandbyLeaves(Leaves):
    name, title = "leave-standby", "the standby leaves and joins"

    def node(self):
        return self.standby


class WitnessLeaves(Leaves):
    name, title = "leave-witness", "the witness leaves and joins"
    needs_witness = True

    def node(self):
        return self.witness


class Replaced(Change):
    """The standby dies for good; it is taken out from another node, and a new machine of its name joins."""

    name, title = "replace-standby", "the standby dies and is replaced"

    def strike(self):
        node = self.standby
        node.power_off()
        self.wipe(node)
        self.active.control("leave", node.name, timeout=60)
        node.power_on()
        node.wait_for_socket()
        self.join(node)
        return node.name


class StateLost(Change):
    """A node's state is gone after a power loss: it takes everything from the others, under a new number."""

    name, title = "lose-state", "a node loses its state and heals"

    def strike(self):
        node = self.chance.choice([node for node in (self.standby, self.witness) if node is not None])
        before = self.known(node)
        node.power_off()
        for name in ("state.db", "state.db-wal", "state.db-shm"):
            (node.state / name).unlink(missing_ok=True)
        node.power_on()
        wait_for(f"{node.name} has another number", lambda: self.known(node, before) != before)
        return node.name


class Renamed(Change):
    name, title = "rename", "the standby renamed and back"

    def strike(self):
        other = f"{self.standby.name}-renamed"
        self.active.control("node", "set", self.standby.name, "--rename", other, timeout=60)
        self.other = other
        return self.standby.name

    def heal(self):
        self.active.control("node", "set", self.other, "--rename", self.standby.name, timeout=60)


class Moved(Change):
    """A data node gets another address, and nobody answers at the old one; then back."""

    name, title = "readdress", "a data node at another address and back"

    def strike(self):
        self.node = self.chance.choice((self.active, self.standby))
        self.elsewhere = self.node.address.rpartition(".")[0] + "." + str(int(self.node.address.rpartition(".")[2]) + 100)
        run(*self.node.inside("ip", "addr", "add", f"{self.elsewhere}/24", "dev", "eth0"))
        self.tell(self.elsewhere)
        self.rule("-I")
        return self.node.name

    def tell(self, address):
        self.leader().control("node", "set", self.node.name, "--address", f"{address}:{PEER_PORT}", timeout=60)

    def rule(self, action):
        run(*self.node.inside(
            "iptables", "-w", action, "INPUT", "-d", self.node.address, "-p", "tcp", "--dport", PEER_PORT, "-j", "DROP"))

    def heal(self):
        self.rule("-D")
        self.tell(self.node.address)
        run(*self.node.inside("ip", "addr", "del", f"{self.elsewhere}/24", "dev", "eth0"))


class QuorumDisk(Change):
    """The third vote goes to a disk while the witness is away, and back to the witness."""

    name, title = "quorum-disk", "the witness replaced by a disk and back"
    needs_witness = True

    def strike(self):
        self.active.control("quorum", "replace", self.laboratory.target.quorum_url, "--force", timeout=90)
        wait_for("the disk votes", lambda: (self.laboratory.status().get("quorumDisk") or {}).get("role") == "voter")
        self.leave(self.witness)
        wait_for("the witness is out", lambda: self.record(self.witness.name) is None)
        return "witness, quorum disk"

    def heal(self):
        self.join(self.witness)
        self.active.control("quorum", "remove", timeout=60)
        wait_for("the disk is out", lambda: not self.laboratory.status().get("quorumDisk"))


CHANGES = (StandbyLeaves, WitnessLeaves, Replaced, StateLost, Renamed, Moved, QuorumDisk)