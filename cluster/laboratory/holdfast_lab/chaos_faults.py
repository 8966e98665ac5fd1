"""What chaos does to the laboratory: each fault is done, lasts a while, and is taken back. None of them is more than one machine
or one link at once, so the cluster has to go on through every one."""

import os
import signal
import threading
import time

from .network import ADDRESSES, SECOND_ADDRESSES
from .record import LabError, run
from .scenario import wait_until_another_serves

DATA_NODES = ("node-a", "node-b")


class Fault:
    """One kind. `strike` says whom it met; `seconds` is how long it lasts before `heal`."""

    name = ""
    title = ""
    seconds = (1.0, 6.0)
    needs_witness = False

    def __init__(self, laboratory, chance):
        self.laboratory = laboratory
        self.chance = chance
        self.lasts = chance.uniform(*self.seconds)
        active = laboratory.active().name
        self.active = laboratory.nodes[active]
        self.standby = laboratory.nodes[next(name for name in DATA_NODES if name != active)]
        self.witness = laboratory.nodes.get("witness")

    def strike(self):
        raise NotImplementedError

    def heal(self):
        pass


# A machine

class PowerLoss(Fault):
    seconds = (2.0, 8.0)

    def of(self):
        raise NotImplementedError

    def strike(self):
        self.node = self.of()
        self.node.power_off()
        return self.node.name

    def heal(self):
        self.node.power_on()
        self.node.wait_for_socket()


class ActivePowerLoss(PowerLoss):
    name, title = "power-active", "power loss of the active node"

    def of(self):
        return self.active


class StandbyPowerLoss(PowerLoss):
    name, title = "power-standby", "power loss of the standby"

    def of(self):
        return self.standby


class WitnessPowerLoss(PowerLoss):
    name, title = "power-witness", "power loss of the witness"
    needs_witness = True

    def of(self):
        return self.witness


class Hang(Fault):
    """The whole active node stops with its writes in flight; its bridge wakes up before its clusterd does."""

    name, title = "hang", "active node hung and revived"

    def strike(self):
        self.problem = None
        self.active.freeze()
        self.reviving = threading.Thread(target=self.revive)
        self.reviving.start()
        return self.active.name

    def revive(self):
        try:
            wait_until_another_serves(self.laboratory, self.active)
            self.active.thaw(only="lunbridge")
            time.sleep(self.chance.uniform(0.5, 3))
        except LabError as error:
            self.problem = error
        self.active.thaw()

    def heal(self):
        self.reviving.join()
        if self.problem:
            raise self.problem


# A process

class Kill(Fault):
    seconds = (0.5, 3.0)
    program = ""

    def strike(self):
        node = self.of()
        node.kill_process(self.program)
        return f"{self.program} of {node.name}"

    def of(self):
        return self.active


class KillServer(Kill):
    name, title, program = "kill-smbserverd", "smbserverd killed", "smbserverd"


class KillBridge(Kill):
    name, title, program = "kill-lunbridge", "lunbridge killed", "lunbridge"


class KillDaemon(Kill):
    name, title, program = "kill-clusterd", "clusterd of any node killed", "clusterd"

    def of(self):
        return self.chance.choice(list(self.laboratory.nodes.values()))


class Stop(Fault):
    """SIGSTOP for half an election time-out up to ten of them."""

    election_seconds = 1.5
    program = ""

    def strike(self):
        node = self.of()
        self.lasts = self.chance.choice((0.5, 1, 3, 10)) * self.election_seconds
        self.pid = node.process(self.program)
        if self.pid is None:
            raise LabError(f"{node.name} runs no {self.program}")
        os.kill(self.pid, signal.SIGSTOP)
        return f"{self.program} of {node.name} for {self.lasts:.1f} s"

    def of(self):
        return self.active

    def heal(self):
        try:
            os.kill(self.pid, signal.SIGCONT)
        except ProcessLookupError:
            pass  # the cluster got rid of it


class StopServer(Stop):
    name, title, program = "stop-smbserverd", "smbserverd stopped and continued", "smbserverd"


class StopBridge(Stop):
    name, title, program = "stop-lunbridge", "lunbridge stopped and continued", "lunbridge"


class StopDaemon(Stop):
    name, title, program = "stop-clusterd", "clusterd of a data node stopped and continued", "clusterd"

    def of(self):
        return self.chance.choice((self.active, self.standby))


class StopInTakeover(Stop):
    """The active node loses its power, and somewhere in the takeover that follows a process of its heir is stopped."""

    name, title = "stop-takeover", "power loss, and a process of the heir stopped in its takeover"

    def strike(self):
        self.active.power_off()
        # Elected after 1.2 to 1.8 s; the steps behind that take some tens of milliseconds each.
        time.sleep(self.chance.uniform(0.8, 2.4))
        self.program = self.chance.choice(("clusterd", "clusterd", "smbserverd", "lunbridge"))
        if self.program == "lunbridge" and self.standby.process("lunbridge") is None:
            self.program = "clusterd"  # it has not come to attaching
        return f"{self.active.name}; {super().strike()}"

    def of(self):
        return self.standby

    def heal(self):
        super().heal()
        self.active.power_on()
        self.active.wait_for_socket()


# A link

class Cable(Fault):
    def of(self):
        raise NotImplementedError

    def strike(self):
        self.node = self.of()
        self.laboratory.network.link(self.node.name, up=False)
        return f"{self.node.name} for {self.lasts:.1f} s"

    def heal(self):
        self.laboratory.network.link(self.node.name, up=True)


class ActiveCable(Cable):
    name, title = "cable-active", "cable of the active node pulled"

    def of(self):
        return self.active


class StandbyCable(Cable):
    name, title = "cable-standby", "cable of the standby pulled"

    def of(self):
        return self.standby


class WayCut(Fault):
    """With two ways to the target, one of them for everybody: nobody has to move."""

    name, title = "way-cut", "one of two ways to the target cut"

    def strike(self):
        self.way = self.chance.choice((1, 2))
        self.laboratory.network.link("target", up=False, path=self.way)
        return f"number {self.way} for {self.lasts:.1f} s"

    def heal(self):
        self.laboratory.network.link("target", up=True, path=self.way)


class Flap(Fault):
    name, title = "flap", "link of a data node that flaps"

    def strike(self):
        self.node = self.chance.choice((self.active, self.standby))
        self.ends = threading.Event()
        self.flapping = threading.Thread(target=self.flap)
        self.flapping.start()
        return self.node.name

    def flap(self):
        while not self.ends.is_set():
            for up in (False, True):
                self.laboratory.network.link(self.node.name, up=up)
                time.sleep(self.chance.uniform(0.05, 0.8))

    def heal(self):
        self.ends.set()
        self.flapping.join()


class Partition(Fault):
    """Two machines that cannot reach each other, in both directions or in one; all others still can."""

    name, title = "partition", "two machines cut off from each other"

    def strike(self):
        pairs = [(self.active.name, self.standby.name), (self.active.name, "target"), (self.standby.name, "target")]
        if self.witness:
            pairs += [(self.active.name, "witness"), (self.standby.name, "witness")]
        first, second = self.chance.choice(pairs)
        if self.chance.random() < 0.5:
            first, second = second, first
        self.rules = [(first, second)] + ([(second, first)] if self.chance.random() < 0.6 else [])
        for source, destination in self.rules:
            self.rule("-A", source, destination)
        arrow = "and" if len(self.rules) == 2 else "to"
        return f"{first} {arrow} {second} for {self.lasts:.1f} s"

    def rule(self, action, source, destination):
        machine, chain, field, other = source, "OUTPUT", "-d", destination
        if source in self.laboratory.target.guests:
            machine, chain, field, other = destination, "INPUT", "-s", source
        for addresses in (ADDRESSES, SECOND_ADDRESSES)[:self.laboratory.network.paths]:
            if other in addresses:
                run(*self.laboratory.network.inside(
                    machine, "iptables", "-w", action, chain, field, addresses[other], "-j", "DROP"))

    def heal(self):
        for source, destination in self.rules:
            self.rule("-D", source, destination)


# The storage

class TargetRestart(Fault):
    """tgtd keeps reservations in memory only: after it nobody is fenced until the active node has reserved again. LIO keeps them."""

    name, title = "target-restart", "iSCSI target killed and started again"
    seconds = (0.2, 3.0)

    def strike(self):
        self.laboratory.target.kill()
        return f"for {self.lasts:.1f} s"

    def heal(self):
        self.laboratory.target.start()


class StateDiskFull(Fault):
    name, title = "disk-full", "no space left for the state of a data node"

    def strike(self):
        self.node = self.chance.choice((self.active, self.standby))
        self.filling = self.node.state / "filling"
        run("sh", "-c", 'dd if=/dev/zero of="$1" bs=1M 2>/dev/null || true', "sh", self.filling)
        return f"{self.node.name} for {self.lasts:.1f} s"

    def heal(self):
        self.filling.unlink(missing_ok=True)


# What an administrator does

class Move(Fault):
    name, title = "move", "planned move"
    seconds = (0.5, 2.0)

    def strike(self):
        self.active.control("move", timeout=60)
        return f"away from {self.active.name}"


FAULTS = (
    ActivePowerLoss, StandbyPowerLoss, WitnessPowerLoss, Hang, KillServer, KillBridge, KillDaemon, StopServer, StopBridge,
    StopDaemon, StopInTakeover, ActiveCable, StandbyCable, WayCut, Flap, Partition, TargetRestart, StateDiskFull, Move)
