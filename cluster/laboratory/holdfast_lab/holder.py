"""The fourth client and its rival: who holds a lock and a deny-write open, and who tries to take both.

`smbbench hold` opens a file with writing denied to others, locks a range of it and goes on writing; `smbbench rival`
tries for both as soon as anybody answers at the virtual address. Both run on the client machine's network.
"""

import os
import subprocess
import time

from .laboratory import SHARE
from .network import VIRTUAL_IP
from .record import LabError, end_process, start_time

OPEN_LIMIT = 30
END_LIMIT = 60


class Client:
    """One smbbench process; its lines of output are kept."""

    def __init__(self, laboratory, action, user, path, log):
        self.log = log
        unc = f"//{VIRTUAL_IP}/{SHARE}/{path}"
        command = laboratory.network.inside(
            "client", laboratory.binaries / "smbbench", action, unc,
            "--user", laboratory.account(user), "--password-env", "HOLDFAST_PASSWORD")
        self.output = open(log, "w+b")
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE, stdout=self.output, stderr=self.output,
            start_new_session=True, env={**os.environ, "HOLDFAST_PASSWORD": laboratory.password(user)})
        laboratory.record.add(
            "process", what=action, pid=self.process.pid, start=start_time(self.process.pid))

    @property
    def lines(self):
        return self.log.read_text(errors="replace").splitlines()

    def last_line(self):
        return self.lines[-1] if self.lines else "it said nothing"

    def wait(self, timeout):
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            end_process(self.process.pid, start_time(self.process.pid))
            self.process.wait()
            return None


class Holder(Client):
    def __init__(self, laboratory, path, log):
        super().__init__(laboratory, "hold", "holder", path, log)
        deadline = time.monotonic() + OPEN_LIMIT
        while not any(line.startswith("holding") for line in self.lines):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"the lock's holder did not get its lock: {self.last_line()}; see {log}")
            time.sleep(0.05)

    def end(self):
        """Closing its input asks it to verify that it still holds all, to write once more and to close. None: kept."""
        self.process.stdin.close()
        status = self.wait(END_LIMIT)
        return None if status == 0 else f"the holder ended with {status}: {self.last_line()}"


class Rival(Client):
    def __init__(self, laboratory, path, log):
        super().__init__(laboratory, "rival", "rival", path, log)

    def end(self):
        """It ends by itself once the first answer came. None: refused both, as it must be."""
        status = self.wait(END_LIMIT)
        return None if status == 0 else f"the rival ended with {status}: {self.last_line()}"
