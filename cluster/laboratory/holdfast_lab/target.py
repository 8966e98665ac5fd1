"""The iSCSI target, with CHAP: Debian's tgtd, tuned as docs/LAB.md explains, or Linux's own (LIO) in a guest."""

import os
import secrets
import time
from pathlib import Path

from .network import ADDRESSES, PREFIX_LENGTH, SECOND_ADDRESSES
from .record import LabError, end_process, run, start_time

IQN = "iqn.2024-01.example.holdfast:tshare"
USER = "holdfast"
PORT = 3260
CONTROL_PORT = 8
LUN = 1
QUORUM_LUN = 2
SPARE_QUORUM_LUN = 3
QUORUM_SIZE = 256 << 20

PARAMETERS = {
    "MaxRecvDataSegmentLength": 1048576,
    "MaxXmitDataSegmentLength": 1048576,
    "InitialR2T": "No",
    "ImmediateData": "Yes",
    "FirstBurstLength": 262144,
    "MaxBurstLength": 1048576,
    "MaxOutstandingR2T": 8,
}


class Target:
    """LUN 1 of one target, backed by a sparse file in memory; with a quorum LUN also 2, and 3 to replace it with. How it is started
    is its kind's."""

    kind = ""
    # Machines whose network is not made in advance.
    guests = ()
    process = None

    def __init__(self, record, network):
        self.record = record
        self.network = network
        self.directory = record.directory / "target"
        self.image = Path("/dev/shm", f"holdfast-lab-{record.identity}", "lun.img")
        self.password_file = self.directory / "password"

    @property
    def password(self):
        return self.password_file.read_text()

    @property
    def url_with_password(self):
        """The LUN as `clusterctl init --lun` takes it."""
        return f"iscsi://{USER}%{self.password}@{','.join(self.portals)}/{IQN}/{LUN}"

    @property
    def portals(self):
        """One for each way to it."""
        addresses = [ADDRESSES["target"]] + ([SECOND_ADDRESSES["target"]] if self.network.paths == 2 else [])
        return [f"{address}:{PORT}" for address in addresses]

    @property
    def luns(self):
        """Number and image of each."""
        spare = [(lun, self.quorum_image(lun)) for lun in (QUORUM_LUN, SPARE_QUORUM_LUN)]
        return [(LUN, self.image)] + [(lun, image) for lun, image in spare if image.exists()]

    @property
    def quorum_url(self):
        return f"{self.url_with_password.rpartition('/')[0]}/{QUORUM_LUN}"

    def quorum_image(self, lun):
        return self.image.with_name(f"quorum-{lun}.img")

    def up(self, byte_count, with_quorum_lun=False):
        self.directory.mkdir(parents=True, exist_ok=True)
        self.record.add("directory", path=str(self.image.parent))
        self.image.parent.mkdir(mode=0o700, exist_ok=True)
        with open(self.image, "wb") as image:
            image.truncate(byte_count)
        for lun in (QUORUM_LUN, SPARE_QUORUM_LUN) if with_quorum_lun else ():
            with open(self.quorum_image(lun), "wb") as image:
                image.truncate(QUORUM_SIZE)
        self.password_file.touch(mode=0o600)
        self.password_file.write_text(secrets.token_hex(8))  # 16 characters: the longest CHAP secret some targets take
        self.start()

    def start(self):
        raise NotImplementedError

    def kill(self):
        """Its power goes: every session ends without a word, the LUN's bytes stay."""
        end_process(self.process.pid, start_time(self.process.pid))
        self.process.wait()


class Tgt(Target):
    """It forgets every reservation when it is killed."""

    kind = "tgt"
    description = "tgtd"

    def start(self):
        portal = ",".join(f"portal={portal}" for portal in self.portals)
        self.process = self.record.spawn(
            "tgtd", *self.network.inside("target", "tgtd", "-f", "-C", CONTROL_PORT, "-t", 16, "--iscsi", portal),
            log=self.directory / "log", environment=self.environment)
        deadline = time.monotonic() + 10
        while self.control("--op", "show", "--mode", "target", check=False).returncode != 0:
            if time.monotonic() > deadline:
                raise LabError(f"tgtd does not answer; see {self.directory / 'log'}")
            time.sleep(0.05)
        self.control("--op", "new", "--mode", "target", "--tid", 1, "-T", IQN)
        for name, value in PARAMETERS.items():
            self.control("--op", "update", "--mode", "target", "--tid", 1, "-n", name, "-v", value)
        self.control(
            "--op", "new", "--mode", "logicalunit", "--tid", 1, "--lun", LUN, "-b", self.image, "--bstype", "rdwr")
        self.control("--op", "update", "--mode", "logicalunit", "--tid", 1, "--lun", LUN, "--params", "thin_provisioning=1")
        for lun, image in self.luns[1:]:
            self.control(
                "--op", "new", "--mode", "logicalunit", "--tid", 1, "--lun", lun, "-b", image, "--bstype", "rdwr")
        self.control("--op", "new", "--mode", "account", "--user", USER, "--password", self.password)
        self.control("--op", "bind", "--mode", "account", "--tid", 1, "--user", USER)
        for node in ("node-a", "node-b"):
            for addresses in (ADDRESSES, SECOND_ADDRESSES)[:self.network.paths]:
                self.control("--op", "bind", "--mode", "target", "--tid", 1, "-I", addresses[node])

    @property
    def environment(self):
        return {"TGT_IPC_SOCKET": str(self.directory / "socket")}

    def control(self, *words, check=True):
        return run("tgtadm", "-C", CONTROL_PORT, "--lld", "iscsi", *words, check=check, environment=self.environment)


class LIO(Target):
    """A guest of its own (cluster/laboratory/lio). It keeps reservations when it is killed."""

    kind = "lio"
    description = "LIO in a guest"
    guests = ("target",)
    program = Path(__file__).parents[1] / "lio"
    taps = (("target", "lan", "52:54:00:48:46:02"), ("target2", "lan2", "52:54:00:48:46:12"))  # port, bridge, address
    # Whose reservations must be there again after a restart; the names are clusterd's (TargetProbe.swift).
    initiators = "iqn.2026-01.io.holdfast:node-a iqn.2026-01.io.holdfast:node-b"

    def up(self, byte_count, with_quorum_lun=False):
        for name, bridge, _ in self.taps[:self.network.paths]:
            self.network.add_tap(name, bridge)
        super().up(byte_count, with_quorum_lun)

    def start(self):
        addresses = [portal.partition(":")[0] for portal in self.portals]
        if not (self.directory / "state.img").exists():
            # A group for each portal, as targets with several controllers have it: each way is a nexus of its own.
            run(self.program, "prepare", self.directory, IQN, USER, self.password,
                " ".join(f"{address}/{PREFIX_LENGTH}" for address in addresses),
                " ".join(f"{number}={portal}" for number, portal in enumerate(self.portals, 1)), self.initiators,
                *[lun for lun, _ in self.luns])
        (self.directory / "console.log").unlink(missing_ok=True)
        ways = [f"tap:{name}:{mac}" for name, _, mac in self.taps[:self.network.paths]]
        self.process = self.record.spawn(
            "lio", "nsenter", f"--net=/run/netns/{self.network.lan}", self.program, "run", self.directory, *ways, "--",
            *[f"{lun}={image}" for lun, image in self.luns],
            log=self.directory / "log", environment={"HOLDFAST_CACHE": os.environ["HOLDFAST_CACHE"]})
        run(self.program, "wait", self.directory, self.process.pid, timeout=120)


KINDS = {kind.kind: kind for kind in (Tgt, LIO)}
