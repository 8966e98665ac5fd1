"""What an administrator does wrong, and clocks that are wrong: each fault has its message at the right place and its exit
status, changes nothing, and the cluster that is made in the midst of them works. The clock of one node is a day ahead."""

import hashlib
import re
import time

from .network import PREFIX_LENGTH, VIRTUAL_IP
from .node import PEER_PORT
from .record import LabError, run
from .target import LUN

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
# The monotonic clocks stay true: what differs between machines is the time of day.
A_DAY_AHEAD = {"LD_PRELOAD": FAKETIME, "FAKETIME": "+1d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

REFUSED, WRONG_STATE, STORAGE, USAGE = 1, 4, 5, 64


class Faults:
    def __init__(self, laboratory, say):
        self.laboratory = laboratory
        self.say = say
        self.passed = 0
        self.failures = []

    def expect(self, what, holds, said):
        if holds:
            self.passed += 1
            self.say(f"ok      {what}: {said}")
        else:
            self.failures.append(what)
            self.say(f"FAILED  {what}: {said}")

    def refused(self, what, node, words, status, pattern, timeout=60):
        """The command must fail with this exit status, and its message must match."""
        done = node.control(*words, check=False, timeout=timeout)
        message = " ".join((done.stderr or done.stdout).split())
        holds = done.returncode == status and re.search(pattern, message, re.IGNORECASE) is not None
        self.expect(what, holds, f"exit {done.returncode}: {message}")

    def initialize(self, url, *flags, interface="eth0"):
        node = self.laboratory.nodes["node-a"]
        return ["init", "--cluster-name", "tshare", "--node-name", node.name, "--address", f"{node.address}:{PEER_PORT}",
                "--virtual-ip", f"{VIRTUAL_IP}/{PREFIX_LENGTH}", "--interface", interface, "--lun", url, *flags]

    def join(self, node, token, name=None, interface="eth0"):
        first = self.laboratory.nodes["node-a"]
        words = ["join", f"{first.address}:{PEER_PORT}", "--token", token, "--node-name", name or node.name,
                 "--address", f"{node.address}:{PEER_PORT}", "--interface", interface]
        return words + (["--role", "witness"] if node.role == "witness" else [])

    # Before there is a cluster

    def storage(self):
        target, node = self.laboratory.target, self.laboratory.nodes["node-a"]
        url = target.url_with_password
        self.refused("status of a node without a cluster", node, ["status"], WRONG_STATE, r"init|join")
        self.refused("a LUN address that is none", node, self.initialize("nonsense"), REFUSED, r"iscsi://")
        self.refused("an interface that this machine has not", node, self.initialize(url, "--format", interface="eth7"), REFUSED,
                     r"no network interface eth7.*'ip link'.*--interface")
        self.refused("a wrong CHAP password", node, self.initialize(url.replace(target.password, "wrong-password"), "--format"),
                     STORAGE, r"refused|password|CHAP")
        self.refused("an unreachable target", node, self.initialize(url.replace(":3260", ":3261"), "--format"),
                     STORAGE, r"reach|connect")
        self.refused("a LUN that is not there", node, self.initialize(url.removesuffix(f"/{LUN}") + "/9", "--format"),
                     STORAGE, r"LUN|unit")
        run("mkfs.ext4", "-q", "-F", target.image)
        before = self.first_mebibyte()
        self.refused("a LUN that somebody else uses", node, self.initialize(url, "--format"), STORAGE, r"empty|ext4|holds|foreign")
        self.expect("nothing was written to that LUN", self.first_mebibyte() == before, "its first MiB is as it was")
        with open(target.image, "r+b") as image:
            size = target.image.stat().st_size
            image.truncate(0)
            image.truncate(size)
        self.refused("an empty LUN without --format", node, self.initialize(url), STORAGE, r"--format")
        self.refused("a target that forgets its reservations", node, self.initialize(url, "--format"), STORAGE,
                     r"not safe.*restart of the target.*--accept-unsafe")
        # The cluster is there, and what is said must not sound as if it were not.
        self.refused("a quorum disk that is not there", node,
                     self.initialize(url, "--format", "--accept-unsafe", "--quorum-lun", url.removesuffix(f"/{LUN}") + "/9"),
                     STORAGE, r"tshare is made and works, without its quorum disk: .*quorum replace URL'; do not repeat init",
                     timeout=120)
        self.refused("a second init", node, self.initialize(url, "--format"), WRONG_STATE, r"already|in a cluster|member")

    def first_mebibyte(self):
        with open(self.laboratory.target.image, "rb") as image:
            return hashlib.sha256(image.read(1 << 20)).hexdigest()

    # Joining

    def joining(self):
        first, second = self.laboratory.nodes["node-a"], self.laboratory.nodes["node-b"]
        witness = self.laboratory.nodes["witness"]
        token = first.control("token").stdout.split()[-1]
        self.refused("a token that is none", second, self.join(second, "secret"), REFUSED, r"token")
        self.refused("a token that was cut", second, self.join(second, token[:-4]), REFUSED, r"token")
        self.refused("a token with a wrong secret", second, self.join(second, forge(token, secret=True)), REFUSED, r"token")
        self.refused("a token of another cluster", second, self.join(second, forge(token, secret=False)),
                     REFUSED, r"not of the cluster that made this token")
        old = first.control("token", "--valid-for", "1s").stdout.split()[-1]
        time.sleep(2)
        self.refused("a token whose time is over", second, self.join(second, old), REFUSED, r"expired|time|token")
        self.refused("a name that clusterd was not started with", second, self.join(second, token, name=first.name),
                     REFUSED, r"use the same name")
        self.refused("to join with an interface that the machine has not", second, self.join(second, token, interface="eth7"),
                     REFUSED, r"no network interface eth7.*'ip link'.*--interface")
        second.control(*self.join(second, token), timeout=60)
        self.expect("node-b joins, its clock a day ahead", True, "with the token that the refusals did not use up")
        self.same_name(witness, first)
        self.refused("a token that was used", witness, self.join(witness, token), REFUSED, r"token|used")
        token = first.control("token").stdout.split()[-1]
        # It has no address to raise: nobody asks for its interface.
        witness.control(*self.join(witness, token, interface="eth7"), timeout=60)

    def same_name(self, node, first):
        """A machine that was set up as a copy of another: its clusterd believes that it is node-a."""
        node.power_off()
        node.called = first.name
        node.power_on()
        node.wait_for_socket()
        token = first.control("token").stdout.split()[-1]
        self.refused("a second node of the same name", node, self.join(node, token, name=first.name), REFUSED, r"name")
        node.power_off()
        node.called = node.name
        node.power_on()
        node.wait_for_socket()

    def serving(self):
        first = self.laboratory.nodes["node-a"]
        first.control("user", "add", "user1", "--password-stdin", text_input=self.laboratory.password("user1") + "\n")
        self.refused("a user that is not there", first, ["user", "remove", "nobody"], REFUSED, r"no user")
        self.refused("a share outside of the LUN", first, ["share", "add", "bad", "--path", "../etc"], USAGE, r"relative to the LUN")
        first.control("share", "add", "test", "--path", "test", "--continuously-available")
        self.refused("a share that exists", first, ["share", "add", "test", "--path", "test"], REFUSED, r"already|exists")
        self.laboratory.wait_until_serving(60)
        self.laboratory.active().control("move", timeout=60)
        self.laboratory.wait_until_serving(60)
        active = self.laboratory.active().name
        self.expect("the node whose clock is wrong takes over", active == "node-b", f"{active} serves")


def forge(token, secret):
    """The token with another secret, or with another cluster's fingerprint, and a checksum that fits."""
    body = bytearray.fromhex(token.removeprefix("hf1-"))[:48]
    body[0 if secret else 16] ^= 0xFF
    return "hf1-" + (bytes(body) + hashlib.sha256(body).digest()[:4]).hex()


def play(laboratory, say):
    faults = Faults(laboratory, say)
    laboratory.prepare(say, clocks={"node-b": A_DAY_AHEAD})
    try:
        faults.storage()
        faults.joining()
        faults.serving()
    except LabError as error:
        faults.expect("the cluster that is made in between", False, str(error))
    say(f"{faults.passed} passed, {len(faults.failures)} failed")
    return 1 if faults.failures else 0
