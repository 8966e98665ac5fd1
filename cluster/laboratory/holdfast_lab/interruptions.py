"""cluster/lab interrupt: the active node fails in the middle of one thing after another; what was held or acknowledged must hold.

`smbbench interrupt` gets two clients into the middle of each workload and asks for the failure; this side strikes, puts the
laboratory right again, and prints the table of workloads x failures.
"""

import argparse
import json
import os
import subprocess
import threading
import time

from .laboratory import SHARE
from .network import VIRTUAL_IP
from .record import LabError, start_time
from .scenario import BridgeKilled, PlannedMove, PowerLoss, ServerKilled
from .view import table

EVENTS = (ServerKilled, BridgeKilled, PlannedMove, PowerLoss)
WORKLOAD_LIMIT = 120
USER = "holder"


class Interruptions:
    def __init__(self, laboratory, say):
        self.laboratory = laboratory
        self.say = say
        self.results = {}  # (workload, event): (holds, text) of the last one that failed, or of the last
        self.count = {True: 0, False: 0}  # of what was played

    def smbbench(self, *words):
        laboratory = self.laboratory
        command = laboratory.network.inside(
            "client", laboratory.binaries / "smbbench", "interrupt", f"//{VIRTUAL_IP}/{SHARE}/interrupted", "--user",
            laboratory.account(USER), "--password-env", "HOLDFAST_PASSWORD", *words)
        return subprocess.Popen(
            [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
            env={**os.environ, "HOLDFAST_PASSWORD": laboratory.password(USER)})

    def workloads(self):
        process = self.smbbench("--break", "true", "--list")
        return process.communicate(timeout=30)[0].splitlines()

    def play(self, workload, event, delay):
        """One failure in the middle of one workload, and the laboratory whole again afterwards.

        `delay`: the milliseconds from the last request to the failure."""
        laboratory = self.laboratory
        active = laboratory.wait_until_serving(30)
        asked, answered = (laboratory.record.directory / name for name in ("break-asked", "break-answered"))
        for mark in (asked, answered):
            mark.unlink(missing_ok=True)
        process = self.smbbench(
            "--only", workload, "--delay", delay, "--break",
            f"touch '{asked}'; while [ ! -s '{answered}' ]; do sleep 0.005; done; grep -qx done '{answered}'")
        laboratory.record.add("process", what="interrupt", pid=process.pid, start=start_time(process.pid))
        striking = threading.Thread(target=self.strike, args=(event, active, process, asked, answered))
        striking.start()
        try:
            said = process.communicate(timeout=WORKLOAD_LIMIT)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            said = process.communicate()[0]
        striking.join()
        wrong = event.after(laboratory, active, self.say)
        holds, text = self.judge(said, wrong)
        self.count[holds] += 1
        if self.results.get((workload, event.name), (True,))[0]:
            self.results[workload, event.name] = holds, text
        self.say(f"{'ok     ' if holds else 'FAILED '} {workload}, {event.title} after {delay} ms: {text}")

    def strike(self, event, active, process, asked, answered):
        """When smbbench asks for it; a workload that fails before that never does."""
        while not asked.exists():
            if process.poll() is not None:
                return
            time.sleep(0.002)
        try:
            event.strike(self.laboratory, active)
            # A client that comes back while the share still moves would only meet the old node.
            if isinstance(event, PlannedMove):
                event.asked.join()
            answer = "done"
        except LabError as error:
            answer = f"failed: {error}"
        answered.with_suffix(".new").write_text(answer + "\n")
        answered.with_suffix(".new").rename(answered)

    @staticmethod
    def judge(said, wrong):
        lines = [line for line in said.splitlines() if line.startswith("{")]
        if not lines:
            return False, f"no result: {said.strip()[-300:]}"
        result = json.loads(lines[-1])
        if not result["holds"]:
            return False, result["why"]
        if wrong:
            return False, "; ".join(wrong)
        return True, f"{result['stallMilliseconds'] / 1000:.2f} s"

    def report(self, workloads, events):
        rows = []
        for workload in workloads:
            cells = [self.results.get((workload, event.name), (True, "-")) for event in events]
            rows.append([workload, *(text if holds else "FAILED" for holds, text in cells)])
        print("\n" + table(["broken in the middle of", *(event.title for event in events)], rows))
        print("\nseconds from the failure until the clients had everything back")
        failed = [(key, text) for key, (holds, text) in self.results.items() if not holds]
        for (workload, event), text in failed:
            print(f"FAILED {workload}, {event}: {text}")
        print(f"\n{self.count[True]} passed, {self.count[False]} failed", flush=True)
        return 1 if failed else 0


def run(laboratory, words, say):
    parser = argparse.ArgumentParser(prog="cluster/lab interrupt")
    names = [event.name for event in EVENTS]
    parser.add_argument("--event", action="append", choices=names, help="this failure (repeatable)")
    parser.add_argument("--only", action="append", help="workloads whose names contain this (repeatable)")
    parser.add_argument("--delay", action="append", type=int, metavar="MILLISECONDS",
                        help="from the last request to the failure (0; repeatable)")
    options = parser.parse_args(words)
    events = [event for event in EVENTS if not options.event or event.name in options.event]
    interruptions = Interruptions(laboratory, say)
    failed = 1
    try:
        laboratory.up(say)
        workloads = [
            name for name in interruptions.workloads() if not options.only or any(part in name for part in options.only)]
        for event in events:
            for workload in workloads:
                for delay in options.delay or [0]:
                    interruptions.play(workload, event(), delay)
        failed = interruptions.report(workloads, events) or not interruptions.results
    finally:
        if failed:
            say(f"the logs are in {laboratory.keep_logs()}")
        laboratory.down()
    return failed
