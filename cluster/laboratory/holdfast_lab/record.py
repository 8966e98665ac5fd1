"""What the laboratory started, written down before it is used, so that any later run can clean up after this one."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path


class LabError(Exception):
    """Something that the person at the keyboard can act on; printed without a traceback."""


def run(*command, check=True, timeout=60, text_input=None, environment=None):
    """Runs a command to its end; its output is in the error when it fails."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words, input=text_input, capture_output=True, text=True, timeout=timeout, errors="replace",
            env=None if environment is None else {**os.environ, **environment})
    except subprocess.TimeoutExpired:
        raise LabError(f"no answer within {timeout} s: {' '.join(words)}") from None
    if check and done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise LabError(f"exit {done.returncode} from {' '.join(words)}: {said}")
    return done


def start_time(pid):
    """The kernel's start time of a process, in ticks since boot: with the PID it names one process for ever."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def end_process(pid, started):
    """Kills exactly the process that was recorded, never one that got its number later."""
    if started is None or start_time(pid) != started:
        return
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    deadline = time.monotonic() + 10
    while start_time(pid) == started and time.monotonic() < deadline:
        time.sleep(0.01)


class Record:
    """One laboratory's directory with the list of what it started."""

    def __init__(self, identity):
        self.identity = identity
        # Others than root cannot have namespaces, but may torture a server of their own.
        self.root = Path("/run/holdfast-lab" if os.geteuid() == 0 else f"{tempfile.gettempdir()}/holdfast-lab-{os.geteuid()}")
        self.directory = self.root / identity
        self.started = self.directory / "started.jsonl"
        self.lock_file = None

    def lock(self):
        """Held by a command that owns the laboratory for its whole run (demo, test)."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.lock_file = open(self.root / f"{self.identity}.lock", "a+")
        try:
            fcntl.flock(self.lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabError(
                f"laboratory '{self.identity}' is in use by another command; "
                "wait for it or choose another with HOLDFAST_LAB_ID") from None

    def create(self):
        self.directory.mkdir(parents=True, exist_ok=True)

    def add(self, kind, **facts):
        with open(self.started, "a") as file:
            file.write(json.dumps({"kind": kind, **facts}) + "\n")

    def entries(self):
        if not self.started.exists():
            return []
        return [json.loads(line) for line in self.started.read_text().splitlines() if line.endswith("}")]

    def spawn(self, what, *command, log, environment=None):
        """Starts a process that outlives this command, recorded by PID and start time; its output goes to a log."""
        with open(log, "ab") as output:
            process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True, env={**os.environ, **(environment or {})})
        self.add("process", what=what, pid=process.pid, start=start_time(process.pid))
        return process

    def namespace(self, name):
        self.add("namespace", name=name)
        run("ip", "netns", "add", name)

    def clean(self):
        """Ends and removes all that is recorded, in the reverse order. Safe to repeat, and after any crash."""
        entries = self.entries()[::-1]
        for entry in entries:
            if entry["kind"] == "process":
                end_process(entry["pid"], entry["start"])
        self.detach_loops()
        for entry in entries:
            if entry["kind"] == "namespace" and Path("/run/netns", entry["name"]).exists():
                run("ip", "netns", "delete", entry["name"], check=False)
            elif entry["kind"] == "directory":
                self.unmount_below(entry["path"])
                shutil.rmtree(entry["path"], ignore_errors=True)
        if self.directory.exists():
            self.unmount_below(self.directory)
            shutil.rmtree(self.directory, ignore_errors=True)

    def detach_loops(self):
        """A node that died with its file system mounted leaves a loop device behind; its backing file tells whose."""
        for device in Path("/sys/block").glob("loop*"):
            try:
                backing = (device / "loop/backing_file").read_text().strip()
            except OSError:
                continue
            if backing.startswith(f"{self.directory}/"):
                run("losetup", "--detach", f"/dev/{device.name}", check=False)

    @staticmethod
    def unmount_below(directory):
        for line in Path("/proc/self/mounts").read_text().splitlines()[::-1]:
            place = line.split()[1]
            if place.startswith(f"{directory}/"):
                run("umount", "--lazy", place, check=False)
