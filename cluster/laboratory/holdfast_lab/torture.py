"""cluster/lab torture: every smb2 suite of smbtorture against smbserverd alone and against the cluster, judged and put beside
what other servers get.

What is known to fail stands in Tests/Integration/smbtorture-expected-failures; a failure that is not there and a test that is
there and passes are both errors. What others get, test by test, is Tests/Integration/smbtorture-others.tsv.
"""

import argparse
import re
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from .record import LabError, Record
from .smbtorture import TIME_LIMIT, Smbtorture, canonical, suite_of
from .torture_servers import Alone, Cluster
from .view import table

TESTS = Path(__file__).resolve().parents[3] / "Tests/Integration"
EXPECTED = TESTS / "smbtorture-expected-failures"
OTHERS = TESTS / "smbtorture-others.tsv"
GROUPS_AT_ONCE = 16
SURPRISED = 3  # the exit status when a test did what it was not expected to do


@dataclass(frozen=True)
class Also:
    """A group's files once more, by a share name that its tests take for granted."""

    name: str
    continuously_available: bool
    settings: tuple = ()


@dataclass(frozen=True)
class Group:
    """Suites that run one after the other on one share. `again` marks a group whose suites another group has on a share of the
    other kind: it is judged by the same list and has no column."""

    name: str
    suites: str
    continuously_available: bool = True
    signing: str = "required"
    quick: bool = True
    again: bool = False
    blocks: bool = False  # some of its tests drop packets: it is given a network of its own
    security: tuple = ()  # settings of the server, NAME=VALUE
    options: tuple = ()
    settings: tuple = ()  # of its share, as `clusterctl share set` takes them
    also: tuple = ()
    alone: bool = False  # it takes what the others need, too: the last, and nothing beside it

    def tests(self, listed):
        wanted = self.suites.split()
        return [name for suite in wanted for name in listed if suite_of(name) == suite]


# The slowest first. Where thousands of files are made and deleted the share is an ordinary one: bringing each deletion to stable
# storage only measures the disk.
GROUPS = (
    Group("lease", "lease dirlease"),
    Group("oplock", "oplock kernel-oplocks", continuously_available=False),
    Group("replay", "replay", continuously_available=False, blocks=True),
    # Windows' names for shares of its kinds of clusters: "fo" fails over, as ours do; scale-out ("so") none here is.
    Group("durable", "durable-v2-open persistent-open persistent-open-failover durable-v2-delay durable-v2-regressions",
          also=(Also("ca_fo", True), Also("ca_fo_max_rwh", True), Also("fo", False))),
    # A second and more for each of its 297 ways to open a file whose client is away.
    Group("contended", "persistent-open-reconnect-contended", quick=False),
    Group("durable-plain", "durable-open durable-open-disconnect compound_async", continuously_available=False),
    # Some of its tests authenticate anew as nobody.
    Group("session", "session session-id session-require-signing", security=("anonymous=on",)),
    Group("channels", "multichannel", blocks=True),
    Group("no-notify", "change_notify_disabled", settings=("--no-notify",)),
    Group("no-streams", "create_no_streams", settings=("--no-streams",)),
    Group("notify", "notify notify-inotify twrp", continuously_available=False, quick=False),
    Group("files", "connect read rw create getinfo setinfo lock mkdir rename sharemode deny openattr samba3misc",
          settings=("--short-names",)),
    Group("controls", "ioctl set-sparse-ioctl zero-data-ioctl ioctl-on-stream",
          options=("filename=holes", "offset=4096", "beyond_final_zero=8192")),
    # A name under which the server keeps what is its own.
    Group("streams", "streams fileid ea", options=("acl_xattr_name=DOSATTRIB",)),
    Group("times", "timestamps timestamp_resolution dosmode async_dosmode winattr winattr2",
          settings=("--hide-files=.*/hidefile",)),
    Group("acl-flags", "acls_non_canonical", settings=("--keep-inherited",)),
    Group("security", "acls acls-with-sysacl acls-ignore-sysacl delete-on-close-perms maximum_allowed sdread secleak stream-inherit-perms",
          also=(Also("hideunread", True, ("--access-based",)),)),
    Group("folders", "dir compound_find charset mangle name-mangling credits bench", continuously_available=False,
          settings=("--short-names",)),
    Group("unsigned", "compound tcon", signing="optional"),
    Group("odd", "aio_delay scan check-sharemode hold-oplock hold-sharemode", continuously_available=False, quick=False),
    Group("lease-plain", "lease dirlease durable-v2-open", continuously_available=False, quick=False, again=True),
    # As many files as the server lets a client open; the cluster's server is one for all groups.
    Group("limits", "maxfid", continuously_available=False, alone=True),
)


# Seconds: one waits a fifth of one some hundred times, one opens as many files as the server lets it, two wait for clients.
LONG = {"smb2.notify.mask": 240, "smb2.maxfid": 240, "smb2.persistent-open-reconnect-contended.reconnect-contended": 900,
        "smb2.persistent-open-reconnect-contended.reconnect-contended-two": 300}

# What only an administrator may do: it makes somebody else the owner of a file.
AS_ADMINISTRATOR = (
    "smb2.acls.SDFLAGSVSCHOWN", "smb2.acls-with-sysacl.SDFLAGSVSCHOWN", "smb2.acls-ignore-sysacl.SDFLAGSVSCHOWN",
    "smb2.create.aclfile", "smb2.create.acldir")


# What drops a channel's packets with iptables: a switch that fails, where others only close connections.
BLOCKING = re.compile(r"smb2\.(multichannel\.(leases\.test[24]|oplocks\.test[23].*)|replay\.dhv2-pending3.*)$")


class Expected:
    """The list of what is known to fail.

    A line: a test's name, then the reason. Before the name `?` lets the test do either, `-` keeps it from being run at all; behind
    it `<4.20` or `>=4.20` says which versions of smbtorture have the test so, `@standalone` or `@cluster` where alone that holds.
    """

    WORD = re.compile(r"([?-]?)([^@<>]+)(?:(<|>=)(\d+)\.(\d+))?(?:@(standalone|cluster))?")

    def __init__(self, path, version):
        self.version = version  # (major, minor)
        self.entries = {}  # (name, target or None): (mark, reason)
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            word, _, reason = line.partition(" ")
            parsed = self.WORD.fullmatch(word)
            if not parsed:
                raise LabError(f"{path}:{number}: {word} is no test as this list names them")
            if not reason.strip():
                raise LabError(f"{path}:{number}: {word} has no reason")
            if self.concerns(parsed):
                mark, name, target = parsed[1], parsed[2], parsed[6]
                self.entries[name, target] = (mark, reason.strip())

    def concerns(self, parsed):
        if not parsed[3]:
            return True
        limit = (int(parsed[4]), int(parsed[5]))
        return self.version < limit if parsed[3] == "<" else self.version >= limit

    def of(self, name, target):
        return self.entries.get((name, target)) or self.entries.get((name, None)) or (None, None)

    def strike(self, path, passed):
        """Takes off the list the tests of `passed`, a set of (test, target or None)."""
        kept = []
        for line in path.read_text().splitlines(keepends=True):
            parsed = self.WORD.fullmatch(line.partition(" ")[0])
            if not parsed or not self.concerns(parsed) or (parsed[2], parsed[6]) not in passed:
                kept.append(line)
        path.write_text("".join(kept))

    def unknown(self, listed):
        return sorted({name for name, _ in self.entries if name not in listed})


def others():
    """What other servers get: their names, and {test: outcomes in their order}."""
    head, *lines = OTHERS.read_text().splitlines()
    names = [name.partition(" (")[0] for name in head.split("\t")[1:]]
    outcomes = {}
    for line in lines:
        name, *found = line.split("\t")
        outcomes[canonical(name)] = found + [""] * (len(names) - len(found))
    return names, outcomes


class Torture:
    def __init__(self, options, smbtorture):
        self.options = options
        self.smbtorture = smbtorture
        self.expected = Expected(EXPECTED, smbtorture.release)
        self.only = re.compile(options.only)
        self.results = {}  # target: {test: result}
        self.surprises = []
        self.lock = threading.Lock()

    def say(self, verdict, text, detail=""):
        """One line a test, as Tests/Integration counts them."""
        with self.lock:
            print(f"{verdict} {text}" + (f"\n{detail}" if detail else ""), flush=True)
            if verdict == "failed":
                self.surprises.append(text)
            if self.options.results:
                with open(self.options.results, "a") as file:
                    file.write(f"{verdict} {text}\n")

    def judge(self, target, result, listed_as=None):
        mark, reason = self.expected.of(result.name, target.name)
        where = listed_as or f"{result.name} [{target.name}]"
        took = f"({result.seconds:.0f} s)"
        if result.outcome == "skip":
            self.say("skipped", where)
        elif result.outcome == "success" and mark == "":
            self.say("failed", f"{where} passes though it is listed as an expected failure: take it off the list")
        elif result.outcome == "success":
            self.say("passed", f"{where} {took}")
        elif mark is not None:
            self.say("passed", f"{where} fails as expected: {reason}")
        else:
            self.say("failed", f"{where} {took} {result.outcome}", Smbtorture.excerpt(result.said))

    def chosen(self, group):
        return [name for name in group.tests(self.smbtorture.tests) if self.only.search(name)]

    def run_group(self, target, group):
        names = self.chosen(group)
        if not names:
            return
        share = target.share(group)
        with tempfile.TemporaryDirectory(prefix="holdfast-torture.") as folder:
            for name in names:
                if self.smbtorture.stopped:
                    return
                mark, reason = self.expected.of(name, target.name)
                if mark == "-":
                    self.say("skipped", f"{name} [{target.name}] is not run: {reason}")
                    continue
                if BLOCKING.match(name) and not share.blocks:
                    self.say("skipped", f"{name} [{target.name}] is not run: it drops packets, which takes root and iptables")
                    continue
                user = share.administrator if share.administrator and name in AS_ADMINISTRATOR else share.user
                result = self.smbtorture.run(name, replace(share, user=user), folder, max(self.options.limit, LONG.get(name, 0)))
                died = result.outcome != "success" and target.died(group)
                if died:
                    result.outcome = "crash"
                    self.say("failed", f"the server [{target.name}] lives through {name}", target.last_words(group))
                if not group.again:
                    self.results[target.name][name] = result
                self.judge(target, result, f"{name} [{target.name}, {group.name}]" if group.again else None)
        target.release(group)

    def run(self, target):
        groups = [group for group in GROUPS if not (self.options.quick and not group.quick)]
        self.results[target.name] = {}
        with ThreadPoolExecutor(self.options.jobs) as pool:
            try:
                for done in [pool.submit(self.run_group, target, group) for group in groups if not group.alone]:
                    done.result()
                for group in groups:
                    if group.alone:
                        self.run_group(target, group)
            except BaseException:
                # The first group that could not go on, or Ctrl-C: the others must not wait for their tests.
                self.smbtorture.stop()
                raise

    def passing(self):
        """What is listed and passed wherever it was run: `strike`'s argument."""
        found = set()
        for (name, target), (mark, _) in self.expected.entries.items():
            ran = [results[name].outcome for of, results in self.results.items() if name in results and target in (None, of)]
            if mark == "" and ran and all(outcome == "success" for outcome in ran):
                found.add((name, target))
        return found

    # What is printed at the end

    def rows(self):
        """A row a suite: tests, then how many pass: ours on each target, then the others'."""
        names, outcomes = others()
        suites = sorted({suite_of(name) for name in self.smbtorture.tests if self.only.search(name)})
        rows = []
        for suite in suites:
            tests = [name for name in self.smbtorture.tests if suite_of(name) == suite and self.only.search(name)]
            row = [f"smb2.{suite}", len(tests)]
            for results in self.results.values():
                ran = [results[name].outcome for name in tests if name in results]
                row.append(ran.count("success") if ran else "-")
            for column in range(len(names)):
                row.append(sum(outcomes.get(name, [""] * len(names))[column] == "success" for name in tests))
            rows.append(row)
        totals = ["all", *(sum(row[column] for row in rows if row[column] != "-") for column in range(1, len(rows[0])))]
        return ["suite", "tests", *self.results, *names], [*rows, totals]

    def bar(self):
        """(test, who passes it, how it went with ours) of every test that another server passes and ours does not."""
        names, outcomes = others()
        found = []
        for test in self.smbtorture.tests:
            who = [name for name, outcome in zip(names, outcomes.get(test, [])) if outcome == "success"]
            if not who or not self.only.search(test):
                continue
            ours = {target: results[test].outcome if test in results else "not run" for target, results in self.results.items()}
            if any(outcome != "success" for outcome in ours.values()):
                said = set(ours.values())
                how = said.pop() if len(said) == 1 else ", ".join(f"{target}: {outcome}" for target, outcome in ours.items())
                found.append((test, ", ".join(who), how))
        return found

    def report(self):
        print()
        print(table(*self.rows()))
        bar = self.bar()
        print(f"\nthe bar: {len(bar)} tests that another server passes and ours does not")
        if bar:
            print(table(["test", "passed by", "ours"], bar))
        for name in self.expected.unknown(self.smbtorture.tests):
            print(f"note: {name} is listed but not in smbtorture {self.smbtorture.version}")
        for text in self.surprises:
            print(f"unexpected: {text}")


def play(laboratory, binaries, words):
    parser = argparse.ArgumentParser(prog="cluster/lab torture")
    parser.add_argument("--standalone-only", action="store_true", help="without the cluster, which needs root")
    parser.add_argument("--cluster-only", action="store_true")
    parser.add_argument("--only", default="", metavar="REGEX", help="tests whose names have it")
    parser.add_argument("-j", "--jobs", type=int, default=GROUPS_AT_ONCE, help="groups side by side")
    parser.add_argument("--quick", action="store_true", help="without the groups that only wait")
    parser.add_argument("--limit", type=int, default=TIME_LIMIT, metavar="SECONDS", help="of one test")
    parser.add_argument("--smbtorture", default="smbtorture", metavar="PATH", help="another version of it")
    parser.add_argument("--update", action="store_true", help="take what passes off the list of expected failures")
    parser.add_argument("--results", metavar="FILE", help="a line a test is added to it, as Tests/Integration/run counts them")
    options = parser.parse_args(words)
    torture = Torture(options, Smbtorture(options.smbtorture))
    targets = []
    if not options.cluster_only:
        targets.append(Alone(Record(f"{laboratory.record.identity}-torture"), binaries))
    if not options.standalone_only:
        targets.append(Cluster(laboratory))
    for target in targets:
        # A laboratory that is up already belongs to nobody's command.
        (target.record if isinstance(target, Alone) else laboratory.record).lock()
        try:
            target.up()
            torture.run(target)
        finally:
            target.down()
    torture.report()
    if options.update:
        torture.expected.strike(EXPECTED, torture.passing())
    sys.stdout.flush()
    return SURPRISED if torture.surprises else 0
