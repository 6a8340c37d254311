"""What travels, served by the program itself and fetched by a node's own client."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pdshub.archive.content import document
from pdshub.generation_id import digits
from pdshub.node.image.inspection import Inspector
from pdshub.node.pack import build
from pdshub.node.store import content_cache, contents, fetch, generations, room
from pdshub.node.store.cache import MAX_BYTES
from tests.unit.surveyor.support import needs_mkfs
from tests.unit.surveyor.test_server import Running, until

pytestmark = needs_mkfs


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("surveyor"))
    try:
        running.surveyed("first")
        running.put(request="first", survey={"content": {}})
        until(lambda: (running.get("/state").get("reading") or {}).get("state") == "done")
        yield running
    finally:
        running.process.kill()
        running.process.wait()


@pytest.fixture(scope="module")
def newest(program: Running) -> str:
    return digits(program.get("/state")["generations"][0]["name"])


WHO = {
    "a node, what travels": ("node", "/generations/NEWEST/content.json", 200),
    "a node, a pack": ("node", "/packs/PACK", 200),
    "the operator, a pack": ("operator", "/packs/PACK", 200),
    "somebody else, what travels": ("other", "/generations/NEWEST/content.json", 403),
    "somebody else, a pack": ("other", "/packs/PACK", 403),
    "a pack that there is not": ("node", f"/packs/{'a' * 64}", 404),
    "a generation is no pack": ("node", "/packs/NEWEST", 404),
    "a pack is no image": ("node", "/images/PACK", 404),
    "what lies beside packs": ("node", "/packs/..%2fcontent.db", 404),
    "of no generation": ("node", f"/generations/{'a' * 64}/content.json", 404),
}


@pytest.mark.parametrize(("who", "path", "status"), WHO.values(), ids=WHO)
def test_who_may_have_what(program: Running, newest: str, who: str, path: str, status: int) -> None:
    _, _, raw = program.ask("node", "GET", f"/generations/{newest}/content.json")
    pack = digits(document.parse(raw).packs[0].digest)
    assert program.ask(who, "GET", path.replace("NEWEST", newest).replace("PACK", pack))[0] == status


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become nobody")
@pytest.mark.usefixtures("sqfstar")
@pytest.mark.skipif(not shutil.which(build.sqfstar()), reason="needs sqfstar >= 4.6 (PATH or $PDSHUB_SQFSTAR)")
def test_a_nodes_own_client_has_all_of_it(program: Running, newest: str, tmp_path: Path) -> None:
    shop = fetch.SurveyorOrigin(fetch.Where(f"127.0.0.1:{program.port}", "sbn"), program.keys["node"])
    name, store, inspect = f"sha256:{newest}", generations.Store(tmp_path / "generations"), Inspector()
    fetch.Fetch(name, shop, store, room.Room(store, MAX_BYTES), inspect).run()
    kept = contents.Contents(tmp_path / "packs")
    assert kept.get(store.path(name)) is None
    found = content_cache.Fetch(name, shop, store, kept, inspect, 1 << 30).run()
    held = kept.get(store.path(name))
    assert held is not None and held.digest == found.digest and found.local.files == 4
    travels = program.get("/state")["generations"][0]["travels"]
    assert (travels["digest"], travels["files"]) == (found.digest, 4)
    again = content_cache.Fetch(name, shop, store, kept, inspect, 1 << 30)
    again.run()
    assert [path.stat().st_size for path in held.packs], "the pack was not fetched once more"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become nobody")
def test_what_has_no_room_is_said_and_nothing_is_left(program: Running, newest: str, tmp_path: Path) -> None:
    shop = fetch.SurveyorOrigin(fetch.Where(f"127.0.0.1:{program.port}", "sbn"), program.keys["node"])
    name, store, inspect = f"sha256:{newest}", generations.Store(tmp_path / "generations"), Inspector()
    fetch.Fetch(name, shop, store, room.Room(store, MAX_BYTES), inspect).run()
    kept = contents.Contents(tmp_path / "packs")
    with pytest.raises(OSError, match=r"nodePlugin\.packs\.maxBytes"):
        content_cache.Fetch(name, shop, store, kept, inspect, 1 << 20).run()
    assert kept.get(store.path(name)) is None and not list((tmp_path / "packs").iterdir())
    assert {path.name for path in store.path(name).iterdir()}.isdisjoint({"content", ".content"})
