"""The program itself on the loopback address: real HTTPS with certificates as the operator makes them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from prometheus_client.parser import text_string_to_metric_families

from pdshub import pki
from pdshub.generation_id import digits
from pdshub.node.health import sample
from pdshub.node.image.inspection import Inspector
from pdshub.node.store import fetch, generations, room
from pdshub.node.store.cache import MAX_BYTES
from pdshub.reconcile.common.tls import context
from pdshub.survey_api import SurveyApi, SurveyError, Where
from pdshub.surveyor.bounds import memory_bound
from pdshub.surveyor.main import main
from tests.unit.archive.archive_support import build
from tests.unit.surveyor.support import archive, body, certificates, needs_mkfs

pytestmark = needs_mkfs
PATIENCE = 60.0


def until(look: Callable[[], Any]) -> Any:
    """What ``look`` says when it says something true."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if found := look():
                return found
        time.sleep(0.1)
    raise AssertionError("it did not come")


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Running:
    """The program, its store and what it is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sources = archive(folder / "sources")
        self.keys = certificates(folder / "keys")
        self.port, self.metrics_port = free_port(), free_port()
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pdshub.surveyor.main", "serve", "--sources", self.sources,
             "--store", self.folder / "store", "--tls", self.keys["surveyor"],
             "--port", str(self.port), "--metrics-port", str(self.metrics_port)],
        )  # fmt: skip
        until(lambda: self.ask("operator", "GET", "/state")[0] == 200)
        return self.process

    def context(self, who: str) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=self.keys["surveyor"] / "ca.crt")
        if who != "nobody":
            made.load_cert_chain(self.keys[who] / "tls.crt", self.keys[who] / "tls.key")
        return made

    def ask(
        self, who: str, method: str, path: str, sent: Any = None, context: ssl.SSLContext | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the answer."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        with (context or self.context(who)).wrap_socket(plain, server_hostname="sbn.surveyor.pdshub") as connected:
            connection = http.client.HTTPConnection("127.0.0.1", self.port)
            connection.sock = connected
            raw = sent if isinstance(sent, bytes) or sent is None else json.dumps(sent).encode()
            connection.request(method, path, raw, {k.replace("_", "-"): v for k, v in headers.items()})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    def get(self, path: str, who: str = "operator") -> Any:
        status, _, raw = self.ask(who, "GET", path)
        assert status == 200, raw
        return json.loads(raw)

    def put(self, **more: Any) -> None:
        assert self.ask("operator", "PUT", "/spec", body(**more))[0] == 200

    def surveyed(self, request: str) -> dict[str, Any]:
        """Asks for a survey; the state after it."""
        self.put(request=request)

        def done() -> Any:
            state = self.get("/state")
            return state["survey"]["request"] == request and state["survey"]["state"] != "running" and state

        found: dict[str, Any] = until(done)
        return found

    def plain(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=PATIENCE)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("surveyor"))
    try:
        running.surveyed("first")
        build(running.sources / "main", {"x/data/added.dat": "added"})
        state = running.surveyed("second")
        assert len(state["generations"]) == 2, state
        yield running
    finally:
        running.process.kill()
        running.process.wait()


@pytest.fixture(scope="module")
def newest(program: Running) -> str:
    return digits(program.get("/state")["generations"][0]["name"])


@pytest.mark.parametrize(
    ("who", "method", "path", "status"),
    [
        ("operator", "GET", "/state", 200),
        ("operator", "GET", "/generations/NEWEST/manifest.json", 200),
        ("operator", "GET", "/generations/NEWEST/findings", 200),
        ("operator", "GET", "/generations/NEWEST/findings?limit=x", 400),
        ("operator", "GET", "/generations/NEWEST/facts.json", 404),
        ("operator", "GET", f"/generations/{'a' * 64}/manifest.json", 404),
        ("operator", "GET", f"/images/{'a' * 64}", 404),
        ("operator", "GET", "/images/NEWEST", 404),  # a generation is no image
        ("operator", "GET", "/explain?path=a&generation=feedfacefeed", 404),
        ("operator", "GET", "/diff?from=feedfacefeed&to=", 404),
        ("operator", "POST", "/state", 405),
        ("operator", "PUT", "/spec", 400),
        ("operator", "POST", "/verify", 400),
        ("node", "GET", "/generations/NEWEST/manifest.json", 200),
        ("node", "GET", "/generations/NEWEST/proof.json", 200),
        ("node", "GET", "/state", 403),
        ("node", "PUT", "/spec", 403),
        ("node", "POST", "/verify", 403),
        ("node", "POST", "/generations/NEWEST/manifest.json", 403),
        ("node", "GET", "/plan/NEWEST", 403),
        ("node", "GET", "/generations/../state", 404),
        ("node", "GET", "/generations/%2e%2e/state", 404),
        ("node", "GET", "/generations/NEWEST/..%2f..%2fstate.json", 404),
        ("other", "GET", "/generations/NEWEST/manifest.json", 403),
        ("other", "GET", "/state", 403),
    ],
)
def test_who_may_what(program: Running, newest: str, who: str, method: str, path: str, status: int) -> None:
    assert program.ask(who, method, path.replace("NEWEST", newest))[0] == status


@pytest.mark.parametrize("who", ["nobody", "stranger", "old"])
def test_strangers_do_not_come_in(program: Running, who: str) -> None:
    context = program.context("operator" if who == "old" else who)
    if who == "old":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        program.ask(who, "GET", "/state", context=context)


def test_what_a_node_fetches(program: Running, newest: str) -> None:
    document = program.get(f"/generations/{newest}/manifest.json", "node")
    assert document["generation"] == f"sha256:{newest}"
    status, _, raw = program.ask("node", "GET", f"/generations/{newest}/proof.json")
    assert status == 200 and document["proof"] == {
        "digest": "sha256:" + hashlib.sha256(raw).hexdigest(),
        "size": len(raw),
    }
    for image in document["images"]:
        path = f"/images/{digits(image['digest'])}"
        _, plain, content = program.ask("node", "GET", path)
        assert "Content-Encoding" not in plain and len(content) == image["size"]
        assert hashlib.sha256(content).hexdigest() == digits(image["digest"])
        _, packed, small = program.ask("node", "GET", path, Accept_Encoding="gzip, zstd;q=1.0")
        assert packed["Content-Encoding"] == "zstd" and int(packed["Content-Length"]) == len(small) < len(content)
        assert zstandard.ZstdDecompressor().decompress(small) == content


def test_what_the_operator_asks(program: Running, newest: str) -> None:
    state = program.get("/state")
    before = state["generations"][1]["name"]
    assert state["view"] == "sbn" and state["generations"][0]["previous"] == before
    assert state["generations"][0]["changes"]["filesAdded"] == 1
    explained = program.get("/explain?path=a/x/data/added.dat")
    assert explained["visible"] and explained["from"] == [{"source": "main", "path": "x/data/added.dat"}]
    assert not program.get(f"/explain?path=a/x/data/added.dat&generation={digits(before)[:12]}")["visible"]
    for _ in range(2):  # worked out once, kept
        found = program.get(f"/diff?from={before}&to={newest}&limit=1")
        assert found["files"]["added"] == {"count": 1, "paths": ["a/x/data/added.dat"]}
    _, headers, plan = program.ask("operator", "GET", f"/plan/{newest}")
    assert headers["Content-Encoding"] == "zstd"
    assert json.loads(zstandard.ZstdDecompressor().decompressobj().decompress(plan))["view"] == "sbn"
    assert program.get(f"/generations/{newest}/findings?limit=0")["findings"] == []
    assert program.ask("operator", "POST", "/verify", {"generation": before})[0] == 202
    verify = until(lambda: (v := program.get("/state")["verify"]).get("state") == "done" and v)
    assert verify["generation"] == before and verify["drifted"] == 0


def test_the_operators_own_client(program: Running, newest: str) -> None:
    pair = pki.Pair(*((program.keys["operator"] / name).read_bytes() for name in ("tls.crt", "tls.key")))
    authority = pki.Authority(pki.Pair((program.keys["operator"] / "ca.crt").read_bytes(), b""))
    tls = context(pki.Credentials(pair, authority))
    where = Where(f"127.0.0.1:{program.port}", "sbn")

    async def run() -> None:
        surveys = SurveyApi()
        state = await surveys.state(tls, where)
        assert digits(state.generations[0].name) == newest and state.view == "sbn"
        kept = state.generations
        assert (await surveys.changes(tls, where, kept[1].name, kept[0].name)).files_added == 1
        assert kept[0].changes and kept[0].changes.files_added == 1
        await surveys.put_spec(tls, where, body(request=state.survey.request))
        with pytest.raises(SurveyError, match="422"):
            await surveys.put_spec(tls, where, {})

    asyncio.run(run())


def test_the_nodes_own_client(program: Running, newest: str, tmp_path: Path) -> None:
    shop = fetch.SurveyorOrigin(fetch.Where(f"127.0.0.1:{program.port}", "sbn"), program.keys["node"])
    name = f"sha256:{newest}"
    store = generations.Store(tmp_path)
    # its own look at the image, too: what surveyors make is not refused
    found = fetch.Fetch(name, shop, store, room.Room(store, MAX_BYTES), Inspector()).run()
    assert found.name == name and found.counts["files"] == 15
    assert {k.path for k in sample.read(tmp_path / newest / "proof.json")} >= {"a/x/data/added.dat", "b/y/readme.txt"}


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"{", 400),
        (b"[" * 100_000, 400),
        (b"[]", 422),
        (body(name="another"), 422),
        (body(surprise=1), 422),
        (b" " * (5 << 20), 413),
    ],
)
def test_bodies_that_are_refused(program: Running, sent: Any, status: int) -> None:
    before = program.get("/state")["spec"]
    assert program.ask("operator", "PUT", "/spec", sent)[0] == status
    assert program.get("/state")["spec"] == before


def test_metrics(program: Running, newest: str) -> None:
    assert program.plain("/healthz") == (200, "ok")
    status, text = program.plain("/metrics")
    samples = {s.name: s for family in text_string_to_metric_families(text) for s in family.samples}
    assert status == 200
    assert samples["pdshub_newest_generation_info"].labels["generation"] == f"sha256:{newest}"
    assert samples["pdshub_survey_completed_total"].value >= 2
    assert samples["pdshub_survey_last_success_timestamp_seconds"].value > 1.7e9
    assert samples["pdshub_generations_kept"].value == 2
    assert samples["pdshub_survey_failures"].value == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["explain", "a/x/data/p.dat"], "from main:x/data/p.dat"),
        (["explain", "/a/nothing", "--sources", "SOURCES"], "a/nothing: no such path"),
        (["diff", "OLD"], "1 files added"),
        (["diff", "OLD", "NEW"], "a/x/data/added.dat"),
        (["findings"], ""),
        (["verify", "--sources", "SOURCES"], " 0 differ"),
        (["status"], "last survey: 20"),
        (["status", "--output", "json"], '"accepted": true'),
        (["explain", "a/x", "--output", "json"], '"generation": "sha256:'),
    ],
)
def test_commands_for_people(
    program: Running, newest: str, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    old = digits(program.get("/state")["generations"][1]["name"])[:12]
    line = [{"OLD": old, "NEW": newest[:20], "SOURCES": str(program.sources)}.get(a, a) for a in arguments]
    assert main([*line, "--store", str(program.folder / "store")]) == 0
    assert words in capsys.readouterr().out


def test_commands_without_a_generation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "x", "--store", str(tmp_path)]) == 1
    assert "none yet" in capsys.readouterr().err
    assert main(["status", "--store", str(tmp_path)]) == 0


@pytest.mark.parametrize(
    ("text", "bound"), [("max\n", 0), (f"{1 << 30}\n", (1 << 30) - (160 << 20)), ("1000", 160 << 20), (None, 0)]
)
def test_the_bound_of_memory(tmp_path: Path, text: str | None, bound: int) -> None:
    if text is not None:
        (tmp_path / "max").write_text(text)
    assert memory_bound(tmp_path / "max") == bound


def test_new_certificates_are_taken_up(program: Running) -> None:
    held = program.context("operator")  # of the old authority
    fresh = certificates(program.folder / "fresh")
    for name in ("tls.crt", "tls.key", "ca.crt"):
        shutil.copy(fresh["surveyor"] / name, program.keys["surveyor"] / name)
    program.keys = {**fresh, "surveyor": program.keys["surveyor"]}
    assert until(lambda: program.ask("operator", "GET", "/state")[0] == 200)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        program.ask("operator", "GET", "/state", context=held)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_ends_and_begins_anew(program: Running, number: signal.Signals) -> None:
    before = program.get("/state")["generations"]
    (program.sources / "main/x/data/late.dat").write_text("late")
    program.put(request=f"again {number}")
    until(lambda: program.get("/state")["survey"]["state"] == "running")
    os.kill(program.process.pid, number)
    assert program.process.wait(PATIENCE) == (0 if number == signal.SIGTERM else -number)
    program.start()
    assert not [p for p in (program.folder / "store/generations").iterdir() if not (p / "facts.json").exists()]
    state = until(
        lambda: (
            (s := program.get("/state"))["survey"]["request"] == f"again {number}"
            and s["survey"]["state"] == "idle"
            and s
        )
    )
    assert {g["name"] for g in before[:1]} <= {g["name"] for g in state["generations"]}
    assert len(list((program.folder / "store/work").iterdir())) == 0
