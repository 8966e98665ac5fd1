"""A qemu guest with the kernel's own SMB client, driven through a serial port (guest/agent.c answers there)."""

import os
import socket
import threading
import time

from .network import GUEST_ADDRESS, PREFIX_LENGTH, VIRTUAL_IP
from .record import LabError, end_process, start_time

BOOT_LIMIT = 90
TAP = "guest"
MAC = "52:54:00:48:46:50"


class Job:
    """A command in the guest. Its lines go to `on_line` as they come; `status` is set at its end."""

    def __init__(self, command, on_line):
        self.command = command
        self.on_line = on_line
        self.lines = []
        self.status = None
        self.ended = threading.Event()

    def wait(self, timeout):
        if not self.ended.wait(timeout):
            raise LabError(f"the guest did not finish within {timeout} s: {self.command}")
        if self.status is None:
            raise LabError(f"the guest died during: {self.command}")
        return self


class Guest:
    def __init__(self, record, network, kernel, initramfs, disk, tools=None):
        self.record = record
        self.network = network
        self.kernel = kernel
        self.initramfs = initramfs
        self.disk = disk
        self.tools = tools
        self.directory = record.directory / "guest"
        self.process = None
        self.jobs = {}
        self.next = 1
        self.lock = threading.Lock()
        self.ready = threading.Event()

    def up(self):
        """Boots and returns the seconds that it took."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.network.add_tap(TAP)
        agent = self.directory / "agent.sock"
        accelerator = os.environ.get("HOLDFAST_ACCEL", "tcg")
        # Without -cx16 kernel 6.12 panics under qemu 7.2; five-level page tables only slow the emulation.
        processor = "host,-arch-capabilities" if accelerator == "kvm" else "max,-cx16,-la57"
        second = [] if self.tools is None else [
            "-drive", f"file={self.tools},format=raw,if=none,id=tools,cache=unsafe",
            "-device", "virtio-blk-pci,drive=tools"]
        began = time.monotonic()
        self.process = self.record.spawn(
            "guest",
            "nsenter", f"--net=/run/netns/{self.network.lan}",
            "qemu-system-x86_64", "-nodefaults", "-no-reboot", "-display", "none", "-accel", accelerator,
            "-cpu", processor, "-smp", "1", "-m", "768", "-kernel", self.kernel, "-initrd", self.initramfs,
            "-append", "console=ttyS0 panic=-1 quiet mitigations=off tsc=reliable "
            f"holdfast.address={GUEST_ADDRESS}/{PREFIX_LENGTH} holdfast.server={VIRTUAL_IP}",
            "-serial", f"file:{self.console}",
            "-chardev", f"socket,id=agent,path={agent},server=on,wait=off",
            "-serial", "chardev:agent",
            "-drive", f"file={self.disk},format=raw,if=none,id=disk,cache=unsafe",
            "-device", "virtio-blk-pci,drive=disk", *second,
            "-netdev", f"tap,id=lan,ifname={TAP},script=no,downscript=no",
            "-device", f"virtio-net-pci,netdev=lan,mac={MAC},romfile=",
            "-device", "virtio-rng-pci",
            log=self.directory / "qemu.log")
        self.connect(agent, began + BOOT_LIMIT)
        return time.monotonic() - began

    @property
    def console(self):
        return self.directory / "console.log"

    def connect(self, path, deadline):
        while True:
            if self.process.poll() is not None:
                raise LabError(f"qemu ended with {self.process.returncode}; see {self.directory / 'qemu.log'}")
            if time.monotonic() > deadline:
                raise LabError(f"qemu does not open {path}")
            try:
                self.socket = socket.socket(socket.AF_UNIX)
                self.socket.connect(str(path))
                break
            except OSError:
                self.socket.close()
                time.sleep(0.02)
        threading.Thread(target=self.read, daemon=True).start()
        while not self.ready.wait(0.2):
            if self.process.poll() is not None:
                said = (self.directory / "qemu.log").read_text().strip()
                raise LabError(f"qemu ended with {self.process.returncode}: {said}")
            if time.monotonic() > deadline:
                raise LabError(f"the guest did not boot within {BOOT_LIMIT} s; see {self.console}")

    def read(self):
        rest = b""
        while True:
            try:
                bytes_read = self.socket.recv(65536)
            except OSError:
                bytes_read = b""
            if not bytes_read:
                break
            *lines, rest = (rest + bytes_read).split(b"\n")
            for line in lines:
                self.receive(line.decode(errors="replace").rstrip("\r"))
        for job in list(self.jobs.values()):
            job.ended.set()

    def receive(self, line):
        identity, _, rest = line.partition(" ")
        kind, _, text = rest.partition(" ")
        if identity == "0" and kind == "=":
            self.ready.set()
            return
        job = self.jobs.get(identity)
        if job is None:
            return
        if kind == ">":
            job.lines.append(text)
            if job.on_line:
                job.on_line(text)
        elif kind == "=":
            job.status = int(text)
            del self.jobs[identity]
            job.ended.set()

    def start(self, command, on_line=None):
        assert "\n" not in command
        job = Job(command, on_line)
        with self.lock:
            identity = str(self.next)
            self.next += 1
            self.jobs[identity] = job
            self.socket.sendall(f"{identity} {command}\n".encode())
        if self.process.poll() is not None:
            raise LabError(f"the guest is dead; see {self.console}")
        return job

    def run(self, command, timeout=30, check=True):
        job = self.start(command).wait(timeout)
        if check and job.status != 0:
            raise LabError(f"exit {job.status} in the guest from {command}: {' / '.join(job.lines)}")
        return job

    def down(self):
        if self.process is not None:
            end_process(self.process.pid, start_time(self.process.pid))
            self.process.wait()
            self.network.remove_tap(TAP)
            self.process = None
