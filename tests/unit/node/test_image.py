"""Images that root mounts were looked at before, by a process without rights: what passes and what does not."""

from __future__ import annotations

import errno
import json
import os
import stat
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from pdshub.archive import catalog, tarstream
from pdshub.node.image import inspection
from pdshub.node.image.erofs import Found, Image, Unsound
from pdshub.node.image.inspection import ImageRefused, Inspector
from tests.unit.node import forge, generations
from tests.unit.node.forge import Node, directory, file, image, link

ATTRIBUTES = (0o644, 0, 0)


def looked(data: bytes) -> Found:
    return Image(data).check(forge.TOP)


def test_what_is_made_by_hand_is_what_a_surveyor_makes() -> None:
    tree = forge.catalog({"a": file(), "big": file(1 << 30), "empty": file(0), "d": directory({"l": link(b"../a")})})
    assert looked(image(tree)) == Found(files=3, directories=3, links=1)


@pytest.mark.skipif(not generations.able(), reason="needs mkfs.erofs >= 1.8 (PATH or $PDSHUB_MKFS_EROFS)")
@pytest.mark.parametrize("names", [1, 700], ids=["one", "directories of many blocks"])
def test_what_a_surveyor_makes(tmp_path: Path, names: int) -> None:
    top, target = forge.TOP.encode(), tmp_path / "catalog.erofs"
    parts = [tarstream.directory(b"", (0o755, 0, 0), 0), tarstream.directory(top, (0o755, 0, 0), 5, opaque=True)]
    for d in range(3):
        parts.append(tarstream.directory(top + b"/d%d" % d, (0o755, 7, 1 << 30), 5))
        for n in range(names):
            path, size = b"/d%d/" % d + b"n%d" % n * (n % 40 + 1), (0, 1, 511, 4097, 1 << 33, (1 << 44) + 7)[n % 6]
            parts.append(tarstream.file(top + path, ATTRIBUTES, size, 7 * 10**9 + n, b"/r" + path))
        parts.append(tarstream.link(top + b"/d%d/zz" % d, b"../x" * (d * 300 + 1), 3))
    command = [*catalog.mkfs(), "--quiet", "-d1", *catalog.OPTIONS, str(target)]
    subprocess.run(command, input=b"".join(parts) + tarstream.END, check=True)
    assert looked(target.read_bytes()) == Found(files=3 * names, directories=5, links=3)


def patched(offset: int, raw: bytes) -> Callable[[], bytes]:
    """A sound image with other bytes in the superblock (`offset` in it)."""

    def make() -> bytes:
        data = bytearray(image(forge.catalog({"a": file()})))
        data[1024 + offset : 1024 + offset + len(raw)] = raw
        return bytes(data)

    return make


def with_(entries: dict[str | bytes, Node]) -> Callable[[], bytes]:
    return lambda: image(forge.catalog(entries))


def loop() -> bytes:
    inner = directory()
    inner.entries[b"again"] = inner
    return image(forge.catalog({"d": inner}))


def twice() -> bytes:
    inner = directory({"f": file()})
    return image(forge.catalog({"one": inner, "two": directory({"inner": inner})}))


def deep() -> bytes:
    tree = directory()
    for _ in range(2100):
        tree = directory({"d": tree})
    return image(forge.catalog({"d": tree}))


def names_that_lie(change: Callable[[bytearray, int], None]) -> Callable[[], bytes]:
    """`change` gets the image and where the top folder's directory block is."""

    def make() -> bytes:
        tree = forge.catalog({"a": file(), "b": file()})
        data = bytearray(image(tree))
        top = tree.entries[forge.TOP.encode()]
        (block,) = struct.unpack_from("<I", data, top.place + 16)
        change(data, block << forge.BITS)
        return bytes(data)

    return make


def first_offset(data: bytearray, at: int) -> None:
    struct.pack_into("<H", data, at + 8, 6000)


def backwards(data: bytearray, at: int) -> None:
    struct.pack_into("<H", data, at + 12 + 8, 1)


def far_inode(data: bytearray, at: int) -> None:
    struct.pack_into("<Q", data, at + 3 * 12, 1 << 60)


def other_type(data: bytearray, at: int) -> None:
    data[at + 3 * 12 + 10] = 2


ATTACKS: list[tuple[str, Callable[[], bytes], str]] = [
    ("nothing", lambda: b"", "too short"),
    ("zeros", lambda: bytes(8192), "no EROFS"),
    ("another file system", lambda: bytes(1080) + b"\x53\xef" + bytes(8192), "no EROFS"),
    ("cut off", lambda: image(forge.catalog({"a": file()}))[:-512], "larger than it is"),
    ("more blocks than there are", patched(36, struct.pack("<I", 1 << 30)), "larger than it is"),
    ("inodes behind its end", patched(40, struct.pack("<I", 1 << 30)), "larger than it is"),
    ("attributes behind its end", patched(44, struct.pack("<I", 1 << 30)), "larger than it is"),
    ("a root behind its end", patched(14, struct.pack("<H", 0xFFFF)), "outside"),
    ("blocks of 64 KiB", patched(12, b"\x10"), "blocks"),
    ("compression", patched(84, b"\x01"), "features"),
    ("further devices", patched(86, b"\x01"), "features"),
    ("an unknown feature", patched(80, struct.pack("<I", 1 << 20)), "features"),
    ("fragments", patched(96, struct.pack("<Q", 36)), "features"),
    ("long prefixes of attributes", patched(91, b"\x01"), "features"),
    ("larger blocks of directories", patched(90, b"\x01"), "features"),
    ("a device", with_({"sda": Node(stat.S_IFCHR | 0o666)}), "no directory, link or regular file"),
    ("a pipe", with_({"p": Node(stat.S_IFIFO | 0o666)}), "no directory, link or regular file"),
    ("setuid", with_({"su": Node(stat.S_IFREG | 0o4755)}), "setuid"),
    ("its top is a link out", lambda: image(directory({forge.TOP: link(b"/etc")})), "lacks the folder"),
    ("its top is a file", lambda: image(directory({forge.TOP: file()})), "lacks the folder"),
    ("no top", lambda: image(directory({"x": directory()})), "lacks the folder"),
    ("a loop", loop, "two places"),
    ("one directory, two places", twice, "two places"),
    ("no end of depth", deep, "nested too deeply"),
    ("'..' of somebody else", with_({"d": directory(up=0)}), "'.' or '..'"),
    ("a name with a slash", with_({"a/b": file()}), "a name that no file has"),
    ("a name with a zero", with_({b"a\0b": file()}), "a name that no file has"),
    ("names behind their block", names_that_lie(first_offset), "outside of their block"),
    ("names that go backwards", names_that_lie(backwards), "outside of their block"),
    ("an inode behind its end", names_that_lie(far_inode), "outside of the image"),
    ("an entry of another type", names_that_lie(other_type), "another type"),
    ("an attribute of security", with_({"f": Node(attributes={b"capability": b"x"}, index=6)}), "attribute"),
    ("an unknown attribute", with_({"f": Node(attributes={b"overlay.whiteout": b"y"})}), "attribute"),
    ("a redirect up", with_({"f": file(redirect=b"/../../etc/shadow")}), "redirect"),
    ("a relative redirect", with_({"f": file(redirect=b"x")}), "redirect"),
    ("a redirect with a zero", with_({"f": file(redirect=b"/x\0y")}), "redirect"),
    ("bytes of its own", with_({"f": file(changes={"map": 2})}), "bytes of its own"),
    ("bytes of its own in a row", with_({"f": file(changes={"format": 0})}), "bytes of its own"),
    ("millions of chunks", with_({"f": file(1 << 31, changes={"block": 0})}), "more chunks"),
    ("a compressed file", with_({"f": file(changes={"format": 3 << 1})}), "layout"),
    ("a directory outside", with_({"d": directory(changes={"block": 1 << 20})}), "outside"),
    ("a directory in chunks", with_({"d": directory(changes={"format": 4 << 1})}), "chunks"),
    ("an empty link", with_({"l": Node(stat.S_IFLNK | 0o777, size=0)}), "a length that no link has"),
    ("a long link", with_({"l": Node(stat.S_IFLNK | 0o777, target=b"x", changes={"size": 1 << 20})}), "length"),
    ("a link with a zero", with_({"l": link(b"a\0b")}), "a link to a name"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "says"), [a[1:] for a in ATTACKS], ids=[a[0] for a in ATTACKS])
def test_what_nobody_mounts(make: Callable[[], bytes], says: str) -> None:
    with pytest.raises(Unsound, match=says):
        looked(make())


def test_no_bytes_do_anything_but_be_refused() -> None:
    """Every byte of a sound image changed in turn, in three ways: it is read or refused, never anything else."""
    sound = image(forge.catalog({"a": file(1 << 30), "d": directory({"l": link(b"x"), "f": file(3)})}))
    for at in (at for at in range(1024, len(sound)) if sound[at] or at < 1152):
        for value in (0, 0xFF, sound[at] ^ 0x80):
            data = bytearray(sound)
            data[at] = value
            with suppress(Unsound):
                looked(bytes(data))


def test_a_bomb_of_names_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdshub.node.image.erofs.MAX_ENTRIES", 20)
    with pytest.raises(Unsound, match="more names"):
        looked(image(forge.catalog({f"n{n:02}": directory() for n in range(9)})))


# --- the process that looks

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="gives up root")
WITHIN = """
import json, os, resource, socket, sys
sys.path.insert(0, {where!r})
from pdshub.node import unprivileged
from pdshub.node.image import reader_main
reader_main.confine(1 << 20, 7)
found = unprivileged.identity()
def outcome(attempt):
    try:
        attempt()
    except OSError as error:
        return error.errno
    return 0
for name, attempt in (
    ("fork", os.fork), ("shadow", lambda: os.open("/etc/shadow", os.O_RDONLY)), ("root", lambda: os.setuid(0)),
    ("memory", lambda: __import__("mmap").mmap(-1, 1 << 30)),
):
    found[name] = outcome(attempt)
found["seconds"] = resource.getrlimit(resource.RLIMIT_CPU)[0]
found["networks"] = [line.split(":")[0].strip() for line in open("/proc/net/dev").readlines()[2:]]
found["open"] = outcome(lambda: [os.open("/etc/passwd", os.O_RDONLY) for _ in range(9)])
print(json.dumps(found))
"""


@ROOT
def test_who_looks_has_nothing() -> None:
    code = WITHIN.format(where=inspection._WHERE)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["uid"], found["gid"], found["groups"], found["capabilities"]) == (65534, 65534, [], [])
    assert found["noNewPrivileges"] and found["seconds"] == 7
    refused = {"fork": errno.EAGAIN, "open": errno.EMFILE, "root": errno.EPERM, "memory": errno.ENOMEM}
    assert {name: found[name] for name in refused} == refused and found["shadow"] == errno.EACCES
    assert found["networks"] == ["lo"], "a network of its own, which leads nowhere"


@ROOT
def test_each_image_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound, bad = tmp_path / "sound.erofs", tmp_path / "bad.erofs"
    sound.write_bytes(image(forge.catalog({"a": file()})))
    bad.write_bytes(image(directory({forge.TOP: link(b"/etc")})))
    looks: list[Path] = []
    look = inspection._look

    def counted(path: Path, size: int, top: str) -> str:
        looks.append(path)
        return look(path, size, top)

    monkeypatch.setattr(inspection, "_look", counted)
    inspect = Inspector()
    for _ in range(3):
        inspect(sound, "sha256:1", sound.stat().st_size, forge.TOP)
        with pytest.raises(ImageRefused, match=r"bad\.erofs: it lacks the folder"):
            inspect(bad, "sha256:2", bad.stat().st_size, forge.TOP)
    assert looks == [sound, bad] and "lacks the folder" in inspect.refusal("sha256:2", forge.TOP)
    with pytest.raises(ImageRefused):
        inspect(sound, "sha256:1", sound.stat().st_size, "other")
    with pytest.raises(ImageRefused, match="shorter"):
        inspect(sound, "sha256:3", 1 << 20, forge.TOP)
    trusting = Inspector()
    trusting.trust([("sha256:2", forge.TOP)])
    trusting(bad, "sha256:2", bad.stat().st_size, forge.TOP)
    assert len(looks) == 4


@ROOT
@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import resource; resource.setrlimit(resource.RLIMIT_CPU, (1, 9))\nwhile True: pass", "SIGXCPU"),
        ("import os; os.abort()", "SIGABRT"),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("print('{}')", "no answer"),
        ("print('[' * 4000)", "no answer"),
        ("print('null')", "no answer"),
        ("print('{\"ok\": 1}')", "no answer"),
        ('print(\'{"unsound": "\\\\u001b[31mbad"}\')', r"x\.erofs: \[31mbad"),
    ],
)
def test_a_reader_that_its_image_has_in_its_hands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, says: str
) -> None:
    path = tmp_path / "x.erofs"
    path.write_bytes(bytes(4096))
    monkeypatch.setattr(inspection, "_CODE", code)
    with pytest.raises(ImageRefused, match=says):
        Inspector()(path, "sha256:1", 4096, "")


@pytest.mark.parametrize(
    ("code", "error", "says"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", OSError, "exit code -9"),
        ("import sys; sys.stderr.write('no room\\nOSError: no memory'); sys.exit(1)", OSError, "OSError: no memory"),
        ("import time; time.sleep(60)", TimeoutError, "not looked at within"),
    ],
)
def test_what_says_nothing_of_the_image_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, error: type[Exception], says: str
) -> None:
    path = tmp_path / "x.erofs"
    path.write_bytes(image(forge.catalog({"a": file()})))
    inspect, right = Inspector(), inspection._CODE
    monkeypatch.setattr(inspection, "_CODE", code)
    monkeypatch.setattr(inspection, "SECONDS", 0.1)
    with pytest.raises(error, match=says):
        inspect(path, "sha256:1", path.stat().st_size, forge.TOP)
    monkeypatch.setattr(inspection, "_CODE", right)
    monkeypatch.setattr(inspection, "SECONDS", 30)
    if os.geteuid() == 0:
        inspect(path, "sha256:1", path.stat().st_size, forge.TOP)


@pytest.mark.parametrize(("mib", "seconds"), [(0, 30), (1, 31), (210, 240), (4096, 600)])
def test_seconds_of_the_processor(mib: int, seconds: int) -> None:
    assert inspection.processor_seconds(mib << 20) == seconds
