"""The program that copies a home, as a pod runs it: on real folders, with all that a home may hold, killed, damaged."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from pdshub.cli import home_compare, home_pods
from pdshub.cli.home_moving import MODULES

ODD = [b"odd\n\x1b name", b"not utf-8 \xff\xfe", "grün ✓".encode(), b"-rf", b"back\\slash", b"'quote\""]


def run(source: Path, copy: Path | str = "", **more: Any) -> dict[str, Any]:
    """As the pod runs it: the modules' text, without anything of the project."""
    done = subprocess.run(command(source, copy, **more), capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def command(source: Path, copy: Path | str, **more: Any) -> list[str]:
    asked = {"from": str(source), "to": str(copy), "takeOver": False, "used": 0, "entries": 0, **more}
    line = home_pods.program(MODULES, asked)
    return [sys.executable, *line[1:]]


def has_attributes(folder: Path) -> bool:
    try:
        os.setxattr(folder, "user.probe", b"x")
        os.removexattr(folder, "user.probe")
    except OSError:
        return False
    return True


@pytest.fixture
def home(tmp_path: Path) -> Path:
    top = tmp_path / "home"
    (top / "a/empty").mkdir(parents=True)
    (top / "a/x").write_text("x")
    os.link(top / "a/x", top / "y hard")
    os.link(top / "a/x", top / "a/empty-not")
    (top / "lost+found").mkdir()
    (top / ".ssh").mkdir(mode=0o700)
    (top / ".ssh/id").write_text("secret")
    (top / ".ssh/id").chmod(0o400)
    for name in ODD:
        (top / os.fsdecode(name)).write_bytes(name)
    with (top / "sparse").open("wb") as file:
        file.seek(40 << 20)
        file.write(b"end")
        file.truncate(50 << 20)
    (top / "out").symlink_to("/etc/passwd")
    (top / "dangling").symlink_to("nowhere\n")
    os.mkfifo(top / "fifo", 0o640)
    listening = socket.socket(socket.AF_UNIX)
    before = Path.cwd()
    os.chdir(top)
    listening.bind("socket")
    os.chdir(before)
    listening.close()
    if has_attributes(top / "a"):
        os.setxattr(top / "a/x", "user.note", b"n\0\xff")
        os.setxattr(top / "a", "user.note", b"of a folder")
    (top / "read-only").mkdir()
    (top / "read-only/f").write_text("f")
    (top / "read-only/f").chmod(0o755)
    (top / "read-only").chmod(0o555)
    os.utime(top / "a/x", ns=(1_000_000_001, 1_500_000_000_123_456_789))
    os.utime(top / "dangling", ns=(1, 987_654_321_000), follow_symlinks=False)
    os.utime(top / "a", ns=(5, 1_400_000_000_000_000_000))
    return top


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    made = tmp_path / "copy"
    made.mkdir()
    return made


def facts(top: Path) -> dict[bytes, tuple[Any, ...]]:
    """Everything below a folder, read by other code than that which copied."""
    found: dict[bytes, tuple[Any, ...]] = {}
    inodes: dict[int, bytes] = {}
    for folder, folders, files in os.walk(os.fsencode(top)):
        for name in sorted([*folders, *files]):
            path = os.path.join(folder, name)
            status, below = os.lstat(path), os.path.relpath(path, os.fsencode(top))
            if stat.S_ISSOCK(status.st_mode) or below == b"lost+found":
                continue
            kind = stat.S_IFMT(status.st_mode)
            held: Any = None
            if kind == stat.S_IFREG:
                held = Path(os.fsdecode(path)).read_bytes()
            elif kind == stat.S_IFLNK:
                held = os.readlink(path)
            more = sorted((n, os.getxattr(path, n)) for n in os.listxattr(path) if n.startswith("user.")) if kind in (
                stat.S_IFREG, stat.S_IFDIR) else []  # fmt: skip
            links = status.st_nlink if kind == stat.S_IFREG else 0
            first = inodes.setdefault(status.st_ino, below) if links > 1 else b""
            found[below] = (status.st_mode, status.st_mtime_ns, status.st_uid, status.st_gid, links, held, more, first)
    # a folder is read before its names are sorted: the first of several names is the first by name
    first_names = {value: min(k for k, v in found.items() if v[7] == value) for value in inodes.values()}
    return {path: (*fact[:7], first_names.get(fact[7], b"")) for path, fact in found.items()}


def test_everything_is_there_and_the_same(home: Path, copy: Path) -> None:
    said = run(home, copy)
    assert said["equal"] and not said["problems"], said["problemNames"]
    assert said["digest"] == said["copyDigest"] and len(said["digest"]) == 64
    assert said["sockets"] == 1 and not (copy / "socket").exists()
    if os.geteuid() == 0:
        assert not (copy / "lost+found").exists(), "the file system's own"
    assert facts(copy) == facts(home)
    assert (copy / "a/x").stat().st_ino == (copy / "y hard").stat().st_ino
    assert (copy / "sparse").stat().st_size == 50 << 20
    assert (copy / "sparse").stat().st_blocks * 512 < 1 << 20, "holes are holes"


def test_a_look_counts_and_tries(home: Path) -> None:
    said = run(home)
    assert said["problems"] == 0 and said["sockets"] == 1
    assert said["files"] == 3 + 1 + len(ODD) + 1 + 1
    assert said["bytes"] == 1 + len("secret") + sum(map(len, ODD)) + (50 << 20) + 1, "each content once"
    assert said["used"] < 1 << 20, "holes take no room"


def test_a_second_run_copies_nothing_anew(home: Path, copy: Path) -> None:
    first = run(home, copy)
    inode = (copy / ".ssh/id").stat().st_ino
    again = run(home, copy)
    assert again["equal"] and again["digest"] == first["digest"]
    assert (copy / ".ssh/id").stat().st_ino == inode


def test_what_an_earlier_run_left_is_mended(home: Path, copy: Path) -> None:
    run(home, copy)
    (copy / "a/x").unlink()
    (copy / "a/x").mkdir()
    (copy / "a/x/deep").mkdir(mode=0o500)
    (copy / "a/new").write_text("not of the home")
    (copy / "sparse").write_text("cut")
    (copy / "out").unlink()
    (copy / "out").write_text("a file where a link was")
    (copy / ".ssh/id").chmod(0o777)
    outside = home.parent / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (copy / "link").symlink_to(outside)
    said = run(home, copy)
    assert said["equal"], said
    assert facts(copy) == facts(home)
    assert (outside / "kept").read_text() == "kept", "no link is followed"


def test_a_file_that_changed_on_the_way_is_found_and_the_next_run_mends_it(home: Path, copy: Path) -> None:
    """One byte, with the same size and times: nothing but reading finds it."""
    run(home, copy)
    path = copy / ".ssh/id"
    before = path.stat()
    path.chmod(0o600)
    path.write_text("secreT")
    path.chmod(0o400)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    said = run(home, copy)
    assert not said["equal"] and said["digest"] != said["copyDigest"]
    assert [".ssh/id", "the copy is another"] in said["problemNames"]
    assert run(home, copy)["equal"] and path.read_text() == "secret"


@pytest.mark.parametrize("entries", [3, 40, 150])
def test_killed_in_the_middle(home: Path, copy: Path, entries: int) -> None:
    many = home / "many"
    many.mkdir()
    for number in range(200):
        (many / f"{number:03}").write_bytes(os.urandom(20_000))
    process = subprocess.Popen(command(home, copy), stdout=subprocess.DEVNULL)
    try:
        while process.poll() is None and sum(len(f) for _, _, f in os.walk(copy)) < entries:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    finally:
        process.wait()
    assert run(home, copy)["equal"]
    assert facts(copy) == facts(home)


def test_a_path_that_is_longer_than_a_call_takes(tmp_path: Path) -> None:
    home, copy = tmp_path / "home", tmp_path / "copy"
    home.mkdir()
    copy.mkdir()
    where = os.open(home, os.O_RDONLY)
    for _ in range(50):
        os.mkdir("d" * 100, dir_fd=where)
        below = os.open("d" * 100, os.O_RDONLY, dir_fd=where)
        os.close(where)
        where = below
    os.close(os.open("one", os.O_CREAT | os.O_WRONLY, dir_fd=where))
    os.link("one", "two", src_dir_fd=where, dst_dir_fd=where)
    os.close(where)
    said = run(home, copy)
    assert said["equal"] and said["entries"] == 52, said
    # pytest's own clean-up does not reach so far
    for top in (home, copy):
        subprocess.run(["rm", "-rf", str(top)], check=True)


def test_no_room_is_said_before_anything_is_copied(home: Path, copy: Path) -> None:
    said = run(home, copy, used=1 << 60)
    assert said["error"].startswith("there is room for ") and not list(copy.iterdir())
    assert "No such file" in run(home / "nothing")["error"]


def as_owner(asked: dict[str, Any]) -> dict[str, Any]:
    """What the program says as the user that homes belong to, without any right beyond that."""
    reads, writes = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.setgroups([])
            os.setgid(home_pods.UID)
            os.setuid(home_pods.UID)
            os.write(writes, json.dumps(home_compare.run(asked)).encode())
        finally:
            os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to others")
def test_what_is_not_the_owners() -> None:
    # pytest's own folders are closed to others
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        _not_the_owners(Path(made) / "home", Path(made) / "copy")


def _not_the_owners(home: Path, copy: Path) -> None:
    for folder in (home, copy):
        folder.mkdir()
        os.chown(folder, home_pods.UID, home_pods.UID)
    for name, owner, mode in (("mine", 1000, 0o640), ("hers", 1234, 0o644), ("closed", 1234, 0o600)):
        (home / name).write_text(name)
        os.chown(home / name, owner, owner)
        (home / name).chmod(mode)
    asked = {"from": str(home), "to": "", "takeOver": False, "used": 0, "entries": 0}
    looked = as_owner(asked)
    assert looked["owners"] == 2 and ["hers", "1234:1234"] in looked["ownerNames"]
    assert looked["problemNames"] == [["closed", "Permission denied"]]
    (home / "closed").unlink()
    strict = as_owner({**asked, "to": str(copy)})
    assert not strict["equal"] and strict["problemNames"] == [["hers", "the copy is another"]]
    lenient = as_owner({**asked, "to": str(copy), "takeOver": True})
    assert lenient["equal"] and (copy / "hers").stat().st_uid == home_pods.UID
    assert (copy / "hers").read_text() == "hers" and (copy / "mine").stat().st_mode & 0o777 == 0o640
