"""The iSCSI target: Debian's tgtd, tuned as docs/LAB.md explains, with CHAP and an access list of the nodes' addresses."""

import secrets
import time
from pathlib import Path

from .network import ADDRESSES
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
    """LUN 1 of one target, backed by a sparse file in memory; with a quorum LUN also 2, and 3 to replace it with."""

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
        return f"iscsi://{USER}%{self.password}@{ADDRESSES['target']}:{PORT}/{IQN}/{LUN}"

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
        portal = f"portal={ADDRESSES['target']}:{PORT}"
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
        for lun in (QUORUM_LUN, SPARE_QUORUM_LUN):
            if self.quorum_image(lun).exists():
                self.control(
                    "--op", "new", "--mode", "logicalunit", "--tid", 1, "--lun", lun, "-b", self.quorum_image(lun),
                    "--bstype", "rdwr")
        self.control("--op", "new", "--mode", "account", "--user", USER, "--password", self.password)
        self.control("--op", "bind", "--mode", "account", "--tid", 1, "--user", USER)
        for node in ("node-a", "node-b"):
            self.control("--op", "bind", "--mode", "target", "--tid", 1, "-I", ADDRESSES[node])

    def kill(self):
        """Every reservation and every session is gone; the LUN's bytes stay."""
        end_process(self.process.pid, start_time(self.process.pid))
        self.process.wait()

    @property
    def environment(self):
        return {"TGT_IPC_SOCKET": str(self.directory / "socket")}

    def control(self, *words, check=True):
        return run("tgtadm", "-C", CONTROL_PORT, "--lld", "iscsi", *words, check=check, environment=self.environment)
