"""Properties of authority over generated archives: what must hold whatever the sources contain."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.archive.archive_support import build, bundle, collection, run, spec, visible

SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

versions = st.sampled_from(["1.0", "1.9", "1.10", "2.0"])
# (source, place, version, files): one bundle identity in several places, and collections inside
copies = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.sampled_from(["p", "q", "SUPERSEDED/p", "deep/er"]),
        versions,
        st.sets(st.sampled_from("fgh"), min_size=1),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda c: (c[0], c[1]),
)
inner = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["p/data", "q/data", "q/data_v2", "lone"]), versions),
    max_size=4,
    unique_by=lambda c: (c[0], c[1]),
)


def write(
    tmp: Path, bundles: list[tuple[str, str, str, set[str]]], inside: list[tuple[str, str, str]]
) -> dict[str, Path]:
    sources = {"a": tmp / "a", "b": tmp / "b"}
    for path in sources.values():
        path.mkdir()
    for source, place, version, files in bundles:
        build(sources[source], {f"{place}/bundle.xml": bundle("x", version), **{f"{place}/{f}": source for f in files}})
    for source, place, version in inside:
        build(
            sources[source],
            {f"{place}/collection.xml": collection("x:data", version), f"{place}/{source}{version}": ""},
        )
    return sources


def pair(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


@SETTINGS
@given(copies, inner)
def test_no_file_of_a_superseded_dataset_and_every_winner(
    bundles: list[tuple[str, str, str, set[str]]], inside: list[tuple[str, str, str]]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        tmp = Path(name)
        plan, _ = run(tmp, write(tmp, bundles, inside), spec(["a", "b"]))
        origins = set(visible(plan).values())
        best = max(pair(v) for _, _, v, _ in bundles)
        for source, place, version, files in bundles:
            mine = {f"{source}:{place}/{f}" for f in files}
            if pair(version) < best:
                assert not mine & origins, "a file of a superseded bundle shines through"
        winners = {f for _, _, v, files in bundles if pair(v) == best for f in files}
        shown = {o.rpartition("/")[2] for o in origins}
        assert winners <= shown, "a file of a winner is missing"
        newest = max((pair(v) for _, _, v in inside), default=None)
        for source, place, version in inside:
            if pair(version) < newest:
                assert f"{source}:{place}/{source}{version}" not in origins
        old = {(s, p) for s, p, v, _ in bundles if pair(v) < best}
        for source, place, version in inside:
            if pair(version) == newest and (source, place.rpartition("/")[0]) not in old:
                assert f"{source}{version}" in shown, "the newest collection is missing"


@SETTINGS
@given(copies, st.sampled_from(["a", "b"]))
def test_order_of_sources_is_irrelevant_where_rules_decide(
    bundles: list[tuple[str, str, str, set[str]]], winner: str
) -> None:
    loser = "b" if winner == "a" else "a"
    rules = [{"supersedes": {"winner": f"{winner}:**", "loser": f"{loser}:**"}}]
    with tempfile.TemporaryDirectory() as name:
        tmp = Path(name)
        sources = write(tmp, bundles, [])
        seen = []
        for n, order in enumerate((["a", "b"], ["b", "a"])):
            plan, _ = run(tmp, sources, spec(order, {".": order}, rules=rules), f"g{n}")
            seen.append(visible(plan))
        if {s for s, *_ in bundles} == {"a", "b"}:
            assert seen[0] == seen[1]


@SETTINGS
@given(copies, inner)
def test_a_plan_is_idempotent(
    bundles: list[tuple[str, str, str, set[str]]], inside: list[tuple[str, str, str]]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        tmp = Path(name)
        sources = write(tmp, bundles, inside)
        first, _ = run(tmp, sources, spec(["a", "b"]), "g1")
        again, _ = run(tmp, sources, spec(["a", "b"]), "g2", tmp / "g1")
        assert first.path.read_bytes() == again.path.read_bytes()
        # surveying what is visible shows the same again
        view = tmp / "view"
        view.mkdir()
        for place, origin in visible(first).items():
            source, _, path = origin.partition(":")
            build(view, {place: (sources[source] / path).read_text()})
        shown, _ = run(tmp, {"v": view}, spec(["v"]), "g3")
        assert set(visible(shown)) == set(visible(first))
