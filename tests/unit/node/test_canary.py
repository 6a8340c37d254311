"""What a watch concludes from what a look found, as tables; sources that are wrong or hang, for real."""

from __future__ import annotations

import asyncio
import os
from ctypes.util import find_library
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pdshub.node.csi.services import Node
from pdshub.node.hardening import SpecError
from pdshub.node.health.monitor import Findings
from pdshub.node.health.published import Subject
from pdshub.node.health.sample import Known
from pdshub.node.health.staleness import SLICE, SLOT, Watch
from pdshub.node.layout import Layout
from pdshub.node.reconcile.reconciler import Reconciler
from pdshub.node.reconcile.source_manager import SourceManager
from pdshub.node.report.document import document
from pdshub.node.source.nfs_requests import HelperRequests
from pdshub.node.source.policy import PolicyFile
from pdshub.node.source.source_mount import MountContext
from pdshub.node.spec import parse_view
from pdshub.node.store.cache import GenerationCache
from pdshub.node.store.content_cache import ContentCache
from pdshub.node.store.contents import Contents
from pdshub.node.store.generations import Store
from pdshub.node.store.informer import Informer
from tests.unit.node import apart, generations, health_scenarios

GENERATION = "sha256:0123456789abcdef"
T = 100 * SLOT


@pytest.mark.parametrize(
    ("words", "renew", "problems", "unread", "asks"),
    [
        ({"a": "same"}, False, {}, 0, False),
        ({"a": "private"}, False, {}, 0, False),
        ({"a": "stale"}, True, {"a": "stale"}, 0, True),
        ({"a": "size"}, True, {"a": "size"}, 0, True),
        ({"a": "gone"}, False, {"a": "gone"}, 0, True),
        ({"a": "bytes"}, False, {"a": "bytes"}, 0, True),
        ({"a": "EIO"}, False, {}, 1, False),
        ({"a": "ETIMEDOUT", "b": "stale"}, True, {"b": "stale"}, 1, True),
    ],
)
def test_take(words: dict[str, str], renew: bool, problems: dict[str, str], unread: int, asks: bool) -> None:
    watch = Watch(GENERATION)
    assert watch.take(words, frozenset(), T, "now") is renew
    assert (watch.problems, len(watch.unread)) == (problems, unread)
    assert watch.survey_wanted == ("0123456789ab-100" if asks else "")
    assert bool(watch.message) is asks


@pytest.mark.parametrize(
    ("looks", "renewed", "wanted"),
    [
        # (seconds, words) one after the other
        ([(0, {"a": "stale"}), (30, {"a": "stale"})], 1, "0123456789ab-100"),
        ([(0, {"a": "stale"}), (SLOT, {"a": "stale"})], 2, "0123456789ab-100"),
        ([(0, {"a": "stale"}), (30, {"b": "stale"})], 2, "0123456789ab-100"),
        ([(0, {"a": "stale"}), (30, {"b": "stale"}), (SLOT, {"c": "gone"})], 2, "0123456789ab-101"),
        ([(0, {"a": "stale"}), (30, {"a": "same"})], 1, ""),
        ([(0, {"a": "stale"}), (30, {"a": "EIO"})], 1, "0123456789ab-100"),
        ([(0, {"a": "gone"}), (SLOT * 5, {"a": "gone"})], 0, "0123456789ab-100"),
    ],
)
def test_renewals_and_surveys_are_bounded(looks: list[tuple[int, dict[str, str]]], renewed: int, wanted: str) -> None:
    watch = Watch(GENERATION)
    for seconds, words in looks:
        watch.take(words, frozenset(), T + seconds, "now")
    assert (watch.renewals, watch.survey_wanted) == (renewed, wanted)


def test_all_nodes_ask_for_the_same_survey() -> None:
    one, other = Watch(GENERATION), Watch(GENERATION)
    one.take({"a": "stale"}, frozenset(), T + 1, "now")
    other.take({"b": "gone"}, frozenset(), T + SLOT - 1, "now")
    assert one.survey_wanted == other.survey_wanted != ""


def test_wrong_bytes_are_only_forgiven_by_their_digest() -> None:
    watch = Watch(GENERATION)
    watch.take({"a": "bytes"}, frozenset({"a"}), T, "now")
    watch.take({"a": "same"}, frozenset(), T, "now")
    assert watch.problems
    watch.take({"a": "same"}, frozenset({"a"}), T, "now")
    assert not watch.problems


@pytest.mark.parametrize("count", [0, 1, SLICE - 1, SLICE, SLICE + 1, 200])
def test_every_file_has_its_turn(count: int) -> None:
    sample = tuple(Known(f"f{i}", i, "md5", "0" * 32) for i in range(count))
    watch = Watch(GENERATION)
    looked, digested = set(), set()
    for _ in range(count):
        rows = watch.turn(sample)
        assert len(rows) <= SLICE + 1 and len({row[0] for row in rows}) == len(rows)
        looked |= {row[0] for row in rows}
        digested |= {row[0] for row in rows if row[2]}
    assert len(looked) == len(digested) == count


def test_known_problems_are_looked_at_each_time() -> None:
    sample = tuple(Known(f"f{i}", i, "md5", "0" * 32) for i in range(200))
    watch = Watch(GENERATION, problems={"f150": "stale", "f151": "bytes"})
    for _ in range(3):
        rows = {row[0]: row for row in watch.turn(sample)}
        assert rows["f150"][2] == "" and rows["f151"][2] == "md5"


@pytest.mark.parametrize(
    ("points", "roots"),
    [
        ((), {}),
        (("sbn",), {".": ("/t", "sbn")}),
        (("sbn", "sbn/live"), {".": ("/t", "sbn"), "live": ("/t", "sbn/live")}),
        (("sbn/a", "sbn/b/c"), {"a": ("/t", "sbn/a"), "b/c": ("/t", "sbn/b/c")}),
    ],
)
def test_roots(points: tuple[str, ...], roots: dict[str, tuple[str, str]]) -> None:
    assert Subject("sbn", "sbn", {"/t": points, "/z": points}).roots == roots


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        (None, None),
        ({"path": "./a//b", "sha256": "0" * 64}, ("a/b", "0" * 64)),
        ({"path": "../b", "sha256": "0" * 64}, SpecError),
        ({"path": "/b", "sha256": "0" * 64}, SpecError),
        ({"path": ".", "sha256": "0" * 64}, SpecError),
        ({"path": "b", "sha256": "0" * 63}, SpecError),
        ({"path": "b", "sha256": "X" * 64}, SpecError),
        ({"path": "b"}, SpecError),
    ],
)
def test_marker(marker: object, expected: object) -> None:
    source = {"name": "main", "local": {"path": "/data"}, **({"marker": marker} if marker else {})}
    document = {
        "metadata": {"name": "sbn"},
        "spec": {"sources": [source], "tree": [{"path": ".", "layers": [{"source": "main"}]}]},
    }
    if expected is SpecError:
        with pytest.raises(SpecError):
            parse_view(document)
    else:
        assert parse_view(document).source("main").marker == expected


def test_marker_makes_another_mount() -> None:
    """A mount that was taken for the right one without a marker is not inherited by who asks for one."""
    digests = set()
    for marker in (None, {"path": "a", "sha256": "0" * 64}, {"path": "a", "sha256": "1" * 64}):
        source = {"name": "main", "local": {"path": "/data"}, "marker": marker}
        tree = [{"path": ".", "layers": [{"source": "main"}]}]
        document = {"metadata": {"name": "sbn"}, "spec": {"sources": [source], "tree": tree}}
        digests.add(parse_view(document).source("main").digest)
    assert len(digests) == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize("name", health_scenarios.ALL)
def test_scenario(name: str) -> None:
    if name.startswith("generation") and not generations.able():
        pytest.skip("needs mkfs.erofs >= 1.8 (PATH or $PDSHUB_MKFS_EROFS)")
    if name == "hanging_source" and not (find_library("fuse3") or find_library("fuse")):
        pytest.skip("needs libfuse (Debian: fuse3)")
    apart.run("health_scenarios", name)


def report_of(tmp_path: Path, watch: Watch, changed: str, as_of: str) -> dict[str, Any]:
    """The report of a node that has found this."""

    async def made() -> dict[str, Any]:
        layout = Layout(tmp_path)
        layout.prepare()
        woken = asyncio.Event()
        cache = GenerationCache(Store(layout.generations), tmp_path, woken.set, tmp_path)
        policy = PolicyFile(tmp_path / "none")
        sources = SourceManager(MountContext(layout, policy.current, HelperRequests(layout), woken.set))
        contents = ContentCache(cache.store, Contents(layout.packs), cache.origin, cache.inspect, woken.set)
        reconciler = Reconciler(layout, sources, cache, contents, Informer(woken.set), woken)
        written = {
            "metadata": {"name": "sbn", "generation": 3},
            "spec": {
                "sources": [{"name": "main", "local": {"path": "/data"}}],
                "tree": [{"path": ".", "layers": [{"source": "main"}]}],
            },
            "status": {"generation": {"name": "sha256:" + "ab" * 32, "asOf": as_of}},
        }
        view = parse_view(written)
        reconciler.known["sbn"] = view
        await reconciler.sources.keep([view], {}, None)
        (mount,) = reconciler.sources.mounts.values()
        mount.identity_check.changed, mount.identity_check.changes = changed, int(bool(changed))
        findings = Findings(3600)
        findings.watcher.watches["sbn"] = watch
        plugin = cast(Node, SimpleNamespace(publishes=0, last_publish_seconds=0.0))
        try:
            return document("n1", plugin, reconciler, findings).wire()
        finally:
            await reconciler.close()

    return asyncio.run(made())


@pytest.mark.parametrize(
    ("words", "changed", "wanted"),
    [
        ({}, "", None),
        ({"a": "same"}, "", None),
        ({"a": "size"}, "", "0123456789ab-100"),
        ({"a": "same"}, "2026-02-01T00:00:00Z", "main-2026-02-01T00:00:00Z"),
        ({"a": "same"}, "2025-12-31T00:00:00Z", None),
        ({"a": "gone"}, "2026-02-01T00:00:00Z", "0123456789ab-100 main-2026-02-01T00:00:00Z"),
    ],
)
def test_the_report_asks_for_a_survey(tmp_path: Path, words: dict[str, str], changed: str, wanted: str | None) -> None:
    watch = Watch(GENERATION)
    watch.take(words, frozenset(words), T, "now")
    report = report_of(tmp_path, watch, changed, "2026-01-01T00:00:00Z")
    assert report["views"]["sbn"].get("surveyWanted") == wanted
    assert ("canary" in report["views"]["sbn"]) is bool(words)
    assert report["sources"]["sbn"]["main"]["identityChanges"] == int(bool(changed))
    view, source = report["views"]["sbn"], report["sources"]["sbn"]["main"]
    assert {key: value for key, value in view.items() if key not in ("canary", "surveyWanted")} == {
        "generation": 3, "shows": "", "form": "catalog", "fetching": "", "shown": {}, "held": 0, "ready": False,
        "state": "connecting", "targets": 0, "message": "not looked at yet",
    }, "as it was sent before"  # fmt: skip
    assert source == {
        "ready": False, "state": "connecting", "mode": "", "message": "not looked at yet", "latencySeconds": 0.0,
        "identityChanged": changed, "identityChanges": int(bool(changed)),
    }  # fmt: skip
    assert report.keys() == {"node", "kernel", "version", "csi", "views", "sources", "failures"}
