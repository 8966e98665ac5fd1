"""The whole laboratory: comes up, tells how it is, goes down."""

import json
import shutil
import signal
import time
from pathlib import Path

from . import data
from .guest import Guest
from .network import ADDRESSES, PREFIX_LENGTH, VIRTUAL_IP, Network
from .node import PEER_PORT, Node
from .record import LabError, Record, run
from .target import KINDS

LUN_SIZE = 6 << 30
ACCEPTED_LAG = 64  # entries behind the leader, in a cluster that is writing
SHARE = "test"
SHARE_USERS = (*data.USERS, "holder", "rival")


class Laboratory:
    def __init__(self, identity, binaries, cache):
        self.record = Record(identity)
        self.binaries = binaries
        self.cache = cache
        self.network = Network(self.record)
        self.target = None
        kind, paths = self.target_mark.read_text().split() if self.target_mark.exists() else ("tgt", "1")
        self.use_target(kind, int(paths))
        self.nodes = {name: Node(self.record, self.network, name, binaries) for name in ("node-a", "node-b", "witness")}
        self.has_quorum_lun = False
        self.offers_quorum_lun = False
        if self.quorum_mark.exists():
            self.use_quorum_lun()
        self.guest = None
        self.source = None

    @property
    def exists(self):
        return self.record.started.exists()

    @property
    def quorum_mark(self):
        return self.record.directory / "quorum-lun"

    def use_quorum_lun(self):
        """A second LUN votes in the place of the witness: two machines and the target are all there is."""
        self.has_quorum_lun = True
        self.nodes.pop("witness", None)

    @property
    def target_mark(self):
        return self.record.directory / "target-kind"

    def use_target(self, kind, paths):
        """Which target, and over how many networks the nodes reach it."""
        self.network.paths = paths
        self.target = KINDS[kind](self.record, self.network)

    def account(self, user):
        """The name with which a user of the scenario logs on."""
        return user

    def password(self, user):
        """The laboratory's users are made anew with each laboratory and nothing else trusts them."""
        return f"{user}-{self.target.password}"

    def up(self, say):
        self.prepare(say)
        self.form_cluster(say)

    def prepare(self, say, clocks=None):
        """Everything is on, and no cluster is made yet. `clocks`: a node's environment that gives it another time of day."""
        self.record.clean()
        self.record.create()
        self.target_mark.write_text(f"{self.target.kind} {self.network.paths}")
        self.network.up(self.target.guests)
        say("network: bridge with " + ", ".join(f"{name} {address}" for name, address in ADDRESSES.items()))
        if self.has_quorum_lun:
            self.quorum_mark.touch()
        self.target.up(LUN_SIZE, self.has_quorum_lun or self.offers_quorum_lun)
        ways = ", two ways to it" if self.network.paths == 2 else ""
        say(f"target: {self.target.description} with a LUN of {LUN_SIZE >> 30} GiB in memory, CHAP{ways}")
        for node in self.nodes.values():
            node.power_on((clocks or {}).get(node.name))
        for node in self.nodes.values():
            node.wait_for_socket()

    def form_cluster(self, say):
        first = self.nodes["node-a"]
        first.control(
            "init", "--cluster-name", "tshare", "--node-name", first.name, "--address", f"{first.address}:{PEER_PORT}",
            "--virtual-ip", f"{VIRTUAL_IP}/{PREFIX_LENGTH}", "--interface", "eth0", "--lun", self.target.url_with_password,
            "--format",
            *(["--accept-unsafe"] if self.target.kind == "tgt" else []),  # it keeps reservations in memory only
            *(["--quorum-lun", self.target.quorum_url] if self.has_quorum_lun else []),
            timeout=90)
        say("cluster: made by node-a, the LUN formatted" + (", a second one votes" if self.has_quorum_lun else ""))
        for name, node in self.nodes.items():
            if node is first:
                continue
            token = first.control("token").stdout.split()[-1]
            words = ["join", f"{first.address}:{PEER_PORT}", "--token", token, "--node-name", name,
                     "--address", f"{node.address}:{PEER_PORT}", "--interface", "eth0"]
            if node.role == "witness":
                words += ["--role", "witness"]
            node.control(*words, timeout=60)
            say(f"cluster: {name} joined")
        for user in SHARE_USERS:
            first.control("user", "add", user, "--password-stdin", text_input=self.password(user) + "\n")
        first.control("share", "add", SHARE, "--path", SHARE, "--continuously-available")
        self.wait_until_serving(60)
        say(f"cluster: \\\\tshare\\{SHARE} is served at {VIRTUAL_IP} by {self.active().name}")

    def guest_up(self, say):
        image, self.source = data.make(self.cache)
        disk = self.record.directory / "guest.img"
        run("cp", "--sparse=always", image, disk)
        self.guest = Guest(
            self.record, self.network, self.cache / "kernel/vmlinuz", self.cache / "guest/initramfs", disk)
        seconds = self.guest.up()
        kernel = self.guest.run("uname -r").lines[0]
        say(f"guest: Linux {kernel} booted in {seconds:.0f} s")

    def down(self):
        # A second Ctrl-C must not leave half of it behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if self.guest is not None:
            self.guest.down()
        self.record.clean()

    def keep_logs(self):
        """The nodes' logs outlive the laboratory, for the one who reads a failure. Returns their folder."""
        folder = self.cache / "last-failure"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
        for node in self.nodes.values():
            if node.log.exists():
                shutil.copy(node.log, folder / f"{node.name}.log")
        for log in self.record.directory.glob("*.log"):
            shutil.copy(log, folder)
        return folder

    # How it is

    def status(self, timeout=10):
        """clusterctl's own status: of the nodes that answer the leader of the newest term, or who is nearest to it."""
        said, found = [], []
        for node in self.nodes.values():
            if node.init() is None or node.frozen:
                continue
            try:
                done = node.control("status", "--json", check=False, timeout=timeout)
                found.append(json.loads(done.stdout))
            except (LabError, ValueError) as error:
                said.append(f"{node.name}: {error}")
        if not found:
            raise LabError("no node answers: " + "; ".join(said or ["all are off"]))
        return max(found, key=lambda status: (
            status.get("term", 0), status.get("leader") == status.get("reporter"), status.get("active") is not None))

    def active(self):
        """The node whose clusterd says that it serves the share."""
        name = self.status().get("active")
        if name not in self.nodes:
            raise LabError("no node serves the share now (cluster/lab status tells more)")
        return self.nodes[name]

    def standby(self):
        return self.nodes["node-b" if self.active().name == "node-a" else "node-a"]

    def is_ready_follower(self, name):
        """The node is on, follows the leader and has its log."""
        status = self.status()
        for node in status.get("nodes", []):
            if node.get("name") == name:
                caught_up = (node.get("lag") or 0) <= ACCEPTED_LAG
                return node.get("role") == "follower" and node.get("connected") is True and caught_up
        return False

    def recorded(self, kind):
        """The last event of this kind in the cluster's history, or None."""
        return next((event for event in reversed(self.status().get("events", [])) if event["kind"] == kind), None)

    def sum_on_lun(self, node, path):
        """SHA-256 of a file of the share, read past the page cache from the LUN that the node has mounted."""
        mounted = None
        for line in Path(f"/proc/{node.process('clusterd')}/mounts").read_text().splitlines():
            device, place, kind = line.split()[:3]
            if kind == "xfs" and device.startswith("/dev/loop") and place.startswith(str(node.directory)):
                mounted = place
        if mounted is None:
            raise LabError(f"{node.name} has no LUN mounted")
        script = 'dd if="$1" iflag=direct bs=1M status=none | sha256sum'
        # The service's own mount namespace: the file system is mounted nowhere else.
        done = run(
            "nsenter", f"--target={node.process('clusterd')}", "--mount", "--",
            "sh", "-c", script, "sh", f"{mounted}/{SHARE}/{path}", timeout=60)
        return done.stdout.split()[0]

    def wait_until_whole(self, timeout):
        """Every node on, one of them serving, the others following it."""
        deadline = time.monotonic() + timeout
        self.wait_until_serving(timeout)
        for node in self.nodes.values():
            while self.status().get("leader") != node.name and not self.is_ready_follower(node.name):
                if time.monotonic() > deadline:
                    raise LabError(f"{node.name} does not follow after {timeout} s")
                time.sleep(0.2)

    def wait_until_serving(self, timeout):
        deadline = time.monotonic() + timeout
        problem = None
        while time.monotonic() < deadline:
            try:
                return self.active()
            except LabError as error:
                problem = error
            time.sleep(0.1)
        raise LabError(f"the share is not served after {timeout} s: {problem}")
