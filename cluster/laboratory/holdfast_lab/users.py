"""Three users, each copying a file of their own in both directions on a mount of their own, and how long they stood."""

import threading
import time

from .data import SIZES, USERS
from .laboratory import SHARE
from .record import LabError

COPY_LIMIT = 240
# Requests of 1 MiB: fine enough to time a stall on an emulated machine, where the default of 4 MiB takes a second.
MOUNT_OPTIONS = "vers=3.1.1,persistenthandles,hard,nosharesock,rsize=1048576,wsize=1048576"


class Copy:
    """One direction of one user's work."""

    def __init__(self, user, source, destination):
        self.user = user
        self.source = source
        self.destination = destination
        self.copied = 0
        self.still = 0
        self.pauses = []  # (monotonic time of its end, milliseconds)
        self.longest = 0
        self.milliseconds = None
        self.error = None

    def line(self, text):
        word, *numbers = text.split()
        if word == "progress":
            self.copied, self.still = int(numbers[0]), int(numbers[1])
        elif word == "still":
            self.pauses.append((time.monotonic(), int(numbers[0])))
        elif word == "copied":
            self.copied, self.milliseconds, self.longest = int(numbers[0]), int(numbers[1]), int(numbers[2])
            self.still = 0
        else:
            self.error = text

    def run(self, guest):
        job = guest.start(f"hfcopy {self.source} {self.destination}", self.line).wait(COPY_LIMIT)
        if job.status != 0 or self.milliseconds is None:
            raise LabError(self.error or f"hfcopy ended with {job.status}")


class User:
    """Copies up and down, one after the other; `folder` is on the share, below the user's own mount."""

    def __init__(self, guest, name, folder, down_source, down_first):
        self.guest = guest
        self.name = name
        self.uploaded = f"{folder}/{name}"
        self.downloaded = f"/disk/down/{name}"
        up = Copy(name, f"/disk/{name}", f"/mnt/{name}/{self.uploaded}")
        down = Copy(name, f"/mnt/{name}/{down_source or self.uploaded}", self.downloaded)
        self.copies = [down, up] if down_first else [up, down]
        self.error = None
        self.current = None
        self.finished = threading.Event()

    def start(self):
        threading.Thread(target=self.work, daemon=True).start()

    def work(self):
        try:
            for copy in self.copies:
                self.current = copy
                copy.run(self.guest)
        except (LabError, OSError) as error:
            self.error = f"{self.current.source} to {self.current.destination}: {error}"
        finally:
            self.current = None
            self.finished.set()

    @property
    def fraction(self):
        return sum(copy.copied for copy in self.copies) / (2 * SIZES[self.name])

    @property
    def still(self):
        """Milliseconds that the user has been standing still just now."""
        copy = self.current
        return copy.still if copy else 0

    @property
    def longest(self):
        return max(copy.longest for copy in self.copies)

    def longest_before(self, moment):
        return max((length for copy in self.copies for end, length in copy.pauses if end < moment), default=0)

    @property
    def direction(self):
        copy = self.current
        if copy is None:
            return "failed" if self.error else "done"
        return "up" if copy.source.startswith("/disk/") else "down"


def mount(guest, laboratory):
    guest.run("mkdir -p /disk/down")
    for user in USERS:
        guest.run(
            f"mkdir -p /mnt/{user} && mount.cifs //tshare/{SHARE} /mnt/{user} "
            f"-o username={laboratory.account(user)},password={laboratory.password(user)},{MOUNT_OPTIONS}", timeout=60)


def prepare(guest, name):
    """The file that the second user copies down first lies on the share before any failure."""
    guest.run(f"mkdir -p /mnt/{USERS[1]}/{name}")
    seed = f"{name}/seed"
    guest.run(f"hfcopy /disk/{USERS[1]} /mnt/{USERS[1]}/{seed}", timeout=COPY_LIMIT)
    return seed


def at_work(guest, folder, seed):
    """The three users of one run. The second starts with the other direction."""
    guest.run(f"rm -f /disk/down/*; mkdir -p /mnt/{USERS[0]}/{folder}")
    return [
        User(guest, name, folder, seed if name == USERS[1] else None, down_first=name == USERS[1]) for name in USERS
    ]
