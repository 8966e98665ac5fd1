"""The files that the users copy: real content of this machine, three different files, on a disk image for the guest."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from .record import LabError, run

USERS = ("user1", "user2", "user3")
# Bytes, odd on purpose: a copy that loses its last partial page must not pass.
SIZES = {"user1": 104_857_600 + 40_961, "user2": 109_051_904 + 513, "user3": 113_246_208 + 7}
DISK_SIZE = 1 << 30


def source_directory():
    """The Swift toolchain: hundreds of megabytes of real, little-compressible content that every builder has."""
    swift = shutil.which("swift")
    if swift is None:
        raise LabError("no Swift toolchain found: put `swift` on the PATH")
    return Path(os.path.realpath(swift)).parent.parent


def make(cache):
    """Returns the template image and {user: {"size", "sha256"}}, made once and kept in the cache."""
    image, facts = cache / "source.img", cache / "source.json"
    if not (image.exists() and facts.exists()):
        cache.mkdir(parents=True, exist_ok=True)
        tree = cache / "source.tree"
        shutil.rmtree(tree, ignore_errors=True)
        tree.mkdir()
        described = cut(tree)
        new = cache / "source.img.new"
        new.unlink(missing_ok=True)
        run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-d", tree, new, f"{DISK_SIZE // 1024}k",
            timeout=300)
        shutil.rmtree(tree)
        new.rename(image)
        facts.write_text(json.dumps(described))
    return image, json.loads(facts.read_text())


def cut(tree):
    """Cuts one tar stream of the toolchain into a file a user."""
    top = source_directory()
    stream = subprocess.Popen(["tar", "-C", str(top), "-cf", "-", "."], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    described = {}
    try:
        for user in USERS:
            digest, left = hashlib.sha256(), SIZES[user]
            with open(tree / user, "wb") as file:
                while left > 0:
                    chunk = stream.stdout.read(min(left, 1 << 20))
                    if not chunk:
                        raise LabError(f"{top} holds too little to make the users' files")
                    file.write(chunk)
                    digest.update(chunk)
                    left -= len(chunk)
            described[user] = {"size": SIZES[user], "sha256": digest.hexdigest()}
    finally:
        stream.kill()
        stream.wait()
    return described
