"""The four failures and the revival: what is done to the cluster, and how long a client may stand still for it."""

import threading
import time

from .record import LabError

REJOIN_LIMIT = 60
BRIDGE_ALONE = 5.0  # seconds that a revived bridge goes on before the rest of its node does


class Event:
    """One thing that happens to the active node while everybody copies."""

    name = ""
    title = ""
    limit = 0.0  # seconds that a client may stand still
    moves = True  # the share is served by the other node afterwards
    kind = "takeover"  # what the cluster's history calls it; None: it keeps none

    def strike(self, laboratory, active):
        """Does it; returns the monotonic time of it."""
        raise NotImplementedError

    def after(self, laboratory, active, say):
        """Puts the laboratory right again; returns the list of what was found wrong."""
        del laboratory, active, say
        return []


class PowerLoss(Event):
    name = "power-loss"
    title = "power loss of the active node"
    limit = 5.0

    def strike(self, laboratory, active):
        return active.power_off()

    def after(self, laboratory, active, say):
        active.power_on()
        seconds = wait_for_follower(laboratory, active)
        say(f"{active.name} has its power back and followed after {seconds:.1f} s")
        return []


class ServerKilled(Event):
    name = "server-killed"
    title = "smbserverd alone killed"
    limit = 2.0
    moves = False
    kind = "server-restart"

    def strike(self, laboratory, active):
        return active.kill_process("smbserverd")


class BridgeKilled(Event):
    name = "bridge-killed"
    title = "lunbridge alone killed"
    limit = 2.0
    moves = False
    kind = "bridge-restart"

    def strike(self, laboratory, active):
        return active.kill_process("lunbridge")


class PlannedMove(Event):
    name = "planned-move"
    title = "planned move"
    limit = 1.0
    kind = "move"

    def __init__(self):
        self.refusal = None
        self.asked = None

    def strike(self, laboratory, active):
        """Asks in the background: the rival must be knocking while the move goes on."""
        moment = time.monotonic()
        self.asked = threading.Thread(target=self.ask, args=(active,))
        self.asked.start()
        return moment

    def ask(self, active):
        try:
            active.control("move", timeout=60)
        except LabError as error:
            self.refusal = str(error)

    def after(self, laboratory, active, say):
        self.asked.join()
        if self.refusal is not None:
            return [f"clusterctl move: {self.refusal}"]
        wait_for_follower(laboratory, active)
        return []


class FencedRevival(Event):
    """The active node stops like a hung machine, with its writes in flight, and comes back once the other one serves.

    Its bridge goes on a moment before its clusterd does: nothing but the target stands between its writes and the LUN.
    """

    name = "fenced-revival"
    title = "hung node revived with writes in flight"
    limit = 5.0

    def __init__(self):
        self.thread = None
        self.log_length = 0
        self.wrong = []

    def strike(self, laboratory, active):
        self.log_length = active.log.stat().st_size
        moment = active.freeze()
        self.thread = threading.Thread(target=self.revive, args=(laboratory, active))
        self.thread.start()
        return moment

    def revive(self, laboratory, node):
        try:
            wait_until_another_serves(laboratory, node)
            node.thaw(only="lunbridge")
            time.sleep(BRIDGE_ALONE)
            node.thaw()
        except LabError as error:
            self.wrong.append(str(error))

    def after(self, laboratory, active, say):
        self.thread.join()
        if active.frozen:
            active.thaw()
        wrong = list(self.wrong)
        refused = self.wait_for_refusal(active)
        if refused:
            say(f"{active.name} came back and its writes were refused: {refused}")
        else:
            wrong.append(f"{active.name}'s log does not say that the reservation refused its writes")
        wait_for_follower(laboratory, active)
        say(f"{active.name} follows again, by itself")
        if laboratory.wait_until_serving(10).name == active.name:
            wrong.append(f"{active.name} serves again though nobody moved the share back")
        return wrong

    def wait_for_refusal(self, node):
        """What the bridge told clusterd; a lease that ran out as well is no proof."""
        deadline = time.monotonic() + REJOIN_LIMIT
        while time.monotonic() < deadline:
            with open(node.log, "rb") as log:
                log.seek(self.log_length)
                for line in log.read().decode(errors="replace").splitlines():
                    if "reservation conflict" in line.lower():
                        return line.strip()[-160:]
            time.sleep(0.1)
        return None


def wait_until_another_serves(laboratory, node):
    deadline = time.monotonic() + REJOIN_LIMIT
    while time.monotonic() < deadline:
        try:
            if laboratory.active().name != node.name:
                return
        except LabError:
            pass
        time.sleep(0.1)
    raise LabError(f"nobody took over from {node.name} within {REJOIN_LIMIT} s")


def wait_for_follower(laboratory, node):
    """Until the cluster counts the node as a follower that has caught up; returns the seconds that it took."""
    began = time.monotonic()
    problem = None
    while time.monotonic() - began < REJOIN_LIMIT:
        try:
            if laboratory.is_ready_follower(node.name):
                return time.monotonic() - began
        except LabError as error:
            problem = error
        time.sleep(0.1)
    raise LabError(f"{node.name} did not rejoin within {REJOIN_LIMIT} s: {problem or 'it is not a follower'}")


EVENTS = (PowerLoss, ServerKilled, BridgeKilled, PlannedMove, FencedRevival)
