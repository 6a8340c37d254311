"""Which generation a target shows, and as which mounts: tables of what is known and what follows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pdshub.api.view import TreeEntry
from pdshub.node.hardening import SpecError
from pdshub.node.reconcile.plan import LayerAt, Want
from pdshub.node.reconcile.select_generation import LIVE, Built, Known, above, catalog, choose, decide, place
from pdshub.node.reconcile.view_health import document, report, showing_of
from pdshub.node.source.source_mount import State
from pdshub.node.spec import View, parse_view, sources_view
from pdshub.node.store.generations import DataLayer, Generation
from tests.unit.node.views import entry, layer, nfs, policy, released

A, B = nfs("a", "nas", "/a"), nfs("b", "nas", "/b")
G1, G2, G3 = (f"sha256:{digit * 64}" for digit in "123")


def generation(name: str, view: str = "v", as_of: str = "") -> Generation:
    return Generation(name, view, as_of, False, "", (), (DataLayer("a", "x"), DataLayer("b", ".")), {"files": 1})


STORED = {G1: generation(G1, as_of="1"), G2: generation(G2, as_of="2")}
READY = {"a": State(True, "", "", 0, {"x": "0:1:1"}), "b": State(True, "", "", 0, {".": "0:2:2"})}
AWAY = {**READY, "b": State(False, "", "no answer", 0, {".": "0:2:2"})}
GONE = {**READY, "b": State(True, "", "", 0, {".": None})}
UNKNOWN = {**READY, "b": State()}
NEW = {**READY, "b": State(True, "", "", 0, {})}
TREE = (entry("d", layer("a", "x")), entry("e", layer("b")))
VIEW = View("v", 1, "v", (A, B), TREE, released=released(G2))


def layers(one: str, two: str) -> tuple[LayerAt, ...]:
    return (LayerAt(A.digest, "x", one), LayerAt(B.digest, ".", two))


WHOLE = Built(G2, layers("0:1:1", "0:2:2"))
PART = Built(G2, layers("0:1:1", ""))
OLDER = Built(G1, layers("0:1:1", "0:2:2"))


@pytest.mark.parametrize(
    ("states", "built", "expected"),
    [
        pytest.param(READY, {}, ("new", "0:2:2"), id="to be built"),
        pytest.param(READY, {"k": WHOLE}, ("k", "0:2:2"), id="is built"),
        pytest.param(READY, {"k": OLDER}, ("new", "0:2:2"), id="another generation's"),
        pytest.param(READY, {"k": PART}, ("new", "0:2:2"), id="the source is back: built anew, with it"),
        pytest.param(AWAY, {}, ("new", ""), id="without the source that is away"),
        pytest.param(AWAY, {"k": PART}, ("k", ""), id="that is built"),
        pytest.param(AWAY, {"k": WHOLE}, ("k", "0:2:2"), id="a mount that has the source stays when it goes"),
        pytest.param(AWAY, {"k": PART, "w": WHOLE}, ("w", "0:2:2"), id="the one with more sources"),
        pytest.param(GONE, {"k": WHOLE}, ("new", ""), id="its directory is gone, that is sure"),
        pytest.param(UNKNOWN, {}, (None, None), id="not looked at yet: wait a moment"),
        pytest.param(NEW, {}, (None, None), id="a directory that only the catalog names"),
        pytest.param(UNKNOWN, {"k": WHOLE}, ("k", "0:2:2"), id="after a restart: what is mounted"),
    ],
)
def test_catalog(states: dict[str, State], built: dict[str, Built], expected: tuple[str | None, str | None]) -> None:
    one = catalog(VIEW, STORED[G2], Known(states, built=built))
    key, second = expected
    assert (one.key in built) is (key in built) and (key == "new" or one.key == key)
    assert one.layers == () if second is None else one.layers[1].identity == second
    assert one.pending is (key is None), "what is about to be looked at is no failure"
    assert bool(one.reason) is (states is not READY) and not one.waits and one.generation == G2
    assert catalog(VIEW, STORED[G2], Known(states, built=built, within_grace=True)).waits is (second == "")


def test_a_worn_catalog_is_mounted_anew() -> None:
    known = Known(READY, built={"k": WHOLE})
    first = catalog(VIEW, STORED[G2], replace(known, worn={"k"}, renewals=1)).key
    assert first not in (None, "k")
    assert catalog(VIEW, STORED[G2], replace(known, worn={"k", str(first)}, renewals=2)).key not in (None, "k", first)


def test_a_source_that_the_view_lost() -> None:
    """Rolled back to, or kept by a running server: what is mounted stays, a new mount does without."""
    view = replace(VIEW, sources=(A,))
    assert catalog(view, STORED[G2], Known(READY, built={"k": WHOLE})).key == "k"
    new = catalog(view, STORED[G2], Known(READY))
    assert new.layers[1] == LayerAt("b", ".", "") and "no source b" in new.reason


@pytest.mark.parametrize(
    ("stored", "last", "built", "expected"),
    [
        pytest.param([G1, G2], "", {}, G2, id="the released one"),
        pytest.param([G1], G1, {}, G1, id="until it is here, the one before"),
        pytest.param([G1, G3], "", {}, G3, id="after a restart, the newest that is here"),
        pytest.param([G1, G3], "", {"k": OLDER}, G1, id="or that is mounted"),
        pytest.param([], "", {}, "", id="none"),
        pytest.param(["other"], "", {}, "", id="another view's"),
    ],
)
def test_choose(stored: list[str], last: str, built: dict[str, Built], expected: str) -> None:
    found = {**STORED, G3: generation(G3, as_of="3"), "other": generation("other", "w")}
    known = Known(stored={name: found[name] for name in stored}, last=last, built=built)
    assert choose(VIEW, known) == expected
    assert choose(replace(VIEW, released=None), known) == LIVE


LIVE_ENTRY = (entry("pds4/in", layer("a"), live=True), entry("pds4/o", layer("a", "x")))


@pytest.mark.parametrize(
    ("tree", "children", "points"),
    [
        (TREE, None, {"v": ""}),
        (LIVE_ENTRY, None, {"v": None}),
        (
            LIVE_ENTRY, {"": ("pds3", "pds4"), "pds4": ("in", "o", "o::1.0")},
            {"v/pds3": "pds3", "v/pds4/o": "pds4/o", "v/pds4/o::1.0": "pds4/o::1.0"},
        ),
        (LIVE_ENTRY, {"": (), "pds4": ()}, {}),
    ],
)  # fmt: skip
def test_place(tree: tuple[TreeEntry, ...], children: Any, points: dict[str, str | None]) -> None:
    """With live entries a catalog is shown in parts, once it has been listed; whatever was moved elsewhere, too."""
    found = place(replace(VIEW, tree=tree), Want("k", generation=G2), children)
    assert {at: want.sub if want.placed else None for at, want in found.items()} == points


def test_above() -> None:
    assert above(TREE) == () and above(LIVE_ENTRY) == ("", "pds4")
    assert above((entry("a/b/c", layer("a"), live=True),)) == ("", "a", "a/b")


PER_SERVER = (policy("keeps", "nextServer"), policy("switches"))


def target(volume: str, number: int = 1) -> str:
    return f"/k/pods/p{number}/volumes/kubernetes.io~csi/{volume}/mount"


@pytest.mark.parametrize(
    ("volume", "showing", "own"),
    [
        ("switches", G1, False), ("switches", LIVE, False), ("unknown", G1, False),
        ("keeps", "", False), ("keeps", G2, False), ("keeps", G1, {"v"}), ("keeps", LIVE, {"v/d", "v/e"}),
        ("keeps", G3, None),
    ],
)  # fmt: skip
def test_policy(volume: str, showing: str, own: set[str] | bool | None) -> None:
    known = Known(READY, stored=STORED, shown={target(volume): showing})
    decision = decide(replace(VIEW, update_policies=PER_SERVER), known)
    assert decision.generation == G2 and set(decision.wants) == {"v"}
    if own is False:
        assert decision.own == {}
    else:
        found = decision.own[target(volume)]
        assert (None if found is None else set(found)) == own
        if showing == G1 and found:
            assert found["v"].generation == G1


def test_nothing_is_here_yet() -> None:
    """The live form never stands in for a generation: it would show what the survey has hidden."""
    decision = decide(VIEW, Known(READY, fetching="generation 222222222222 is being fetched"))
    assert decision.wants["v"].key is None and "222222222222" in decision.wants["v"].reason
    assert decision.generation == "" and set(decision.wants) == {"v"}


def status(**more: Any) -> dict[str, Any]:
    layers = [{"source": "m", "path": "d"}]
    return {
        "metadata": {"name": "sbn", "generation": 3},
        "spec": {
            "sources": [{"name": "m", "nfs": {"server": "nas", "export": "/pds"}}],
            "tree": [{"path": "d", "layers": layers}, {"path": "l", "layers": layers, "live": True}],
            **more.pop("spec", {}),
        },
        "status": more,
    }


def test_parse_status() -> None:
    volumes = [{"volume": "pv1", "updates": "nextServer", "maxHoldSeconds": 5}, {"volume": "pv2", "updates": "live"}]
    said = {"generation": {"name": G1, "asOf": "2026"}, "surveyor": {"address": "10.0.0.1:9810"}, "volumes": volumes}
    view = parse_view(status(**said))
    assert view.released == released(G1, "2026") and view.surveyor == "10.0.0.1:9810" and view.cataloged
    assert [entry.live for entry in view.tree] == [False, True]
    assert view.update_policy(target("pv1")) == policy("pv1", "nextServer", 5)
    assert view.update_policy(target("pv2")) == policy("pv2")
    assert view.update_policy(target("pv3")) is None
    keeps = [(view.keeps_generation(target(pv)), view.hold_seconds(target(pv), 60)) for pv in ("pv1", "pv2", "pv3")]
    assert keeps == [(True, 5), (False, 3600), (False, 60)]
    assert parse_view(status(**said, spec={"form": "live"})).released is None
    assert parse_view(status()).released is None
    with pytest.raises(SpecError, match="hexadecimal"):
        parse_view(status(generation={"name": "sha256:../../x"}))


@pytest.mark.parametrize("name", ["", ".", "a/b", "..", "a#b"])
def test_names_of_sources_are_names_of_folders(name: str) -> None:
    spec = {"sources": [{"name": name, "local": {"path": "/x"}}], "tree": []}
    with pytest.raises(SpecError):
        parse_view(status(spec=spec))


def test_sources_view() -> None:
    view = sources_view(VIEW)
    assert view.name == "v#sources" and [view.at(entry) for entry in view.tree] == ["a", "b"]
    assert view.released is None and all(entry.layers[0].path == "." for entry in view.tree)


@pytest.mark.parametrize(
    ("current", "form", "generation"),
    [("", "", None), (LIVE, LIVE, None), (G2, "catalog", G2)],
)
def test_what_users_are_told(current: str, form: str, generation: str | None) -> None:
    said = document(VIEW, current, "catalog", STORED.get(current))
    assert (said["generation"], said["form"], said["view"], said["folder"]) == (generation, form, "v", "v")
    assert ("counts" in said) is (current == G2)


def test_what_the_operator_is_told() -> None:
    known = Known(READY, stored=STORED, shown={"t1": G1, "t2": G1, "t3": G2}, built={"k": WHOLE})
    decision = decide(VIEW, known)
    before = showing_of(decision, replace(known, built={}), (), frozenset(), "")
    assert report(before)["shows"] in (G1, G2)
    after = report(showing_of(decision, known, {"k"}, frozenset({"t1", "of another view"}), G3))
    assert after == {"shows": G2, "form": "catalog", "fetching": G3, "shown": {G1: 2, G2: 1}, "held": 1}
    assert report(showing_of(decide(replace(VIEW, released=None), known), known, (), frozenset(), ""))["form"] == LIVE
