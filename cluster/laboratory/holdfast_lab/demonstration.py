"""cluster/lab demo: every event of the scenario under three copying users, a holder and its rival; then the table."""

import argparse
import json
import random
import secrets
import shutil
import time

from . import users as working
from .data import SIZES, USERS
from .holder import Holder, Rival
from .record import LabError
from .scenario import EVENTS
from .view import View, table


class Outcome:
    """What one event did to the clients."""

    def __init__(self, event):
        self.event = event
        self.fraction = 0.0
        self.users = []
        self.struck = 0.0
        self.wrong = []
        self.missed = []  # figures that were not reached
        self.recorded = None  # the cluster's own account of it, with its steps

    def longest(self):
        return max((user.longest for user in self.users), default=0)


class Demonstration:
    def __init__(self, laboratory, seed, judges_figures=True):
        self.laboratory = laboratory
        self.judges_figures = judges_figures
        self.view = View()
        self.chance = random.Random(seed)
        self.run_name = f"run-{secrets.token_hex(3)}"
        self.outcomes = []

    def up(self):
        self.laboratory.up(self.view.say)
        self.laboratory.guest_up(self.view.say)
        working.mount(self.laboratory.guest, self.laboratory)
        self.view.say(f"guest: {', '.join(USERS)} mounted \\\\tshare\\test with SMB 3.1.1 and persistent handles")
        self.seed_file = working.prepare(self.laboratory.guest, self.run_name)

    # One event

    def play(self, event):
        outcome = Outcome(event)
        self.outcomes.append(outcome)
        laboratory = self.laboratory
        active = laboratory.wait_until_serving(30)
        before = laboratory.recorded(event.kind)
        folder = f"{self.run_name}/{event.name}"
        outcome.users = working.at_work(laboratory.guest, folder, self.seed_file)
        held = f"{folder}/held"
        logs = laboratory.record.directory
        holder = Holder(laboratory, held, logs / f"holder-{event.name}.log")
        moment = self.chance.uniform(0.2, 0.8)
        self.view.say(f"{event.title}: {active.name} is active; it comes at {moment:.0%} of the copies")
        for user in outcome.users:
            user.start()
        rival = None
        while not all(user.finished.is_set() for user in outcome.users):
            done = sum(user.fraction for user in outcome.users) / len(outcome.users)
            if rival is None and done >= moment:
                outcome.fraction = done
                outcome.struck = event.strike(laboratory, active)
                rival = Rival(laboratory, held, logs / f"rival-{event.name}.log")
                self.view.say(f"{event.title}: now, at {done:.0%}")
            self.view.show(f"{event.title}" + (" (happened)" if rival else ""), outcome.users, [])
            time.sleep(0.05)
        if rival is None:
            outcome.wrong.append("the copies ended before the event")
        self.judge(outcome, event, active, holder, rival, before)

    def judge(self, outcome, event, active, holder, rival, before):
        laboratory, wrong = self.laboratory, outcome.wrong
        serving = laboratory.wait_until_serving(30)
        outcome.recorded = laboratory.recorded(event.kind)
        if event.kind and outcome.recorded == before:
            wrong.append(f"the cluster's history has no {event.kind} for it")
        if event.moves == (serving.name == active.name):
            wrong.append(f"{serving.name} serves the share afterwards")
        for user in outcome.users:
            if user.error:
                wrong.append(f"{user.name}: {user.error}")
            elif user.longest > event.limit * 1000:
                outcome.missed.append(
                    f"{user.name} stood still for {user.longest / 1000:.2f} s, {event.limit:.0f} s are allowed "
                    f"(longest before the event: {user.longest_before(outcome.struck) / 1000:.2f} s)")
        if rival is not None:
            wrong += [problem for problem in (rival.end(),) if problem]
        wrong += [problem for problem in (holder.end(),) if problem]
        wrong += event.after(laboratory, active, self.view.say)
        wrong += self.compare(outcome)
        self.view.say(
            f"{event.title}: longest stall {outcome.longest() / 1000:.2f} s" + (f"; WRONG: {wrong}" if wrong else "")
            + (f"; MISSED: {outcome.missed}" if outcome.missed else "") + ("" if wrong or outcome.missed else ", all well"))

    def has_failed(self, outcome):
        return bool(outcome.wrong) or (self.judges_figures and bool(outcome.missed))

    def result(self, outcome):
        if self.has_failed(outcome):
            return "FAILED"
        return "figure missed" if outcome.missed else "passed"

    def compare(self, outcome):
        """The SHA-256 of every copy, on the client and on the LUN, after whatever happened to the old node."""
        laboratory, wrong = self.laboratory, []
        serving = laboratory.wait_until_serving(30)
        for user in outcome.users:
            if user.error:
                continue
            expected = laboratory.source[user.name]["sha256"]
            on_lun = laboratory.sum_on_lun(serving, user.uploaded)
            if on_lun != expected:
                wrong.append(f"{user.name}'s upload has {on_lun} on the LUN, {expected} on the client")
            on_client = laboratory.guest.run(f"sha256sum {user.downloaded}", timeout=120).lines[-1].split()[0]
            if on_client != expected:
                wrong.append(f"{user.name}'s download has {on_client} on the client, {expected} on the LUN")
        return wrong

    # The end

    def report(self):
        rows = []
        for outcome in self.outcomes:
            stalls = [f"{user.longest / 1000:.2f}" for user in outcome.users] or ["-"] * len(USERS)
            rows.append([
                outcome.event.title, f"{outcome.fraction:.0%}", *stalls, f"{outcome.event.limit:.0f}",
                self.result(outcome)])
        print()
        print(table(["event", "at", *(f"{user} stall s" for user in USERS), "allowed", "result"], rows))
        print(f"\neach user copied {min(SIZES.values()) / 1e6:.0f}-{max(SIZES.values()) / 1e6:.0f} MB up and down per event; "
              "every upload compared by SHA-256 on the LUN, every download on the client")
        for outcome in self.outcomes:
            if outcome.recorded:
                steps = ", ".join(f"{step['name']} {step['milliseconds']:.0f}" for step in outcome.recorded["steps"])
                print(f"{outcome.event.title}: {outcome.recorded['milliseconds']:.0f} ms in all: {steps}")
        for outcome in self.outcomes:
            for problem in outcome.wrong:
                print(f"FAILED {outcome.event.title}: {problem}")
            for problem in outcome.missed:
                print(f"MISSED {outcome.event.title}: {problem}")
        failed = sum(1 for outcome in self.outcomes if self.has_failed(outcome))
        print(f"\n{len(self.outcomes) - failed} passed, {failed} failed", flush=True)
        return failed

    def keep_evidence(self):
        """The nodes' logs, and what the client's kernel says. Returns their folder."""
        laboratory = self.laboratory
        folder = laboratory.keep_logs()
        try:
            (folder / "status.json").write_text(json.dumps(laboratory.status(), indent=2))
        except LabError:
            pass
        guest = laboratory.guest
        if guest is not None:
            if guest.console.exists():
                shutil.copy(guest.console, folder / "guest-console.log")
            try:
                said = guest.run("dmesg; cat /proc/fs/cifs/DebugData /proc/fs/cifs/Stats", timeout=20).lines
                (folder / "guest-kernel.log").write_text("\n".join(said) + "\n")
            except LabError:
                pass
        return folder


def run(laboratory, words, events=EVENTS):
    parser = argparse.ArgumentParser(prog="cluster/lab demo")
    parser.add_argument("--only", action="append", choices=[event.name for event in events], help="this event (repeatable)")
    parser.add_argument("--seed", type=int, default=None, help="repeat the random moments of another run")
    parser.add_argument(
        "--report-figures", action="store_true",
        help="a stall beyond its limit is reported as missed, and does not fail the run (for machines that others load too)")
    parser.add_argument("--keep", action="store_true", help="leave the laboratory up")
    options = parser.parse_args(words)
    seed = options.seed if options.seed is not None else secrets.randbelow(1 << 31)
    print(f"the moments are drawn from seed {seed}", flush=True)
    chosen = [event for event in events if not options.only or event.name in options.only]
    demonstration = Demonstration(laboratory, seed, judges_figures=not options.report_figures)
    failed = 1
    try:
        demonstration.up()
        for event in chosen:
            demonstration.play(event())
        failed = demonstration.report()
    except BaseException as problem:
        demonstration.view.say(f"ended early: {problem!r}")
        if demonstration.outcomes:
            demonstration.outcomes[-1].wrong.append(f"ended early: {problem}")
            demonstration.report()
        raise
    finally:
        if failed:
            print(f"the logs are in {demonstration.keep_evidence()}", flush=True)
        if not options.keep:
            laboratory.down()
    return 1 if failed else 0
