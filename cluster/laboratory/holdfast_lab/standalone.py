"""A server without a cluster: its local journal must carry persistent handles and locks over its own death."""

import secrets
import time

from .laboratory import SHARE, Laboratory
from .network import PREFIX_LENGTH, VIRTUAL_IP
from .record import LabError, end_process, run, start_time
from .scenario import Event

PORT = 445
ACCOUNT = "alice"
DOWNTIME = 0.5


class Server:
    """smbserverd alone on node-a's network; stands where a node stands in the scenario."""

    def __init__(self, record, network, binaries):
        self.record = record
        self.network = network
        self.name = "node-a"
        self.binary = binaries / "smbserverd"
        self.directory = record.directory / "standalone"
        self.share = self.directory / "share"
        self.log = self.directory / "smbserverd.log"
        self.process = None

    def prepare(self, password):
        self.share.mkdir(parents=True)
        image = self.directory / "share.img"
        run("truncate", "-s", "3G", image)
        run("mkfs.xfs", "-q", "-K", "-m", "reflink=1,bigtime=1", "-i", "size=1024", image)
        run("mount", "-o", "loop,noatime", image, self.share)
        (self.directory / "password").touch(mode=0o600)
        (self.directory / "password").write_text(password + "\n")
        namespace = self.network.namespace(self.name)
        run("ip", "-n", namespace, "addr", "add", f"{VIRTUAL_IP}/{PREFIX_LENGTH}", "dev", "eth0")

    def start(self):
        self.process = self.record.spawn(
            "smbserverd", *self.network.inside(
                self.name, self.binary, "--share", f"{SHARE}={self.share},ca", "--user", ACCOUNT,
                "--password-file", self.directory / "password", "--port", PORT,
                "--state-dir", self.directory / "state"),
            log=self.log)
        deadline = time.monotonic() + 10
        while not run(*self.network.inside(self.name, "ss", "-Hltn", f"sport = :{PORT}")).stdout:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"smbserverd does not start: {self.log.read_text(errors='replace').strip()[-400:]}")
            time.sleep(0.02)

    def kill(self):
        moment = time.monotonic()
        end_process(self.process.pid, start_time(self.process.pid))
        self.process.wait()
        return moment


class Standalone(Laboratory):
    def __init__(self, identity, binaries, cache):
        super().__init__(identity, binaries, cache)
        self.nodes = {}
        self.server = Server(self.record, self.network, binaries)
        self.secret = secrets.token_hex(8)

    def account(self, user):
        del user
        return ACCOUNT

    def password(self, user):
        del user
        return self.secret

    def up(self, say):
        self.record.clean()
        self.record.create()
        self.network.up()
        self.server.prepare(self.secret)
        self.server.start()
        say(f"smbserverd alone serves \\\\tshare\\{SHARE} at {VIRTUAL_IP}")

    def status(self, timeout=10):
        del timeout
        return {"active": self.server.name}

    def active(self):
        return self.server

    def recorded(self, kind):
        """A server by itself keeps no history."""
        del kind

    def sum_on_lun(self, node, path):
        script = 'dd if="$1" iflag=direct bs=1M status=none | sha256sum'
        return run("sh", "-c", script, "sh", node.share / path, timeout=60).stdout.split()[0]


class Restarted(Event):
    """Nobody holds the listening socket meanwhile: an attempt that is refused costs the client 3 s, twice at worst."""

    name = "restarted"
    title = "standalone server killed and started again"
    limit = 10.0
    moves = False
    kind = None

    def strike(self, laboratory, active):
        moment = active.kill()
        time.sleep(DOWNTIME)
        active.start()
        return moment


EVENTS = (Restarted,)
