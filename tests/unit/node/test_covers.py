"""A NAS that hangs: the cover that is laid over its catalogs, what is planned with it, and when a source is away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pdshub.node.layout import Layout
from pdshub.node.mount import mountinfo
from pdshub.node.reconcile.observe import cataloged, observe, shown
from pdshub.node.reconcile.plan import Actual, Attach, Build, Detach, Drop, Step, Switch, Want, plan
from pdshub.node.reconcile.select_generation import Built, Known, catalog, decide
from pdshub.node.source.source_mount import State
from tests.unit.node.test_choice import G1, G2, PER_SERVER, READY, STORED, UNKNOWN, VIEW, A, layers, target
from tests.unit.node.views import local, nfs

SLOW = {**READY, "b": State(False, "", "no answer", 0, {".": "0:2:2"})}
AWAY = {**READY, "b": replace(SLOW["b"], away=True)}
BOTH_AWAY = {**AWAY, "a": replace(READY["a"], ready=False, away=True)}
WHOLE, OLDER = Built(G2, layers("0:1:1", "0:2:2")), Built(G1, layers("0:1:1", "0:2:2"))
COVER = Built(G2, layers("0:1:1", ""), cover=True)


@pytest.mark.parametrize(
    ("states", "built", "key", "cover", "covers"),
    [
        pytest.param(READY, {"w": WHOLE}, "w", False, "", id="nothing is wrong"),
        pytest.param(SLOW, {"w": WHOLE}, "w", False, "", id="one look without an answer: what is there stays"),
        pytest.param(AWAY, {"w": WHOLE}, "new", True, "w", id="away: covered, and what is covered is kept"),
        pytest.param(AWAY, {"w": WHOLE, "c": COVER}, "c", True, "w", id="is covered"),
        pytest.param(AWAY, {"o": OLDER}, "new", True, "", id="another generation's is not what it covers"),
        pytest.param(AWAY, {}, "new", True, "", id="nothing is mounted yet"),
        pytest.param(SLOW, {}, "new", True, "", id="without an answer there is no use in waiting to mount it"),
        pytest.param(BOTH_AWAY, {"w": WHOLE, "c": COVER}, "new", True, "w", id="one more goes: another cover"),
        pytest.param(READY, {"w": WHOLE, "c": COVER}, "w", False, "", id="back: what was covered"),
        pytest.param(READY, {"c": COVER}, "new", False, "", id="back, and nothing was covered"),
        pytest.param(UNKNOWN, {"w": WHOLE, "c": COVER}, "c", True, "w", id="the plugin was restarted meanwhile"),
        pytest.param(UNKNOWN, {"w": WHOLE}, "w", False, "", id="the plugin was restarted, nothing was wrong"),
    ],
)
def test_catalog(states: dict[str, State], built: dict[str, Built], key: str, cover: bool, covers: str) -> None:
    one = catalog(VIEW, STORED[G2], Known(states, built=built))
    assert (one.key if one.key in built else "new", one.cover, one.covers) == (key, cover, covers)
    # what is covered shows the same names: nobody is kept waiting for it, even at first
    early = catalog(VIEW, STORED[G2], Known(states, built=built, within_grace=True))
    assert early.waits is (cover and not covers)


@pytest.mark.parametrize(
    ("at", "expected"),
    [pytest.param(5.0, "", id="asked before: it may hang too"), pytest.param(11.0, "0:1:1", id="has answered since")],
)
def test_what_the_same_server_has_is_not_mounted_before_it_has_answered(at: float, expected: str) -> None:
    """Another export of a server that is away: who mounts it now would wait."""
    states = {"a": replace(READY["a"], at=at), "b": replace(AWAY["b"], at=10.0)}
    one = catalog(VIEW, STORED[G2], Known(states, built={"w": WHOLE}))
    assert one.cover and [layer.identity for layer in one.layers] == [expected, ""]
    elsewhere = replace(VIEW, sources=(nfs("a", "other", "/a"), VIEW.sources[1]))
    assert catalog(elsewhere, STORED[G2], Known(states)).layers[0].identity == "0:1:1"


def test_only_nfs_is_covered() -> None:
    """A directory of the node that is gone has nothing that hangs: who has it open or mounted goes on reading."""
    view = replace(VIEW, sources=(A, local("b", "/b")))
    where = layers("0:1:1", "0:2:2")[0], replace(WHOLE.layers[1], source=view.sources[1].digest)
    assert not catalog(view, STORED[G2], Known(SLOW, built={"w": Built(G2, where)})).cover


def test_every_generation_that_is_shown_is_covered() -> None:
    """A server that keeps an older generation, too; and nothing of it is dropped."""
    built = {"w": WHOLE, "o": OLDER}
    known = Known(AWAY, stored=STORED, shown={target("keeps"): G1}, built=built)
    decision = decide(replace(VIEW, update_policies=PER_SERVER), known)
    own = decision.own[target("keeps")]
    assert own and own["v"].cover and own["v"].covers == "o" and decision.wants["v"].covers == "w"
    assert {"w", "o"} < decision.keys(catalogs=True)


LAYERS = layers("0:1:1", "")
C = Want("c", LAYERS, generation=G2, cover=True, covers="w")
W = Want("w", LAYERS, generation=G2)
N = Want("n", LAYERS, generation="new")
COVERED, WHOLE_AT, NEW, OTHER = ("0:5", "/"), ("0:6", "/"), ("0:7", "/"), ("0:8", "/")
FORMER = ("0:4", "/")  # a cover that nobody wants any more


def there(*stack: tuple[str, str], beneath: bool = True) -> Actual:
    entries = {"c": COVERED, "w": WHOLE_AT, "n": NEW}
    return Actual(entries, {"t": {"v": stack} if stack else {}}, beneath, covers={"0:5", "0:4"})


@pytest.mark.parametrize(
    ("want", "actual", "steps"),
    [
        pytest.param(C, there(WHOLE_AT), [Attach("t", "v", "c")], id="over it, whoever works in it"),
        pytest.param(C, there(WHOLE_AT, beneath=False), [Attach("t", "v", "c")], id="before 6.5, too"),
        pytest.param(C, there(WHOLE_AT, COVERED), [], id="done"),
        pytest.param(C, there(OTHER, WHOLE_AT), [Attach("t", "v", "c")], id="over a switch that is held"),
        pytest.param(C, there(), [Attach("t", "v", "c")], id="a server that starts meanwhile"),
        pytest.param(C, there(COVERED), [], id="which has it"),
        pytest.param(C, there(WHOLE_AT, FORMER), [Switch("t", "v", "c", 2, lazy=True)], id="instead of a former cover"),
        pytest.param(W, there(WHOLE_AT, COVERED), [Detach("t", "v", lazy=True)], id="taken off at once"),
        pytest.param(W, there(WHOLE_AT, COVERED, FORMER), [Detach("t", "v", lazy=True)], id="one after the other"),
        pytest.param(W, there(COVERED), [Switch("t", "v", "w", 1, lazy=True)], id="nothing below it: switched at once"),
        pytest.param(N, there(WHOLE_AT, COVERED), [Detach("t", "v", lazy=True)], id="first off, then the new one"),
        pytest.param(N, there(WHOLE_AT), [Switch("t", "v", "n", 1)], id="as ever"),
        pytest.param(replace(C, waits=True), there(OTHER), [], id="another generation is there: not yet"),
    ],
)
def test_plan(want: Want, actual: Actual, steps: list[Step]) -> None:
    found = [step for step in plan({"v": want}, actual) if not isinstance(step, Drop)]
    assert found == steps


def test_what_is_covered_stays_built() -> None:
    assert plan({"v": C}, there(WHOLE_AT)) == [Attach("t", "v", "c"), Drop("n")]
    assert plan({"v": C}, Actual({"w": WHOLE_AT}, {"t": {"v": (WHOLE_AT,)}})) == [Build("c", LAYERS, G2, cover=True)]
    assert Drop("c") in plan({"v": W}, there(WHOLE_AT))


def test_a_cover_is_known_by_its_label() -> None:
    """After a restart of the plugin, and when its entry is gone."""
    layout = Layout(Path("/k"))
    digits = G2.removeprefix("sha256:")
    table = f"""\
30 1 0:40 / {target("v")} ro shared:5 - tmpfs pdshub:v rw
31 30 0:41 / {target("v")}/v ro - overlay pdshub-generation:{digits} ro
32 31 0:42 / {target("v")}/v ro - overlay pdshub-generation:{digits}:cover ro
"""
    mounts = mountinfo.parse(table)
    assert shown(mounts, layout, "v", ()) == {target("v"): G2}
    actual = observe(mounts, layout, "v")
    assert cataloged(mounts) == {G2}, "what is covered is not dropped from the disk"
    assert actual.covers == {"0:42"} and actual.targets[target("v")]["v"] == (("0:41", "/"), ("0:42", "/"))
