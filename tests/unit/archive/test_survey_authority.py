"""Who wins: one row a case, from files on disk to what users see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.archive.archive_support import build, bundle, collection, kinds, run, spec, visible, voldesc

X, XC = "x", "x:data"

CASES: dict[str, tuple[dict[str, dict[str, str]], dict[str, Any], dict[str, str]]] = {
    # name: ({source: files}, spec, {visible path: origin}); "a" is the first layer
    "a newer bundle hides the older whole": (
        {
            "a": {"x/bundle.xml": bundle(X, "1.9"), "x/only-old.dat": "1"},
            "b": {"x/bundle.xml": bundle(X, "1.10"), "x/new.dat": "2"},
        },
        spec(["a", "b"]),
        {"x/bundle.xml": "b:x/bundle.xml", "x/new.dat": "b:x/new.dat"},
    ),
    "equal versions merge, the first layer wins": (
        {
            "a": {"x/bundle.xml": bundle(X), "x/f": "a", "x/g": "a"},
            "b": {"x/bundle.xml": bundle(X), "x/f": "b", "x/h": "b"},
        },
        spec(["a", "b"]),
        {"x/bundle.xml": "a:x/bundle.xml", "x/f": "a:x/f", "x/g": "a:x/g", "x/h": "b:x/h"},
    ),
    "a newer collection replaces the one in the bundle": (
        {
            "a": {"x/bundle.xml": bundle(X), "x/data/collection.xml": collection(XC), "x/data/old": ""},
            "b": {"x/data/collection.xml": collection(XC, "2.0"), "x/data/new": ""},
        },
        spec(["a", "b"]),
        {
            "x/bundle.xml": "a:x/bundle.xml",
            "x/data/collection.xml": "b:x/data/collection.xml",
            "x/data/new": "b:x/data/new",
        },
    ),
    "copies under SUPERSEDED disappear": (
        {
            "a": {
                "x/bundle.xml": bundle(X),
                "x/data/c.xml": collection(XC, "2.0"),
                "x/data/new": "",
                "x/SUPERSEDED/data_v1/c.xml": collection(XC, "1.0"),
                "x/SUPERSEDED/data_v1/old": "",
            }
        },
        spec(["a"]),
        {"x/bundle.xml": "a:x/bundle.xml", "x/data/c.xml": "a:x/data/c.xml", "x/data/new": "a:x/data/new"},
    ),
    "a newer one lies inside the older, whose sibling would be inside itself": (
        {"a": {"x/bundle.xml": bundle(X), "x/f": "1", "x/new/bundle.xml": bundle(X, "2.0"), "x/new/f": "2"}},
        spec(["a"], superseded="sibling"),
        {
            "x/new/bundle.xml": "a:x/new/bundle.xml",
            "x/new/f": "a:x/new/f",
            "x/new::1.0/bundle.xml": "a:x/bundle.xml",
            "x/new::1.0/f": "a:x/f",
        },
    ),
    "a newer one lies inside the older, which is hidden": (
        {"a": {"x/bundle.xml": bundle(X), "x/f": "1", "x/new/bundle.xml": bundle(X, "2.0"), "x/new/f": "2"}},
        spec(["a"]),
        {"x/new/bundle.xml": "a:x/new/bundle.xml", "x/new/f": "a:x/new/f"},
    ),
    "siblings keep older versions reachable": (
        {
            "a": {
                "x2/bundle.xml": bundle(X, "2.0"),
                "x1/bundle.xml": bundle(X, "1.0"),
                "x1/data/collection.xml": collection(XC),
                "x1/data/f": "",
            }
        },
        spec(["a"], superseded="sibling"),
        {
            "x2/bundle.xml": "a:x2/bundle.xml",
            "x2::1.0/bundle.xml": "a:x1/bundle.xml",
            "x2::1.0/data/collection.xml": "a:x1/data/collection.xml",
            "x2::1.0/data/f": "a:x1/data/f",
        },
    ),
    "the newest collection outlives an older bundle around it": (
        {
            "a": {"x/bundle.xml": bundle(X, "2.0"), "x/data/collection.xml": collection(XC, "1.0"), "x/data/old": ""},
            "b": {"x/bundle.xml": bundle(X, "1.0"), "x/data/collection.xml": collection(XC, "2.0"), "x/data/new": ""},
        },
        spec(["a", "b"]),
        {
            "x/bundle.xml": "a:x/bundle.xml",
            "x/data/collection.xml": "b:x/data/collection.xml",
            "x/data/new": "b:x/data/new",
        },
    ),
    "a collection that the newer bundle lists survives": (
        {
            "a": {"x/bundle.xml": bundle(X, "2.0", ["urn:nasa:pds:x:data"])},
            "b": {
                "x/bundle.xml": bundle(X, "1.0"),
                "x/data/collection.xml": collection(XC),
                "x/data/f": "",
                "x/gone/collection.xml": collection("x:gone"),
                "x/gone/f": "",
            },
        },
        spec(["a", "b"]),
        {
            "x/bundle.xml": "a:x/bundle.xml",
            "x/data/collection.xml": "b:x/data/collection.xml",
            "x/data/f": "b:x/data/f",
        },
    ),
    "a rule beats versions": (
        {"a": {"x1/bundle.xml": bundle(X, "1.0"), "x2/bundle.xml": bundle(X, "2.0")}},
        spec(["a"], rules=[{"supersedes": {"winner": "x1", "loser": "x2"}}]),
        {"x1/bundle.xml": "a:x1/bundle.xml"},
    ),
    "a rule across identifiers": (
        {
            "a": {
                "o/bundle.xml": bundle("o"),
                "o/dc/collection.xml": collection("o:dc"),
                "o/dc/f": "",
                "o/dc2/collection.xml": collection("o:dc2"),
                "o/dc2/f": "",
            }
        },
        spec(["a"], rules=[{"supersedes": {"winner": "urn:nasa:pds:o:dc2", "loser": "urn:nasa:pds:o:dc"}}]),
        {"o/bundle.xml": "a:o/bundle.xml", "o/dc2/collection.xml": "a:o/dc2/collection.xml", "o/dc2/f": "a:o/dc2/f"},
    ),
    "a rule with a source's copy of a plain directory": (
        {"a": {"d/old": "", "d/both": ""}, "b": {"d/both": ""}},
        spec(["a", "b"], rules=[{"supersedes": {"winner": "b:d", "loser": "a:d"}}]),
        {"d/both": "b:d/both"},
    ),
    "the loser stays while the winner is not there": (
        {"a": {"d/f": ""}},
        spec(["a"], rules=[{"supersedes": {"winner": "e", "loser": "d"}}]),
        {"d/f": "a:d/f"},
    ),
    "a circle of rules is not applied": (
        {"a": {"d/f": "", "e/f": ""}},
        spec(
            ["a"], rules=[{"supersedes": {"winner": "e", "loser": "d"}}, {"supersedes": {"winner": "d", "loser": "e"}}]
        ),
        {"d/f": "a:d/f", "e/f": "a:e/f"},
    ),
    "hide": ({"a": {"d/f": "", "d/sub/f": "", "e": ""}}, spec(["a"], rules=[{"hide": "d"}]), {"e": "a:e"}),
    "rename": (
        {"a": {"d/f": "", "d/sub/f": ""}},
        spec(["a"], rules=[{"rename": {"from": "d", "to": "new/name"}}]),
        {"new/name/f": "a:d/f", "new/name/sub/f": "a:d/sub/f"},
    ),
    "pin a version": (
        {"a": {"x1/bundle.xml": bundle(X, "1.0"), "x2/bundle.xml": bundle(X, "2.0")}},
        spec(["a"], rules=[{"pin": {"dataset": "urn:nasa:pds:x", "version": "1.0"}}]),
        {"x1/bundle.xml": "a:x1/bundle.xml"},
    ),
    "pin a source": (
        {"a": {"x/bundle.xml": bundle(X, "3.0"), "x/a": ""}, "b": {"x/bundle.xml": bundle(X, "2.0"), "x/b": ""}},
        spec(["a", "b"], rules=[{"pin": {"dataset": "urn:nasa:pds:x", "source": "b"}}]),
        {"x/bundle.xml": "b:x/bundle.xml", "x/b": "b:x/b"},
    ),
    "PDS3: a data set's newer version": (
        {
            "a": {"SPEC_V1_0/voldesc.cat": voldesc("SBN_1", "EAR-A-SPEC-V1.0"), "SPEC_V1_0/data/f": ""},
            "b": {"SPEC_V2_0/VOLDESC.CAT": voldesc("SBN_9", "EAR-A-SPEC-V2.0"), "SPEC_V2_0/data/f": ""},
        },
        spec(["a", "b"]),
        {"SPEC_V2_0/VOLDESC.CAT": "b:SPEC_V2_0/VOLDESC.CAT", "SPEC_V2_0/data/f": "b:SPEC_V2_0/data/f"},
    ),
    "PDS3: volumes of one data set live side by side": (
        {
            "a": {
                "V1/voldesc.cat": voldesc("CO_1", "CO-ISS-V1.0"),
                "V2/voldesc.cat": voldesc("CO_2", "CO-ISS-V1.0", "VERSION 2"),
            }
        },
        spec(["a"]),
        {"V1/voldesc.cat": "a:V1/voldesc.cat", "V2/voldesc.cat": "a:V2/voldesc.cat"},
    ),
    "different datasets at one place: the first layer's": (
        {"a": {"p/bundle.xml": bundle("one"), "p/f": ""}, "b": {"p/bundle.xml": bundle("two"), "p/g": ""}},
        spec(["a", "b"]),
        {"p/bundle.xml": "a:p/bundle.xml", "p/f": "a:p/f"},
    ),
    "copies of one version at two places have one home": (
        {"a": {"p/bundle.xml": bundle(X), "p/f": ""}, "b": {"deep/q/bundle.xml": bundle(X), "deep/q/g": ""}},
        spec(["a", "b"]),
        {"p/bundle.xml": "a:p/bundle.xml", "p/f": "a:p/f", "p/g": "b:deep/q/g"},
    ),
    "a broken label takes no part in versions": (
        {"a": {"x/bundle.xml": "<Product_Bundle", "x/f": ""}, "b": {"y/bundle.xml": bundle(X, "2.0")}},
        spec(["a", "b"]),
        {"x/bundle.xml": "a:x/bundle.xml", "x/f": "a:x/f", "y/bundle.xml": "b:y/bundle.xml"},
    ),
    "layers below the sources' roots": (
        {"a": {"deep/orex/f": "", "other/g": ""}, "b": {"m/f": "", "m/h": ""}},
        spec(["a", "b"], {"orex": ["b:m", "a:deep/orex"], "o": ["a:other"]}),
        {"orex/f": "b:m/f", "orex/h": "b:m/h", "o/g": "a:other/g"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_who_is_shown(name: str, tmp_path: Path) -> None:
    files, view, expected = CASES[name]
    sources = {s: build(tmp_path / s, tree) for s, tree in files.items()}
    plan, _ = run(tmp_path, sources, view)
    assert visible(plan) == expected


FINDINGS: dict[str, tuple[dict[str, dict[str, str]], str]] = {
    "conflict": ({"a": {"d/f": "1"}, "b": {"d/f": "22"}}, "conflict"),
    "case": ({"a": {"d/f": "", "d/F": ""}}, "case-only"),
    "too long": ({"a": {f"{'d' * 200}/{'f' * 60}": ""}}, "path-too-long"),
    "temporary": ({"a": {"d/.f.fits.Ab3dE9": ""}}, "temporary-files"),
    "file and directory": ({"a": {"d/f": ""}, "b": {"d": ""}}, "file-and-directory"),
    "broken label": ({"a": {"d/bundle.xml": "<a"}}, "broken-label"),
    "broken version": ({"a": {"d/bundle.xml": bundle("x", "one")}}, "broken-version"),
    "place taken": ({"a": {"p/bundle.xml": bundle("one")}, "b": {"p/bundle.xml": bundle("two")}}, "place-taken"),
    "overlap": ({"a": {"p/bundle.xml": bundle("one")}, "b": {"p/bundle.xml": bundle("one")}}, "overlap"),
}


@pytest.mark.parametrize("name", FINDINGS)
def test_findings_in_words(name: str, tmp_path: Path) -> None:
    files, kind = FINDINGS[name]
    sources = {s: build(tmp_path / s, tree) for s, tree in files.items()}
    plan, _ = run(tmp_path, sources, spec(sorted(files)))
    assert kind in kinds(plan)
    assert f": {kind}: " in (tmp_path / "gen" / "findings.txt").read_text()


def test_links_stay_inside_their_dataset(tmp_path: Path) -> None:
    a = build(tmp_path / "a", {"x/bundle.xml": bundle("x"), "x/sub/f": "", "y/g": ""})
    for name, target in {
        "good": "sub/f",
        "up": "sub/../sub/f",
        "out": "../y/g",
        "abs": "/etc/passwd",
        "self": "self",
        "dir": "sub",
        "via": "dir/../../y/g",
    }.items():
        (a / "x" / name).symlink_to(target)
    plan, _ = run(tmp_path, {"a": a}, spec(["a"]))
    links = {link[0] for d in plan.tree() for link in d.get("links", ())}
    assert links == {"good", "up", "dir"}
    assert "link-hidden" in kinds(plan)
    assert visible(plan)["x/sub/f"] == "a:x/sub/f"


def test_no_device_socket_or_setuid_bit(tmp_path: Path) -> None:
    import os

    a = build(tmp_path / "a", {"d/f": ""})
    (a / "d" / "f").chmod(0o6755)
    os.mkfifo(a / "d" / "pipe")
    plan, _ = run(tmp_path, {"a": a}, spec(["a"]))
    groups = [g for d in plan.tree() for g in d.get("groups", ())]
    assert [(g["names"], g["attr"][0]) for g in groups] == [(["f"], 0o755)]
    assert "not-shown" in kinds(plan)


def test_bytes_that_are_no_utf8_survive(tmp_path: Path) -> None:
    import os

    (tmp_path / "a").mkdir()
    with open(os.fsencode(tmp_path / "a") + b"/caf\xe9.dat", "wb"):
        pass
    plan, _ = run(tmp_path, {"a": tmp_path / "a"}, spec(["a"]))
    assert [os.fsencode(p) for p in visible(plan)] == [b"caf\xe9.dat"]


def test_order_of_data_layers(tmp_path: Path) -> None:
    a = build(tmp_path / "a", {"p/bundle.xml": bundle("p", "2.0"), "q/bundle.xml": bundle("q", "1.0")})
    b = build(tmp_path / "b", {"p/bundle.xml": bundle("p", "1.0"), "q/bundle.xml": bundle("q", "2.0")})
    plan, _ = run(tmp_path, {"a": a, "b": b}, spec(["a", "b"]))
    assert plan.tail["dataOrder"] is None  # each source has the winner of a path that the other holds too
    (b / "q" / "bundle.xml").unlink()
    plan, _ = run(tmp_path, {"a": a, "b": b}, spec(["b", "a"], {".": ["a", "b"]}), "gen2")
    assert plan.tail["dataOrder"] == ["a"]
