"""A pack comes back as it was written, and anything else is refused."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from pdshub.archive.content.pack import Pack, PackError, Writer, header, object_path, objects, unpacked

CONTENTS = (b"", b"a label", b"x" * 512, b"y" * 513, bytes(range(256)) * 400)


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def written(path: Path, contents: tuple[bytes, ...] = CONTENTS) -> Pack:
    with Writer(path) as writer:
        for data in contents:
            writer.add(digest(data), data)
        return writer.close()


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    pack = written(tmp_path / "p")
    assert pack.objects == len(CONTENTS)
    with (tmp_path / "p").open("rb") as file:
        assert dict(objects(unpacked(file), pack)) == {digest(data): data for data in CONTENTS}


def test_it_is_a_tar_as_any(tmp_path: Path) -> None:
    pack = written(tmp_path / "p")
    raw = zstandard.ZstdDecompressor().stream_reader((tmp_path / "p").open("rb"), read_across_frames=True).read()
    assert (len(raw), f"sha256:{hashlib.sha256(raw).hexdigest()}") == (pack.size, pack.digest)
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        assert [one.name for one in tar] == [object_path(digest(data)) for data in CONTENTS]


def test_the_same_object_twice_is_one(tmp_path: Path) -> None:
    assert written(tmp_path / "p", (b"a", b"b", b"a")).objects == 2


def test_the_same_objects_are_the_same_pack(tmp_path: Path) -> None:
    assert written(tmp_path / "p") == written(tmp_path / "q")
    assert (tmp_path / "p").read_bytes() == (tmp_path / "q").read_bytes()


def test_what_ends_in_mid_air_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> None:
        with Writer(tmp_path / "p") as writer:
            writer.add(digest(b"a"), b"a")
            raise OSError

    with pytest.raises(OSError, match=r"^$"):
        broken()
    assert not list(tmp_path.iterdir())


def tar(*entries: tuple[str, bytes], end: bytes = bytes(1024)) -> bytes:
    return b"".join(header(path, len(data)) + data + bytes(-len(data) % 512) for path, data in entries) + end


GOOD = (object_path(digest(b"a")), b"a")
OTHER = (object_path(digest(b"b")), b"b")
EVIL: dict[str, tuple[bytes, str]] = {
    "another object's bytes": (tar((GOOD[0], b"b")), "its bytes are others"),
    "another file": (tar(("etc/passwd", b"a")), "no object"),
    "a file above": (tar((f"../{GOOD[0]}", b"a")), "no object"),
    "an absolute path": (tar((f"/{GOOD[0]}", b"a")), "no object"),
    "capital digits": (tar((GOOD[0].upper(), b"a")), "no object"),
    "a link": (tar(GOOD)[:156] + b"2" + tar(GOOD)[157:], "no object"),
    "executable": (header(*GOOD[:1], 1).replace(b"0000444", b"0000755") + bytes(2048), "no object"),
    "no size": (header(GOOD[0], 1).replace(b"00000000001", b"  x00000001", 1) + bytes(2048), "without a size"),
    "a size of no end": (header(GOOD[0], 1).replace(b"00000000001", b"77777777777", 1) + bytes(2048), "no object"),
    "cut in a header": (tar(GOOD)[:300], "too early"),
    "cut in a file": (tar((GOOD[0], b"a"))[:513], "too early"),
    "cut before its end": (tar(GOOD, end=bytes(512)), "too early"),
    "something between": (header(GOOD[0], 1) + b"a" + b"x" * 511 + bytes(1024), "between"),
    "something behind": (tar(GOOD) + b"x", "behind its end"),
    "something in its end": (tar(GOOD, end=bytes(512) + b"x" * 512), "behind its end"),
    "more than it says": (tar(GOOD, OTHER), "more in it"),
    "less than it says": (tar(), "it is not"),
    "another pack": (tar(OTHER), "it is not"),
    "nothing": (b"", "too early"),
}


@pytest.mark.parametrize(("raw", "why"), EVIL.values(), ids=EVIL)
def test_anything_else_is_refused(raw: bytes, why: str) -> None:
    good = tar(GOOD)
    expected = Pack(f"sha256:{hashlib.sha256(good).hexdigest()}", len(good), 1)
    with pytest.raises(PackError, match=why):
        list(objects(io.BytesIO(raw), expected))


SAYS: dict[str, Callable[[Pack], Pack]] = {
    "more objects than a pack has": lambda p: Pack(p.digest, p.size, 10**9),
    "less than none": lambda p: Pack(p.digest, p.size, -1),
    "more bytes": lambda p: Pack(p.digest, 1 << 40, p.objects),
    "fewer bytes": lambda p: Pack(p.digest, 512, p.objects),
    "another size": lambda p: Pack(p.digest, p.size + 512, p.objects),
}


@pytest.mark.parametrize("lie", SAYS.values(), ids=SAYS)
def test_what_is_said_of_it_is_held(lie: Callable[[Pack], Pack], tmp_path: Path) -> None:
    pack = written(tmp_path / "p")
    with (tmp_path / "p").open("rb") as file, pytest.raises(PackError):
        list(objects(unpacked(file), lie(pack)))
