"""cluster/lab linux: the kernel's own client against a standalone server, in every dialect and with its options, doing what people do
on a mount. Each cell is a script of guest/work, run in Debian's programs: 0 or the first line that says why not.
"""

import argparse
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
# (name, mount options, what is done there beyond the common works)
MOUNTS = [
    ("2.1", "vers=2.1", ()),
    ("3.0", "vers=3.0", ()),
    ("3.0.2", "vers=3.02", ()),
    ("3.1.1", "vers=3.1.1", ()),
    ("ntlmssp", "vers=3.1.1,sec=ntlmssp", ()),
    ("sign", "vers=3.1.1,sign", ()),
    ("seal", "vers=3.1.1,seal", ()),
    ("posix", "vers=3.1.1,posix", ("posix",)),
    ("mfsymlinks", "vers=3.1.1,mfsymlinks", ("mfsymlinks",)),
    # SQLite turns its shared locks into exclusive ones, which SMB does not: it wants a mount that keeps locks to itself.
    ("nobrl", "vers=3.1.1,nobrl", ("sqlite",)),
]
COMMON = ("copy", "tar", "build", "git", "rsync")
SPECIAL = ("sqlite", "posix", "mfsymlinks")


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

    def mount(self, options):
        options = f"user={ACCOUNT},password={self.secret},{options}"
        self.guest.run(f"mount -t cifs //{VIRTUAL_IP}/{SHARE} /tools/mnt -o {options}")

    def unmount(self):
        self.guest.run("umount /tools/mnt", check=False)

    def work(self, mount, name):
        """What to show for it, and whether it went well."""
        began = time.monotonic()
        try:
            job = self.inside(
                f"mkdir -p '/mnt/{mount}-{name}' && cd '/mnt/{mount}-{name}' && /work/{name} 2>&1", WORK_LIMIT)
        except LabError as error:
            return f"{error}"[:60], False
        if job.status == 0:
            return f"{time.monotonic() - began:.0f} s", True
        said = job.lines[-1] if job.lines else "nothing said"
        return f"failed ({job.status}): {said}"[:60], False


def play(identity, binaries, cache, words):
    parser = argparse.ArgumentParser(prog="cluster/lab linux")
    parser.add_argument("--only", metavar="MOUNT", help="one mount: " + ", ".join(name for name, _, _ in MOUNTS))
    parser.add_argument("--work", help="one work: " + ", ".join((*COMMON, *SPECIAL)))
    chosen = parser.parse_args(words)
    laboratory = Matrix(identity, binaries, cache)
    laboratory.record.lock()
    failures = []
    rows = []
    try:
        laboratory.up(print)
        laboratory.guest_with_tools(print)
        for mount, options, special in MOUNTS:
            if chosen.only not in (None, mount):
                continue
            row = [mount]
            try:
                laboratory.mount(options)
            except LabError as error:
                failures.append(f"{mount}: {error}")
                rows.append([mount, "not mounted"] + [""] * (len(COMMON) + len(SPECIAL) - 1))
                continue
            for name in (*COMMON, *SPECIAL):
                if chosen.work not in (None, name) or (name in SPECIAL and name not in special):
                    row.append("")
                    continue
                cell, passed = laboratory.work(mount, name)
                row.append(cell if passed else "FAILED")
                if not passed:
                    failures.append(f"{mount}, {name}: {cell}")
                print(f"{mount:10} {name:10} {cell}", flush=True)
            laboratory.unmount()
            rows.append(row)
        print()
        print(table(["mount", *COMMON, *SPECIAL], rows))
        for failure in failures:
            print(failure)
        return 1 if failures else 0
    finally:
        laboratory.down()
