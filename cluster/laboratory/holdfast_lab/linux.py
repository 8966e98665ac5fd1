"""cluster/lab linux: the kernel's own client against a standalone server, in every dialect and with its options, doing what people do
on a mount. Each cell is a script of guest/work, run in Debian's programs: 0 or the first line that says why not.
"""

import argparse
import re
import shlex
import time
from pathlib import Path

from . import data
from .guest import Guest
from .network import VIRTUAL_IP
from .laboratory import SHARE
from .record import LabError, run
from .standalone import ACCOUNT, Standalone
from .view import table

SCRIPTS = Path(__file__).parents[1] / "guest" / "work"
TOOLS_SIZE = "1G"
WORK_LIMIT = 300
# A part ends by itself after this: what has not begun by then is named, and played with --only.
PART_SECONDS = 540
DEBUG_DATA = "/proc/fs/cifs/DebugData"
# (name, mount options, what is done there beyond the common works, what DebugData or the mount's line must say)
MOUNTS = [
    ("2.1", "vers=2.1", (), r"Dialect 0x210\b"),
    ("3.0", "vers=3.0", (), r"Dialect 0x300\b"),
    ("3.0.2", "vers=3.02", (), r"Dialect 0x302\b"),
    ("3.1.1", "vers=3.1.1", (), r"Dialect 0x311\b"),
    ("ntlmssp", "vers=3.1.1,sec=ntlmssp", (), r"Security type: RawNTLMSSP"),
    ("sign", "vers=3.1.1,sign", (), r"\bsigned\b"),
    ("seal", "vers=3.1.1,seal", (), r"\bencrypted\b"),
    ("seal-3.0", "vers=3.0,seal", (), r"\bencrypted\b"),
    ("multichannel", "vers=3.1.1,multichannel,max_channels=3", ("channels",), r"Dialect 0x311\b"),
    ("posix", "vers=3.1.1,posix", ("posix",), r" cifs \S*,posix,"),
    ("mfsymlinks", "vers=3.1.1,mfsymlinks", ("mfsymlinks",), r"Dialect 0x311\b"),
    # SQLite turns its shared locks into exclusive ones, which SMB does not: it wants a mount that keeps locks to itself.
    ("nobrl", "vers=3.1.1,nobrl", ("sqlite",), r"Dialect 0x311\b"),
]
COMMON = ("copy", "tar", "build", "git", "rsync")
SPECIAL = ("sqlite", "posix", "mfsymlinks", "channels")


class Matrix(Standalone):
    def tools(self):
        """The programs and the scripts as one disk."""
        image = self.record.directory / "tools.img"
        tree = self.cache / "tools/tree"
        if not tree.exists():
            raise LabError("the guest's programs are missing: cluster/laboratory/packages tools fetches them")
        for folder in ("work", "proc", "dev", "tmp", "mnt"):
            (tree / folder).mkdir(exist_ok=True)
        for script in SCRIPTS.iterdir():
            run("install", "-m", "755", script, tree / "work" / script.name)
        run("truncate", "-s", TOOLS_SIZE, image)
        run("mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-d", tree, image, timeout=120)
        return image

    def guest_with_tools(self, say):
        image, _ = data.make(self.cache)
        disk = self.record.directory / "guest.img"
        run("cp", "--sparse=always", image, disk)
        self.guest = Guest(
            self.record, self.network, self.cache / "kernel/vmlinuz", self.cache / "guest/initramfs", disk, self.tools())
        seconds = self.guest.up()
        say(f"guest: Linux {self.guest.run('uname -r').lines[0]} booted in {seconds:.0f} s")
        self.guest.run("mkdir -p /tools && mount -t ext4 /dev/vdb /tools && mount -t proc proc /tools/proc && "
                       "mount -t devtmpfs dev /tools/dev && mount -t tmpfs tmp /tools/tmp")
        self.inside("/work/prepare /tmp/local", WORK_LIMIT, check=True)

    def inside(self, command, timeout, check=False):
        """A command in Debian's programs."""
        environment = "PATH=/usr/bin:/bin:/usr/sbin:/sbin LOCAL=/tmp/local LC_ALL=C CC=gcc"
        words = f"chroot /tools /usr/bin/env -i {environment} /bin/bash -c {shlex.quote(command)}"
        return self.guest.run(words, timeout, check=check)

    def mount(self, options, evidence):
        """Mounts, and makes sure that the client does what the options ask."""
        words = f"user={ACCOUNT},password={self.secret},{options}"
        self.guest.run(f"mount -t cifs //{VIRTUAL_IP}/{SHARE} /tools/mnt -o {words}")
        said = "\n".join(self.guest.run(f"grep /tools/mnt /proc/mounts; cat {DEBUG_DATA}").lines)
        if not re.search(evidence, said):
            self.unmount()
            raise LabError(f"{DEBUG_DATA} says nothing of {evidence}: {said[:1500]}")

    def unmount(self):
        self.guest.run("umount /tools/mnt", 60, check=False)

    def channels(self):
        """How many connections the client has to the server, from its first on."""
        said = "\n".join(self.guest.run(f"cat {DEBUG_DATA}").lines)
        extra = re.search(r"Extra Channels: (\d+)", said)
        return 1 + (int(extra.group(1)) if extra else 0)

    def messages(self, count=12):
        """What the guest's kernel said last."""
        return self.guest.run(f"dmesg | tail -n {count}", check=False).lines

    def work(self, mount, name):
        """What to show for it, and whether it went well."""
        if name == "channels":
            return f"{self.channels()}", True
        began = time.monotonic()
        try:
            job = self.inside(
                f"mkdir -p '/mnt/{mount}-{name}' && cd '/mnt/{mount}-{name}' && /work/{name} 2>&1", WORK_LIMIT)
        except LabError as error:
            return f"{error}"[:60], False
        if job.status == 0:
            return f"{time.monotonic() - began:.0f} s", True
        said = " / ".join(job.lines[-3:]) if job.lines else "nothing said"
        return f"failed ({job.status}): {said}"[:200], False


def play(identity, binaries, cache, words):
    names = [name for name, *_ in MOUNTS]
    parser = argparse.ArgumentParser(prog="cluster/lab linux")
    parser.add_argument("--only", metavar="MOUNT,...", help="some mounts: " + ", ".join(names))
    parser.add_argument("--work", metavar="WORK,...", help="some works: " + ", ".join((*COMMON, *SPECIAL)))
    chosen = parser.parse_args(words)
    mounts = chosen.only.split(",") if chosen.only else names
    works = chosen.work.split(",") if chosen.work else (*COMMON, *SPECIAL)
    unknown = [name for name in mounts if name not in names] + [
        name for name in works if name not in (*COMMON, *SPECIAL)]
    if unknown:
        parser.error(f"no such mount or work: {', '.join(unknown)}")
    laboratory = Matrix(identity, binaries, cache)
    laboratory.record.lock()
    failures = []
    rows = []
    began = time.monotonic()
    try:
        laboratory.up(print)
        laboratory.guest_with_tools(print)
        for mount, options, special, evidence in MOUNTS:
            if mount not in mounts:
                continue
            if time.monotonic() - began > PART_SECONDS:
                failures.append(f"{mount}: not begun after {PART_SECONDS} s: --only {mount}")
                continue
            rows.append(row(laboratory, mount, options, evidence, [
                name if name in works and (name in COMMON or name in special) else None
                for name in (*COMMON, *SPECIAL)], began + PART_SECONDS, failures))
        print()
        print(table(["mount", *COMMON, *SPECIAL], rows))
        for failure in failures:
            print(failure)
        return 1 if failures else 0
    finally:
        laboratory.down()


def row(laboratory, mount, options, evidence, works, deadline, failures):
    """One mount's cells; what went wrong is appended to `failures`."""
    try:
        laboratory.mount(options, evidence)
    except LabError as error:
        failures.append(f"{mount}: {error}")
        return [mount, "not mounted", *([""] * (len(works) - 1))]
    cells = [mount]
    for name in works:
        if name is None:
            cells.append("")
            continue
        if time.monotonic() > deadline:
            failures.append(f"{mount}, {name}: not begun after {PART_SECONDS} s")
            cells.append("")
            continue
        cell, passed = laboratory.work(mount, name)
        cells.append(cell if passed else "FAILED")
        print(f"{mount:12} {name:10} {cell}", flush=True)
        if not passed:
            failures.append(f"{mount}, {name}: {cell}")
            for line in laboratory.messages():
                print(f"    {line}", flush=True)
    laboratory.unmount()
    return cells
