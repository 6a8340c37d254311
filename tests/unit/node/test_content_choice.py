"""What travels decides which catalog is shown, and never which generation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pdshub.node.reconcile.plan import Actual, Attach, Build, Drop, Step, Switch, plan
from pdshub.node.reconcile.select_generation import Built, Known, catalog, decide
from pdshub.node.reconcile.view_health import contents_shown
from pdshub.node.store.content_cache import able
from tests.unit.node.test_choice import G1, G2, PER_SERVER, READY, STORED, VIEW, layers, target
from tests.unit.node.test_covers import AWAY

SOME, MORE = "sha256:" + "5" * 64, "sha256:" + "6" * 64
PLAIN = Built(G2, layers("0:1:1", "0:2:2"))
WITH = replace(PLAIN, content=SOME)
COVER = Built(G2, layers("0:1:1", ""), cover=True, content=SOME)


@pytest.mark.parametrize(
    ("content", "built", "key"),
    [
        pytest.param("", {"p": PLAIN}, "p", id="nothing travels"),
        pytest.param(SOME, {"p": PLAIN}, "new", id="it has arrived"),
        pytest.param(SOME, {"p": PLAIN, "w": WITH}, "w", id="its catalog is mounted"),
        pytest.param(MORE, {"p": PLAIN, "w": WITH}, "new", id="more has arrived"),
        pytest.param("", {"w": WITH}, "new", id="it was lost: every byte is the sources' again"),
    ],
)
def test_catalog(content: str, built: dict[str, Built], key: str) -> None:
    known = Known(READY, built=built, contents={G2: content} if content else {})
    one = catalog(VIEW, STORED[G2], known)
    assert (one.key if one.key in built else "new", one.content, one.generation) == (key, content, G2)
    assert one.layers == PLAIN.layers, "sources are the same"


def test_keys_differ_by_what_travels() -> None:
    keys = {catalog(VIEW, STORED[G2], Known(READY, contents={G2: c} if c else {})).key for c in ("", SOME, MORE)}
    assert len(keys) == 3


def test_what_nobody_said_changes_no_key() -> None:
    """An upgrade of the plugin mounts nothing anew."""
    assert (
        catalog(VIEW, STORED[G2], Known(READY)).key == catalog(VIEW, STORED[G2], Known(READY, contents={G1: SOME})).key
    )


def test_a_cover_has_what_travels() -> None:
    """With the NAS away labels are read all the same."""
    one = catalog(VIEW, STORED[G2], Known(AWAY, built={"w": WITH}, contents={G2: SOME}))
    assert one.cover and one.content == SOME and one.covers == "w"
    assert catalog(VIEW, STORED[G2], Known(AWAY, built={"w": WITH, "c": COVER}, contents={G2: SOME})).key == "c"


def test_each_generation_has_its_own() -> None:
    known = Known(READY, stored=STORED, shown={target("keeps"): G1}, contents={G1: SOME, G2: MORE})
    decision = decide(replace(VIEW, update_policies=PER_SERVER), known)
    own = decision.own[target("keeps")]
    assert own and own["v"].content == SOME and decision.wants["v"].content == MORE


OLD, NEW = ("0:6", "/"), ("0:7", "/")
BEFORE = catalog(VIEW, STORED[G2], Known(READY))
AFTER = catalog(VIEW, STORED[G2], Known(READY, contents={G2: SOME}))


def there(built: bool, *stack: tuple[str, str]) -> Actual:
    entries = {str(BEFORE.key): OLD, **({str(AFTER.key): NEW} if built else {})}
    return Actual(entries, {"t": {"v": stack} if stack else {}})


STEPS: dict[str, tuple[Actual, list[Step]]] = {
    "first it is built": (there(False, OLD), [Build(str(AFTER.key), AFTER.layers, G2, content=SOME)]),
    "then slid under what is there": (there(True, OLD), [Switch("t", "v", str(AFTER.key), 1)]),
    "then the former goes": (there(True, NEW), [Drop(str(BEFORE.key))]),
    "a new server has it at once": (there(True), [Attach("t", "v", str(AFTER.key))]),
}


@pytest.mark.parametrize(("actual", "steps"), STEPS.values(), ids=STEPS)
def test_it_comes_as_a_generation_comes(actual: Actual, steps: list[Step]) -> None:
    found = plan({"v": AFTER}, actual)
    assert [step for step in found if not isinstance(step, Drop) or len(steps) == len(found)] == steps


SHOWN = {
    "all have it": ([NEW, NEW], {G2: SOME}),
    "one is held": ([OLD, NEW], {}),
    "none has it": ([OLD, OLD], {}),
    "nobody is there": ([], {}),
}


@pytest.mark.parametrize(("tops", "told"), SHOWN.values(), ids=SHOWN)
def test_users_are_told_what_all_of_them_have(tops: list[tuple[str, str]], told: dict[str, str]) -> None:
    actual = Actual({"p": OLD, "w": NEW}, {f"t{n}": {"v": (top,)} for n, top in enumerate(tops)})
    assert contents_shown(actual, {"p": PLAIN, "w": WITH}) == told


@pytest.mark.parametrize(
    ("release", "is_able"),
    [("6.5.0", True), ("6.18.44-generic", True), ("7.0", True), ("6.4.16", False), ("6.1.0-50-amd64", False)],
)
def test_kernels_without_data_only_layers_stay_as_they_are(release: str, is_able: bool) -> None:
    assert able(release) is is_able
