"""cluster/lab calls this for all that needs the laboratory: up, status, shell, kill, revive, move, down, demo, bench,
torture."""

import argparse
import json
import os
import signal
import sys
from pathlib import Path

from .laboratory import Laboratory
from .record import LabError
from .target import KINDS


def say(text):
    print(text, flush=True)


def named_node(laboratory, words):
    if len(words) != 1 or words[0] not in laboratory.nodes:
        raise LabError(f"name one node: {', '.join(laboratory.nodes)}")
    return laboratory.nodes[words[0]]


def need(laboratory):
    if not laboratory.exists:
        raise LabError("no laboratory is up; start one with: cluster/lab up")
    return laboratory


def up(laboratory, words):
    if words not in ([], ["--quorum-lun"]):
        raise LabError("up takes --quorum-lun, --target, --paths or nothing")
    laboratory.record.lock()
    if words:
        laboratory.use_quorum_lun()
    try:
        laboratory.up(say)
    except BaseException:
        say(f"lab: up failed; the logs were in {laboratory.record.directory}")
        show_logs(laboratory)
        laboratory.down()
        raise
    say("try: cluster/lab status | shell node-a | kill node-a | revive node-a | move | down")
    say(f"     {' '.join(laboratory.network.inside('client'))} smbclient -U user1%{laboratory.password('user1')} "
        "//10.77.0.10/test")


def show_logs(laboratory, lines=15):
    for node in laboratory.nodes.values():
        if node.log.exists():
            text = node.log.read_text(errors="replace").splitlines()[-lines:]
            say(f"--- {node.name}")
            say("\n".join(text))


def status(laboratory, _):
    need(laboratory)
    for node in laboratory.nodes.values():
        say(f"{node.name:8} {node.address:12} {'on' if node.init() else 'off'}")
    for node in laboratory.nodes.values():
        if node.init():
            done = node.control("status", check=False)
            if done.returncode == 0:
                say(done.stdout.rstrip())
                return
    raise LabError("no clusterd answers")


def shell(laboratory, words):
    node = named_node(need(laboratory), words)
    os.environ["PATH"] = f"{laboratory.binaries}:{os.environ['PATH']}"
    os.environ["PS1"] = f"{node.name}# "
    command = node.inside("bash", "--norc")
    os.execvp(command[0], command)


def kill(laboratory, words):
    node = named_node(need(laboratory), words)
    node.power_off()
    say(f"{node.name} lost its power")


def revive(laboratory, words):
    node = named_node(need(laboratory), words)
    if node.boot_process():
        raise LabError(f"{node.name} is on")
    node.power_on()
    node.wait_for_socket()
    say(f"{node.name} is on again")


def move(laboratory, words):
    del words
    say(need(laboratory).active().control("move", timeout=60).stdout.rstrip())


def down(laboratory, _):
    laboratory.record.lock()
    existed = laboratory.exists
    laboratory.down()
    say("the laboratory is gone" if existed else "no laboratory was up")


def demo(laboratory, words):
    from . import demonstration

    laboratory.record.lock()
    return demonstration.run(laboratory, words)


def faults(laboratory, _):
    from . import faults as mistakes

    laboratory.record.lock()
    try:
        status = mistakes.play(laboratory, say)
        if status != 0:
            show_logs(laboratory)
        return status
    finally:
        laboratory.down()


def restart(laboratory, words):
    from . import demonstration, standalone

    alone = standalone.Standalone(laboratory.record.identity, laboratory.binaries, laboratory.cache)
    alone.record.lock()
    return demonstration.run(alone, words, standalone.EVENTS)


def bench(laboratory, words):
    from . import bench as comparison

    return comparison.play(laboratory, words, say)


def torture(laboratory, words):
    from . import torture as suites

    return suites.play(laboratory, laboratory.binaries, words)


def interrupt(laboratory, words):
    from . import interruptions

    laboratory.record.lock()
    return interruptions.run(laboratory, words, say)


def chaos(laboratory, words):
    from . import chaos as disorder

    laboratory.record.lock()
    return disorder.run(laboratory, words, say)


def upgrade(laboratory, words):
    from . import upgrade as replacement

    laboratory.record.lock()
    return replacement.run(laboratory, words, say)


def linux(laboratory, words):
    from . import linux as matrix

    return matrix.play(laboratory.record.identity, laboratory.binaries, laboratory.cache, words)


def take_target(laboratory, words):
    """What any command that makes a laboratory takes: --target tgt|lio and --paths 1|2. Returns the other words."""
    parser = argparse.ArgumentParser(prog="cluster/lab", add_help=False, allow_abbrev=False)
    parser.add_argument("--target", choices=KINDS, default="tgt")
    parser.add_argument("--paths", type=int, choices=(1, 2), default=1)
    options, rest = parser.parse_known_args(words)
    laboratory.use_target(options.target, options.paths)
    return rest


MAKING = ("up", "demo", "interrupt", "chaos", "upgrade")
COMMANDS = {
    "up": up, "status": status, "shell": shell, "kill": kill, "revive": revive, "move": move, "down": down,
    "demo": demo, "restart": restart, "faults": faults, "bench": bench, "linux": linux, "torture": torture,
    "interrupt": interrupt, "chaos": chaos, "upgrade": upgrade,
}


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    command, *words = sys.argv[1:]
    laboratory = Laboratory(
        os.environ.get("HOLDFAST_LAB_ID", "lab"), Path(os.environ["HOLDFAST_BINARIES"]),
        Path(os.environ["HOLDFAST_CACHE"]))
    try:
        if command in MAKING:
            words = take_target(laboratory, words)
        return COMMANDS[command](laboratory, words) or 0
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except json.JSONDecodeError as error:
        print(f"lab: clusterctl's answer is not JSON: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
        return 130


sys.exit(main())
