"""Generations from a surveyor over HTTPS: what is accepted, what is refused, what is left of a failure."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import http.server
import json
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pdshub.api.report import FetchReason
from pdshub.archive import manifest as archive
from pdshub.archive.image import Image
from pdshub.node.image.inspection import ImageRefused
from pdshub.node.store import fetch as fetch_module
from pdshub.node.store import generations
from pdshub.node.store.cache import MAX_BYTES, GenerationCache
from pdshub.node.store.fetch import DirectoryOrigin, Fetch, Inspect, Origin, SurveyorOrigin, Where
from pdshub.node.store.generations import GenerationError, Store, parse
from pdshub.node.store.room import NoRoom, Room

IMAGE = bytes(range(256)) * 40  # 10240 bytes, no whole number of blocks
PROOF = b'{"files": []}'


def sha256(raw: bytes) -> str:
    return "sha256:" + hashlib.sha256(raw).hexdigest()


def document(**changes: Any) -> dict[str, Any]:
    """A manifest; `changes` after its name was computed, so most of them break it."""
    layering = {"form": "single", "top": ".pdshub-catalog", "data": [{"source": "main", "path": ""}]}
    images = [{"name": "catalog.erofs", "digest": sha256(IMAGE), "size": len(IMAGE)}]
    name = archive.digest_of([Image("catalog.erofs", sha256(IMAGE), len(IMAGE), None, None)], layering)
    return {
        "schema": archive.SCHEMA, "generation": name, "view": "sbn", "surveyedAt": "2026-01-01T00:00:00Z",
        "images": images, "layering": layering, "counts": {"files": 3, "bySource": {"main": 3}},
        "proof": {"digest": sha256(PROOF), "size": len(PROOF)}, **changes,
    }  # fmt: skip


def raw(**changes: Any) -> bytes:
    return json.dumps(document(**changes)).encode()


NAME = document()["generation"]


def test_parse() -> None:
    found = parse(raw())
    assert (found.name, found.view, found.nested, found.top) == (NAME, "sbn", False, ".pdshub-catalog")
    assert found.data[0].source == "main" and found.data[0].path == "." and found.counts["files"] == 3
    assert found.proof == (sha256(PROOF), len(PROOF))


def image(**changes: Any) -> dict[str, Any]:
    return {"images": [{**document()["images"][0], **changes}]}


def layering(**changes: Any) -> dict[str, Any]:
    return {"layering": {**document()["layering"], **changes}}


def sealed(**changes: Any) -> dict[str, Any]:
    """Another layering under its right name: whoever writes manifests is not trusted for that."""
    found = layering(**changes)["layering"]
    name = archive.digest_of([Image("catalog.erofs", sha256(IMAGE), len(IMAGE), None, None)], found)
    return {"layering": found, "generation": name}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"generation": "sha256:" + "0" * 64}, "its content is"),
        (image(digest=sha256(b"other")), "its content is"),
        (layering(data=[]), "its content is"),
        (image(name="../../etc/passwd.erofs"), "not a name"),
        (image(name="a/b.erofs"), "not a name"),
        (image(digest="md5:0"), "sha256"),
        (image(size=-1), "number"), (image(size=1 << 60), "number"), (image(size="7"), "number"),
        ({"images": []}, "no image"), ({"images": [{}]}, "name"), ({"images": 7}, "manifest"),
        (layering(form="heap"), "heap"), (sealed(top="../x"), r"'\.\.'"), (sealed(top="a/b"), "fit"),
        (sealed(data=[{"source": "main", "path": "/etc"}]), "relative"),
        (sealed(data=[{"source": "main", "path": "a/../../b"}]), r"'\.\.'"),
        (sealed(data=[{"source": "main", "path": ""}, {"source": "main", "path": "x"}]), "fit"),
        ({"schema": "x"}, "schema"), ({"layering": None}, "manifest"), ({"counts": {"files": -1}}, "number"),
    ],
)  # fmt: skip
def test_a_manifest_that_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(GenerationError, match=says):
        parse(raw(**changes))


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"7", b"null", b"[" * 100_000, b'{"schema": 1}', b"\xff"])
def test_no_manifest(text: bytes) -> None:
    with pytest.raises(GenerationError):
        parse(text)


def certificates(folder: Path) -> None:
    """A CA, the surveyors of two views, a node, and somebody else."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key",
            "-out", "ca.crt", "-subj", "/CN=ca", "-days", "2")  # fmt: skip
    for name, dns in (
        ("pdshub-surveyor", "sbn.surveyor.pdshub"), ("other-view", "other.surveyor.pdshub"),
        ("pdshub-node", "pdshub-node"), ("somebody", "pdshub-surveyor"),
    ):  # fmt: skip
        (folder / name).mkdir()
        (folder / "ext").write_text(f"subjectAltName=DNS:{dns}\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}/tls.key",
                "-out", "csr", "-subj", f"/CN={name}")  # fmt: skip
        openssl("x509", "-req", "-in", "csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", "ext", "-out", f"{name}/tls.crt")  # fmt: skip
        (folder / name / "ca.crt").write_bytes((folder / "ca.crt").read_bytes())


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    certificates(folder)
    return folder


class Served:
    """An HTTPS server of `files` (path -> content, and maybe its Content-Encoding)."""

    def __init__(self, pki: Path, name: str = "pdshub-surveyor") -> None:
        digits = NAME.removeprefix("sha256:")
        self.manifest, self.image = f"/generations/{digits}/manifest.json", f"/images/{sha256(IMAGE)[7:]}"
        self.proof = f"/generations/{digits}/proof.json"
        self.files: dict[str, tuple[bytes, str]] = {
            self.manifest: (raw(), ""), self.image: (IMAGE, ""), self.proof: (PROOF, ""),
        }  # fmt: skip
        self.asked: list[str] = []
        self.clients: set[str] = set()
        served = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                served.asked.append(self.path)
                peer: Any = self.connection
                served.clients |= {v for part in peer.getpeercert()["subject"] for k, v in part if k == "commonName"}
                if self.path not in served.files:
                    self.send_error(404)
                    return
                body, encoding = served.files[self.path]
                self.send_response(200)
                if encoding:
                    self.send_header("Content-Encoding", encoding)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki / name / "tls.crt", pki / name / "tls.key")
        context.load_verify_locations(pki / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.address = f"127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def served(pki: Path) -> Iterator[Served]:
    made = Served(pki)
    yield made
    made.close()


def test_a_generation_arrives(served: Served, pki: Path, tmp_path: Path) -> None:
    store = Store(tmp_path)
    fetch = fetching(SurveyorOrigin(Where(served.address, "sbn"), pki / "pdshub-node"), store)
    assert fetch.run().name == NAME and fetch.done == len(IMAGE) + len(PROOF)
    assert served.clients == {"pdshub-node"}
    path = store.path(NAME)
    assert sorted(p.name for p in path.iterdir()) == ["catalog.erofs", "inspected.json", "manifest.json", "proof.json"]
    got = (path / "catalog.erofs").read_bytes()
    assert got[: len(IMAGE)] == IMAGE and len(got) == 12288 and not any(got[len(IMAGE) :]), "whole blocks"
    assert (path / "proof.json").read_bytes() == PROOF
    assert Store(tmp_path).all()[NAME].counts["files"] == 3, "another process finds it"
    assert store.keep_only([NAME]) == [] and store.keep_only([]) == [NAME] and not any(tmp_path.iterdir())


def test_zstd(served: Served, pki: Path, tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    pack = zstandard.ZstdCompressor().compress
    served.files = {path: (pack(body), "zstd") for path, (body, _) in served.files.items()}
    assert (
        fetching(SurveyorOrigin(Where(served.address, "sbn"), pki / "pdshub-node"), Store(tmp_path)).run().name == NAME
    )
    served.files[served.image] = (pack(bytes(1 << 30)), "zstd")  # a gigabyte in a few kilobytes
    store = Store(tmp_path / "other")
    with pytest.raises(GenerationError, match="more than the 10240 bytes"):
        fetching(SurveyorOrigin(Where(served.address, "sbn"), pki / "pdshub-node"), store).run()
    assert not any((tmp_path / "other").iterdir())


def change(of: str, do: Callable[[bytes], bytes]) -> Callable[[Served], None]:
    def act(served: Served) -> None:
        path = getattr(served, of)
        served.files[path] = (do(served.files[path][0]), "")

    return act


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (change("image", lambda b: b[:-1] + b"!"), "its content is not"),
        (change("image", lambda b: b[:-1]), "ends after 10239 of 10240"),
        (change("image", lambda b: b + b"!"), "more than"),
        (change("image", lambda b: b""), "ends after 0"),
        (change("proof", lambda b: b[:-1] + b" "), "its content is not"),
        (change("manifest", lambda b: b[:-1]), "manifest"),
        (change("manifest", lambda _: raw(**layering(data=[]))), "its content is"),
        (lambda served: served.files.pop(served.image), "404"),
        (lambda served: served.files.pop(served.manifest), "404"),
        (lambda served: served.files.update({served.image: (IMAGE, "gzip")}), "encoded as 'gzip'"),
        (lambda served: served.files.update({served.image: (b"no zstd", "zstd")}), "(?i)zstd|encoded|prefix"),
    ],
)  # fmt: skip
def test_what_is_not_as_it_says_leaves_nothing(
    served: Served, pki: Path, tmp_path: Path, spoil: Callable[[Served], None], says: str
) -> None:
    spoil(served)
    with pytest.raises(Exception, match=says):
        fetching(SurveyorOrigin(Where(served.address, "sbn"), pki / "pdshub-node"), Store(tmp_path)).run()
    assert not any(tmp_path.iterdir())


def test_another_generation_under_that_name(served: Served, pki: Path, tmp_path: Path) -> None:
    other = "sha256:" + "1" * 64
    served.files[f"/generations/{'1' * 64}/manifest.json"] = served.files[served.manifest]
    with pytest.raises(GenerationError, match="not sha256:1111"):
        fetching(SurveyorOrigin(Where(served.address, "sbn"), pki / "pdshub-node"), Store(tmp_path), name=other).run()


@pytest.mark.parametrize("name", ["other-view", "somebody", "pdshub-node"])
def test_who_is_asked(pki: Path, tmp_path: Path, name: str) -> None:
    """Servers of the same authority: another view's surveyor, one without a view, a node. None of them is asked."""
    other = Served(pki, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        fetching(SurveyorOrigin(Where(other.address, "sbn"), pki / "pdshub-node"), Store(tmp_path)).run()
    assert other.asked == []
    other.close()


def test_nobody_is_there(pki: Path, tmp_path: Path) -> None:
    with pytest.raises(OSError):
        fetching(SurveyorOrigin(Where("127.0.0.1:1", "sbn"), pki / "pdshub-node"), Store(tmp_path)).run()


def test_half_a_generation_is_removed_at_start(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.aside(NAME).mkdir()
    (store.aside(NAME) / "catalog.erofs").write_bytes(b"half")
    assert Store(tmp_path).names() == set() and not any(tmp_path.iterdir())
    store.path(NAME).mkdir()
    (store.path(NAME) / "manifest.json").write_bytes(raw())
    assert store.get(NAME) is None and not store.path(NAME).exists(), "one without its image is fetched again"


def accepts(path: Path, digest: str, size: int, top: str) -> None:
    """An inspection that all images pass: these hold no file system (test_image.py has those that do)."""
    assert path.stat().st_size >= size and digest.startswith("sha256:")


def fetching(
    origin: Origin, store: Store, name: str = NAME, most: int = MAX_BYTES, inspect: Inspect = accepts
) -> Fetch:
    return Fetch(name, origin, store, Room(store, most), inspect)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def test_the_cache_tries_again(served: Served, pki: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdshub.node.store.cache.RETRY_SECONDS", (0.01, 0.02))
    body = served.files.pop(served.image)

    async def test() -> None:
        changes: list[str] = []
        certificates = pki / "pdshub-node"
        cache = GenerationCache(
            Store(tmp_path), certificates, lambda: changes.append(cache.progress(NAME)), inspect=accepts
        )
        cache.need({NAME: Where(served.address, "sbn")})
        cache.need({NAME: Where(served.address, "sbn")})
        await until(lambda: len([path for path in served.asked if path == served.image]) >= 3)
        assert "404" in cache.progress(NAME) and cache.get(NAME) is None
        served.files[served.image] = body
        await until(lambda: cache.get(NAME) is not None and not cache.failures)
        assert cache.fetches == 1 and cache.fetched_bytes == len(IMAGE) + len(PROOF) and "404" in changes[0]
        cache.need({NAME: Where(served.address, "sbn")})
        asked = len(served.asked)
        cache.need({})
        cache.keep_only([])
        assert cache.get(NAME) is None
        await cache.close()
        assert len(served.asked) == asked

    asyncio.run(test())


def test_nobody_needs_it_any_more(pki: Path, tmp_path: Path) -> None:
    async def test() -> None:
        cache = GenerationCache(Store(tmp_path), pki / "pdshub-node", lambda: None)
        cache.need({NAME: Where("127.0.0.1:1", "sbn")})
        assert "is being fetched" in cache.progress(NAME)
        cache.need({})
        await cache.close()

    asyncio.run(test())
    assert not any(tmp_path.iterdir())


def test_from_a_directory(tmp_path: Path) -> None:
    place = tmp_path / "from" / NAME.removeprefix("sha256:")
    place.mkdir(parents=True)
    for name, body in {"manifest.json": raw(), "catalog.erofs": IMAGE, "proof.json": PROOF}.items():
        (place / name).write_bytes(body)
    assert fetching(DirectoryOrigin(tmp_path / "from"), Store(tmp_path / "store")).run().name == NAME


# --- what is not taken up


@pytest.fixture
def origin(tmp_path: Path) -> DirectoryOrigin:
    place = tmp_path / "from" / NAME.removeprefix("sha256:")
    place.mkdir(parents=True)
    for name, body in {"manifest.json": raw(), "catalog.erofs": IMAGE, "proof.json": PROOF}.items():
        (place / name).write_bytes(body)
    return DirectoryOrigin(tmp_path / "from")


def refuses(path: Path, digest: str, size: int, top: str) -> None:
    raise ImageRefused(f"{path.name}: no EROFS image")


def test_an_image_is_looked_at_before_it_has_its_name(origin: DirectoryOrigin, tmp_path: Path) -> None:
    store, looked = Store(tmp_path / "store"), list[tuple[str, int, str, set[str]]]()

    def inspect(path: Path, digest: str, size: int, top: str) -> None:
        assert path.read_bytes()[: len(IMAGE)] == IMAGE and digest == sha256(IMAGE)
        looked.append((path.name, size, top, store.names()))

    fetching(origin, store, inspect=inspect).run()
    assert looked == [("catalog.erofs", len(IMAGE), ".pdshub-catalog", set())]
    with pytest.raises(ImageRefused):
        fetching(origin, Store(tmp_path / "other"), inspect=refuses).run()
    assert not any((tmp_path / "other").iterdir())


def test_what_another_plugin_fetched_is_looked_at_first(origin: DirectoryOrigin, tmp_path: Path) -> None:
    """An upgrade: generations lie on the disk that nobody has looked at, or by other rules."""
    folder = tmp_path / "store"
    fetching(origin, Store(folder)).run()
    note = Store(folder).path(NAME) / generations.INSPECTED
    for text in ("", '{"reader": 0}', "{}", "[1]"):
        note.write_text(text)
        store = Store(folder)
        assert store.get(NAME) is None and store.all() == {} and store.names() == {NAME}
        assert fetching(DirectoryOrigin(tmp_path / "nowhere"), store).run().name == NAME, "nothing is fetched"
        assert store.get(NAME) is not None
    note.unlink()
    with pytest.raises(ImageRefused):
        fetching(origin, Store(folder), inspect=refuses).run()
    assert not any(folder.iterdir())


def test_a_refused_image_is_not_fetched_again(origin: DirectoryOrigin, tmp_path: Path) -> None:
    """Its bytes are what its name says. It is told of, and forgotten with the wish for it."""
    looks: list[str] = []

    def inspect(path: Path, digest: str, size: int, top: str) -> None:
        looks.append(digest)
        refuses(path, digest, size, top)

    async def test() -> None:
        store = Store(tmp_path / "store")
        cache = GenerationCache(store, tmp_path, lambda: None, tmp_path / "from", inspect=inspect)
        for _ in range(3):
            cache.need({NAME: Where("", "sbn")})
            await until(lambda: NAME in cache.failures and NAME not in cache._running)
        assert len(looks) == 1 and cache.failures[NAME].reason is FetchReason.REFUSED
        assert "no surveyor makes such an image: catalog.erofs: no EROFS image" in cache.progress(NAME)
        cache.need({})
        assert not cache.failures
        await cache.close()

    asyncio.run(test())


ROOM = 12288 + 4096 + 4096  # image, sample, manifest and note in whole blocks


@pytest.mark.parametrize(("most", "fits"), [(1 << 20, True), (ROOM + len(raw()), True), (ROOM + len(raw()) - 1, False)])
def test_generations_never_take_more_than_they_may(
    origin: DirectoryOrigin, tmp_path: Path, most: int, fits: bool
) -> None:
    store = Store(tmp_path / "store")
    room = Room(store, most)
    if fits:
        Fetch(NAME, origin, store, room, accepts).run()
        assert 0 < room.used <= most
        assert room.used == sum(p.stat().st_size for p in store.path(NAME).iterdir())
        return
    with pytest.raises(NoRoom, match=r"it takes 1 MiB, and 1 MiB of 1 MiB are free") as refused:
        Fetch(NAME, origin, store, room, accepts).run()
    assert refused.value.missing == 1 and refused.value.needed == most + 1
    assert not any((tmp_path / "store").iterdir()) and room.used == 0


def test_room_that_was_made_is_kept_for_whom_it_was_made(origin: DirectoryOrigin, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    room = Room(store, 64 << 10)
    room.reserve("sha256:other", 60 << 10)
    with pytest.raises(NoRoom):
        Fetch(NAME, origin, store, room, accepts).run()
    room.give_back("sha256:other")
    room.reserve(NAME, 60 << 10)
    Fetch(NAME, origin, store, room, accepts).run()
    assert room.used == sum(store.sizes().values()) < 60 << 10


def test_a_full_disk_leaves_nothing_and_what_is_there_stays(
    origin: DirectoryOrigin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "store")
    monkeypatch.setattr("pdshub.node.store.cache.RETRY_SECONDS", (60.0, 60.0))

    def full(count: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def test() -> None:
        cache = GenerationCache(store, tmp_path, lambda: None, tmp_path / "from", inspect=accepts)
        with monkeypatch.context() as patch:
            patch.setattr(Fetch, "_go_on", lambda _, count: full(count))
            cache.need({NAME: Where("", "sbn")})
            await until(lambda: NAME in cache.failures)
        assert cache.failures[NAME].reason is FetchReason.NO_ROOM and not any((tmp_path / "store").iterdir())
        assert cache.progress(NAME).endswith("no room for generation " + NAME[7:19] + ": the disk of the node is full")
        cache.again(NAME)
        await until(lambda: cache.get(NAME) is not None)
        await cache.close()

    asyncio.run(test())


@pytest.mark.parametrize(
    "body", [b" " * (4 << 20) + b"{}", b"[" + b"[]," * 300_000 + b"1]"], ids=["long", "many parts"]
)
def test_a_manifest_too_large_to_hold(body: bytes) -> None:
    with pytest.raises(GenerationError, match="too large"):
        parse(body)


def test_a_manifest_is_not_read_beyond_its_limit(origin: DirectoryOrigin, tmp_path: Path) -> None:
    path = tmp_path / "from" / NAME.removeprefix("sha256:") / "manifest.json"
    path.write_bytes(bytes(fetch_module.MAX_MANIFEST + 1))
    with pytest.raises(GenerationError, match="too large"):
        fetching(origin, Store(tmp_path / "store")).run()


@pytest.mark.parametrize("wanted", [{}, {NAME: Where("", "sbn")}], ids=["kept for a server", "released"])
def test_the_cache_looks_at_what_another_plugin_fetched(
    origin: DirectoryOrigin, tmp_path: Path, wanted: dict[str, str]
) -> None:
    """Although no surveyor is known: nothing has to be fetched for it."""
    folder = tmp_path / "store"
    fetching(origin, Store(folder)).run()
    (Store(folder).path(NAME) / generations.INSPECTED).unlink()

    async def test() -> None:
        cache = GenerationCache(Store(folder), tmp_path, lambda: None, inspect=accepts)
        assert cache.get(NAME) is None
        cache.need(wanted)
        await until(lambda: cache.get(NAME) is not None)
        await cache.close()

    asyncio.run(test())
