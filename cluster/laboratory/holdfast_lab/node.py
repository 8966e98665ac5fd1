"""A machine that runs clusterd: it can lose power, freeze, lose one process, and come back."""

import os
import signal
import time
from pathlib import Path

from .network import ADDRESSES
from .record import LabError, end_process, run, start_time

HERE = Path(__file__).resolve().parent.parent
PEER_PORT = 7420
STOP_LIMIT = 25  # seconds for an orderly end; clusterd gives itself 20, and what is not on the LUN yet as long as it takes


class Node:
    def __init__(self, record, network, name, binaries):
        self.record = record
        self.network = network
        self.name = name
        self.binaries = binaries
        self.address = ADDRESSES[name]
        self.directory = record.directory / name
        self.state = self.directory / "state"
        self.log = self.directory / "log"
        self.frozen = False
        self.role = "witness" if name == "witness" else "data"
        self.called = name  # what clusterd is told that its name is
        self.listen = self.address  # of all its addresses: 0.0.0.0
        self.state_disk = 0  # bytes of a file system of its own for the state; 0: it lies in the directory

    # Power

    def power_on(self, environment=None):
        self.directory.mkdir(parents=True, exist_ok=True)
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.state_disk and not os.path.ismount(self.state):
            self.mount_state()
        self.network.link(self.name, up=True)
        boot = self.record.spawn(
            self.name,
            *self.network.inside(
                self.name, HERE / "node-boot", self.directory, self.binaries / "clusterd",
                "--state-dir", self.state, "--name", self.called, "--listen", f"{self.listen}:{PEER_PORT}",
                "--role", self.role, *self.options()),
            log=self.log, environment=environment)
        (self.directory / "boot").write_text(f"{boot.pid} {start_time(boot.pid)}\n")

    def options(self):
        """Further words for clusterd: every node's, and this one's alone (HOLDFAST_CLUSTERD_OPTIONS_NODE_B)."""
        own = "HOLDFAST_CLUSTERD_OPTIONS_" + self.name.upper().replace("-", "_")
        return [word for name in ("HOLDFAST_CLUSTERD_OPTIONS", own) for word in os.environ.get(name, "").split()]

    def mount_state(self):
        image = self.directory / "state.img"
        if not image.exists():
            with open(image, "wb") as file:
                file.truncate(self.state_disk)
            run("mkfs.ext4", "-q", image)
        run("mount", "-o", "loop", image, self.state)

    def power_off(self):
        """All processes SIGKILLed and the link down in the same instant. Returns the monotonic time of it."""
        boot, init = self.boot_process(), self.init()
        self.network.link(self.name, up=False)
        moment = time.monotonic()
        if boot is not None:
            # Its parent first, or it would start the node again; the kernel ends the rest with the first process.
            self.signal(boot, signal.SIGKILL)
        if init is not None:
            self.signal(init, signal.SIGKILL)
            deadline = moment + 10
            while start_time(init) is not None and time.monotonic() < deadline:
                time.sleep(0.002)
        # A powered-off machine has no addresses but its own when it comes back.
        namespace = self.network.namespace(self.name)
        run("ip", "-n", namespace, "addr", "flush", "dev", "eth0")
        run("ip", "-n", namespace, "addr", "add", f"{self.address}/24", "dev", "eth0")
        (self.directory / "init").unlink(missing_ok=True)
        return moment

    def shut_down(self):
        """In order, as `systemctl stop clusterd` with the unit's KillMode=mixed: SIGTERM for clusterd alone, which may take its time.
        The machine stays on."""
        boot, clusterd = self.boot_process(), self.process("clusterd")
        if clusterd is None:
            raise LabError(f"{self.name} runs no clusterd")
        # Or it would be started again.
        self.signal(boot, signal.SIGSTOP)
        self.signal(clusterd, signal.SIGTERM)
        deadline = time.monotonic() + STOP_LIMIT
        while start_time(clusterd) is not None and not self.is_zombie(clusterd):
            if time.monotonic() > deadline:
                raise LabError(f"clusterd on {self.name} did not end within {STOP_LIMIT} s of SIGTERM")
            time.sleep(0.01)
        self.signal(boot, signal.SIGKILL)
        (self.directory / "init").unlink(missing_ok=True)

    @staticmethod
    def is_zombie(pid):
        try:
            return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except OSError:
            return True

    def freeze(self):
        """Stops every process and pulls the cable: the node is out of touch with its writes still in flight."""
        self.network.link(self.name, up=False)
        moment = time.monotonic()
        for pid in self.processes():
            self.signal(pid, signal.SIGSTOP)
        self.frozen = True
        return moment

    def thaw(self, only=None):
        """The cable is back and the processes go on; with `only`, just the one that runs this executable."""
        self.network.link(self.name, up=True)
        for pid in [self.process(only)] if only else self.processes():
            if pid is not None:
                self.signal(pid, signal.SIGCONT)
        if only is None:
            self.frozen = False
        return time.monotonic()

    @staticmethod
    def signal(pid, number):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass

    # Processes

    def boot_process(self):
        try:
            pid, started = (int(word) for word in (self.directory / "boot").read_text().split())
        except (OSError, ValueError):
            return None
        return pid if start_time(pid) == started else None

    def init(self):
        """The host's number of the node's first process, or None while the node is off."""
        if self.boot_process() is None:
            return None
        try:
            pid = int((self.directory / "init").read_text())
        except (OSError, ValueError):
            return None
        return pid if start_time(pid) is not None else None

    def processes(self):
        """The host's numbers of all processes of the node."""
        init = self.init()
        if init is None:
            return []
        space, found = os.readlink(f"/proc/{init}/ns/pid"), []
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                if os.readlink(f"/proc/{entry}/ns/pid") == space:
                    found.append(int(entry))
            except OSError:
                continue  # ended meanwhile
        return found

    def process(self, executable):
        """The one process of the node that runs one of our executables."""
        for pid in self.processes():
            try:
                if Path(os.readlink(f"/proc/{pid}/exe")).name == executable and start_time(pid) is not None:
                    return pid
            except OSError:
                continue
        return None

    def kill_process(self, executable):
        pid = self.process(executable)
        if pid is None:
            raise LabError(f"{self.name} runs no {executable}")
        moment = time.monotonic()
        end_process(pid, start_time(pid))
        return moment

    # Commands

    def inside(self, *command):
        """The command line that runs `command` on the node, with its mounts, processes and network."""
        init = self.init()
        if init is None:
            raise LabError(f"{self.name} is off; turn it on with: cluster/lab revive {self.name}")
        return ("nsenter", f"--target={init}", "--mount", "--net", "--pid", "--", *command)

    def control(self, *words, check=True, timeout=30, text_input=None):
        """clusterctl on this node."""
        return run(
            *self.inside(self.binaries / "clusterctl", "--socket", self.state / "admin.sock", *words),
            check=check, timeout=timeout, text_input=text_input)

    def wait_for_socket(self, timeout=20):
        deadline = time.monotonic() + timeout
        while not (self.state / "admin.sock").exists() or self.init() is None:
            if time.monotonic() > deadline:
                raise LabError(f"clusterd on {self.name} does not open its socket; see {self.log}")
            time.sleep(0.05)
