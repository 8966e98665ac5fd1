"""What smbtorture is let loose on: a smbserverd by itself for each group of suites, and the laboratory's cluster."""

import json
import os
import secrets
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from .bench import free_port
from .network import PREFIX_LENGTH, VIRTUAL_IP, Network
from .record import LabError, end_process, run, start_time
from .smbtorture import IPTABLES

SHARE_SIZE = "8G"  # of a sparse file
START_LIMIT = 20
LOG_LINES = 20
SMB_PORT = 445
# Clients whose packets are dropped stand on the laboratory's network, each with an address of its own.
TORTURE_NETWORK, FIRST_TORTURE_CLIENT = "10.77.0", 100


def may_block():
    return os.geteuid() == 0 and os.access(IPTABLES, os.X_OK)


@dataclass(frozen=True)
class Share:
    """A share as smbtorture sees it. `inside` is the command line that puts a program on the client's network."""

    host: str
    port: int
    name: str
    user: str
    password: str
    second_user: str
    second_password: str
    administrator: str = ""  # with the first user's password; empty: there is none
    inside: tuple = ()
    blocks: bool = False  # that network is the group's own, and packets may be dropped there
    options: tuple = ()


class Alone:
    """Standalone servers on the loopback, one a group, on one file system: XFS as a node has it, without root a folder."""

    name = "standalone"
    users = ("alice", "bob")
    administrator = "carol"

    def __init__(self, record, binaries):
        self.record = record
        self.binary = binaries / "smbserverd"
        base = "/dev/shm" if os.geteuid() == 0 else tempfile.gettempdir()
        self.folder = Path(base, f"holdfast-torture-{record.identity}")
        self.secrets = [secrets.token_hex(8) + " 7" for _ in self.users]
        self.servers = {}
        self.lock = threading.Lock()
        self.network = Network(record)

    def up(self):
        if not os.access(self.binary, os.X_OK):
            raise LabError(f"no smbserverd in {self.binary.parent}: build first")
        self.record.clean()
        self.record.create()
        self.record.add("directory", path=str(self.folder))
        (self.folder / "shares").mkdir(parents=True)
        if os.geteuid() == 0:
            image = self.folder / "image"
            run("truncate", "-s", SHARE_SIZE, image)
            run("mkfs.xfs", "-q", "-K", "-m", "reflink=1,bigtime=1", "-i", "size=1024", image)
            run("mount", "-o", "loop,noatime", image, self.folder / "shares")
        (self.folder / "password").touch(mode=0o600)
        (self.folder / "password").write_text("".join(f"{secret}\n" for secret in [*self.secrets, self.secrets[0]]))

    def share(self, group):
        (self.folder / "shares" / group.name).mkdir(exist_ok=True)
        with self.lock:
            taken = [share.port for share, _ in self.servers.values()]
            while (port := free_port()) in taken:
                pass
            blocks = group.blocks and may_block()
            if blocks:
                port = SMB_PORT  # which smb2.multichannel.bugs.bug_15346 takes for granted, and that network is the group's own
            share = Share(
                "127.0.0.1", port, "test", self.users[0], self.secrets[0], self.users[1], self.secrets[1],
                administrator=self.administrator, inside=self.network.inside(group.name) if blocks else (), blocks=blocks,
                options=group.options)
            if blocks:
                self.network.add_island(group.name)
            self.servers[group.name] = (share, None)
        self.start(group)
        return share

    def start(self, group):
        share, _ = self.servers[group.name]
        log = self.log(group)
        folder = self.folder / "shares" / group.name
        shares = [("test", group.continuously_available, group.settings)]
        shares += [(also.name, also.continuously_available, also.settings) for also in group.also]
        process = self.record.spawn(
            "smbserverd", *share.inside, self.binary,
            *(word for name, available, settings in shares
              for word in ("--share", f"{name}={folder}{self.flags(available, settings)}")),
            *(word for user in self.users for word in ("--user", user)), "--administrator", self.administrator, "--password-file", self.folder / "password",
            "--port", share.port, "--address", "127.0.0.1", "--state-dir", self.folder / f"{group.name}.state",
            "--signing", group.signing, *(word for setting in group.security for word in ("--security", setting)), log=log)
        self.servers[group.name] = (share, process)
        deadline = time.monotonic() + START_LIMIT
        while not self.listens(process.pid, share.port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"smbserverd for {group.name} does not start:\n{self.last_words(group)}")
            time.sleep(0.05)

    @staticmethod
    def flags(continuously_available, settings):
        """A share's settings as smbserverd's --share takes them."""
        found = ["ca"] if continuously_available else []
        for setting in settings:
            word, _, value = setting.removeprefix("--").partition("=")
            known = {"hide-files": f"hide={value}", "access-based": "abe"}
            found.append(known.get(word, word.replace("-", "")))
        return "".join(f",{flag}" for flag in found)

    @staticmethod
    def listens(pid, port):
        """On the network that the process is on."""
        wanted = f"0100007F:{port:04X}"
        try:
            lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
        except OSError:
            return False  # it has ended, which is looked at next
        return any(line.split()[1] == wanted and line.split()[3] == "0A" for line in lines)

    def log(self, group):
        return self.folder / f"{group.name}.log"

    def last_words(self, group):
        return "\n".join(self.log(group).read_text(errors="replace").splitlines()[-LOG_LINES:])

    def died(self, group):
        """Whether the group's server ended by itself; it is started again."""
        if self.servers[group.name][1].poll() is None:
            return False
        self.start(group)
        return True

    def release(self, group):
        process = self.servers[group.name][1]
        end_process(process.pid, start_time(process.pid))
        process.wait()

    def down(self):
        self.record.clean()


class Cluster:
    """The laboratory's cluster: a share a group, all of them behind the virtual IP and served by one process."""

    name = "cluster"
    administrator = "administrator"

    def __init__(self, laboratory):
        self.laboratory = laboratory
        self.brought_up = False
        self.settings = {}  # what was changed of the cluster's security: as it was before
        self.servers = {}  # group: the process that served it last
        self.lock = threading.Lock()

    def up(self):
        if not self.laboratory.exists:
            self.brought_up = True
            self.laboratory.up(lambda text: print(text, flush=True))
        # With the first user's password: smbtorture is told of one.
        active = self.laboratory.active()
        active.control("user", "remove", self.administrator, check=False)
        active.control(
            "user", "add", self.administrator, "--administrator", "--password-stdin",
            text_input=self.laboratory.password("user1") + "\n")

    def process(self):
        return self.laboratory.active().process("smbserverd")

    def share(self, group):
        name = f"torture-{group.name}"
        with self.lock:
            self.secure(group.security)
            self.add_share(name, group.continuously_available, group.settings)
            for also in group.also:
                self.add_share(also.name, also.continuously_available, also.settings, "--path", name)
            self.servers[group.name] = self.process()
            client, blocks = "client", group.blocks and may_block()
            if blocks:
                client = self.add_client(group)
        user, second = "user1", "user2"
        share = Share(
            VIRTUAL_IP, 445, name, user, self.laboratory.password(user), second, self.laboratory.password(second),
            administrator=self.administrator, inside=self.laboratory.network.inside(client), blocks=blocks,
            options=group.options)
        self.wait_for(share)
        return share

    def add_share(self, name, continuously_available, settings, *words):
        active = self.laboratory.active()
        active.control("share", "remove", name, check=False)
        kind = "--continuously-available" if continuously_available else "--no-continuously-available"
        active.control("share", "add", name, *words, kind)
        if settings:
            active.control("share", "set", name, *settings)

    def add_client(self, group):
        """A machine of the group's own, which stays for the next command that finds the laboratory up."""
        name, network = f"t-{group.name}", self.laboratory.network
        if not Path("/run/netns", network.namespace(name)).exists():
            others = len(list(Path("/run/netns").glob(network.namespace("t-*"))))
            address = f"{TORTURE_NETWORK}.{FIRST_TORTURE_CLIENT + others}"
            network.add_machine(name, address)
            network.acknowledge_at_once(
                network.namespace(name), f"{TORTURE_NETWORK}.0/{PREFIX_LENGTH}", "dev", "eth0", "scope", "link", "src", address)
        return name

    def secure(self, settings):
        """They are the whole cluster's, and no group minds another one's."""
        if not settings:
            return
        shown = json.loads(self.laboratory.active().control("status", "--json").stdout)["security"]
        before = {setting["name"]: setting["value"] for setting in shown}
        for name, _, value in (setting.partition("=") for setting in settings):
            self.settings.setdefault(name, before[name])
            self.laboratory.active().control("security", "set", name, value)

    @staticmethod
    def wait_for(share):
        """The server has a new share when clusterd has told it."""
        deadline = time.monotonic() + START_LIMIT
        while run(*share.inside, "smbclient", f"//{share.host}/{share.name}", "-U", f"{share.user}%{share.password}",
                  "-s", "/dev/null", "-c", "exit", check=False).returncode != 0:
            if time.monotonic() > deadline:
                raise LabError(f"the cluster does not serve its new share {share.name}")
            time.sleep(0.1)

    def last_words(self, group):
        del group
        return "\n".join(self.laboratory.active().log.read_text(errors="replace").splitlines()[-LOG_LINES:])

    def died(self, group):
        with self.lock:
            before, now = self.servers[group.name], self.process()
            if now is None:
                self.laboratory.wait_until_serving(START_LIMIT)
                now = self.process()
            self.servers[group.name] = now
            return before != now

    def release(self, group):
        pass

    def down(self):
        if self.brought_up:
            self.laboratory.down()
            return
        for name, value in self.settings.items():
            self.laboratory.active().control("security", "set", name, value, check=False)
