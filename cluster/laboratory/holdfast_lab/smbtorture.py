"""Samba's smbtorture: what it lists, one test of it run, and how that went."""

import re
import secrets
import subprocess
import time
from dataclasses import dataclass

from .record import LabError

IPTABLES = "/usr/sbin/iptables"
TIME_LIMIT = 90
LIST_LIMIT = 60
SAID_LINES = 30
# Half the default: tests of the time of the last write wait for this (they are told, and so is the server's granularity).
WRITE_TIME_DELAY = 500_000


def canonical(name):
    """A test's name without blanks, so that it is one word of a list."""
    return re.sub(r"\s+", "_", name.strip())


def suite_of(name):
    return name.split(".")[1]


@dataclass
class Result:
    """`outcome` is success, failure, skip, timeout or crash (of the server)."""

    name: str
    outcome: str
    seconds: float
    said: str


class Smbtorture:
    def __init__(self, program="smbtorture"):
        self.program = program
        self.stopped = False
        self.running = set()
        self.version = self.ask("--version").splitlines()[-1].removeprefix("Version ")
        found = re.match(r"(\d+)\.(\d+)", self.version)
        if not found:
            raise LabError(f"{program} --version says {self.version}")
        self.release = (int(found[1]), int(found[2]))
        self.tests = {}  # canonical name: what smbtorture calls it
        for line in self.ask("--list").splitlines():
            # A suite that is a test is listed with its last word twice: smb2.read.eof.eof.
            words = line.strip().split(".")
            if words[0] == "smb2" and len(words) > 1:
                if len(words) > 2 and words[-1] == words[-2]:
                    words.pop()
                self.tests[canonical(".".join(words))] = ".".join(words)
        if not self.tests:
            raise LabError(f"{program} --list names no smb2 test")

    def ask(self, option):
        try:
            return subprocess.run(
                [self.program, option], capture_output=True, text=True, errors="replace", timeout=LIST_LIMIT, check=True).stdout
        except (OSError, subprocess.SubprocessError) as error:
            raise LabError(f"{self.program} {option}: {error}") from None

    def run(self, name, share, folder, limit=TIME_LIMIT):
        """One test against a share, in a folder of its own: smbtorture makes temporary files where it stands."""
        command = [
            # Its own seed is the second: two tests in one would make files of the same names.
            *share.inside, self.program, f"--seed={secrets.randbelow(1 << 31)}", f"//{share.host}/{share.name}", "-U", f"{share.user}%{share.password}",
            "-p", str(share.port), "-s", "/dev/null", f"--option=torture:writetimeupdatedelay={WRITE_TIME_DELAY}",
            # The last message of a compound need not be answered with an interim response first.
            "--option=torture:smbd=no",
            f"--option=torture:user2name={share.second_user}", f"--option=torture:user2password={share.second_password}",
            *(f"--option=torture:{option}" for option in share.options),
            *(("--option=torture:use_iptables=yes", f"--option=torture:iptables_command={IPTABLES}") if share.blocks else ()),
            self.tests[name]]
        began = time.monotonic()
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace")
        self.running.add(process)
        try:
            said = process.communicate(timeout=limit)[0]
            outcome = self.outcome(said, process.returncode)
        except subprocess.TimeoutExpired:
            process.kill()
            said = process.communicate()[0] + f"\nno end within {limit} s"
            outcome = "timeout"
        finally:
            self.running.discard(process)
        return Result(name, outcome, time.monotonic() - began, said)

    def stop(self):
        """Ends what runs; from any thread."""
        self.stopped = True
        for process in list(self.running):
            process.kill()

    @staticmethod
    def outcome(said, status):
        lines = said.splitlines()

        def has(*words):
            return any(line.startswith(tuple(f"{word}: " for word in words)) for line in lines)

        if has("failure", "error"):
            return "failure"
        if has("success"):
            return "success" if status == 0 else "failure"
        return "skip" if has("skip") else "failure"

    @staticmethod
    def excerpt(said):
        """What a failed test said, without what every run says."""
        return "\n".join(f"    {line}" for line in said.strip().splitlines()[-SAID_LINES:])
