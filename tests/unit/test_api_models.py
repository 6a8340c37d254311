"""What the models refuse, with the field and the fix; the CRDs' rules say the same at apply."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from pydantic import ValidationError

from pdshub.api.base import parse_quantity
from pdshub.api.hub import PDSHubSpec
from pdshub.api.refusal import refusal_words
from pdshub.api.view import ArchiveViewSpec
from pdshub.archive.view import view_from_spec
from pdshub.generation_id import named

GOOD: dict[str, Any] = {
    "signIn": {"development": {}},
    "archive": {
        "inline": {
            "sources": [{"name": "main", "nfs": {"server": "nas", "export": "/pds"}}],
            "tree": [{"path": "pds4", "layers": [{"source": "main", "path": "pds4"}]}],
        }
    },
}


def broken(path: str, value: Any) -> dict[str, Any]:
    """The good spec with one field set; numbers in the path index lists."""
    spec = copy.deepcopy(GOOD)
    node: Any = spec
    *parents, last = path.split(".")
    for part in parents:
        node = node[int(part)] if isinstance(node, list) else node.setdefault(part, {})
    node[int(last) if isinstance(node, list) else last] = value
    return spec


CASES: list[tuple[str, Any, list[str]]] = [
    ("signIn", None, ["signIn is missing"]),
    ("signIn", {}, ["spec.signIn", "exactly one"]),
    ("archive.inline.sources.0.nfs.export", "", ["nfs.export", "empty"]),
    ("archive.inline.sources.0.nfs.export", "pds", ["nfs.export", "absolute"]),
    ("archive.inline.sources.0.nfs.export", "/a/../b", ["nfs.export", ".."]),
    ("archive.inline.tree.0.path", "/pds4", ["tree.0.path", "relative"]),
    ("archive.inline.tree.0.path", "", ["tree.0.path", "'.'"]),
    ("archive.inline.tree.0.layers.0.source", "nas9", ["nas9", "not in sources"]),
    ("archive.inline.sources.0", {"name": "main", "local": {"path": "/etc"}}, ["local paths", "viewRef"]),
    ("archive.inline.sources.0", {"name": "main"}, ["sources.0", "nfs, s3 or local"]),
    ("archive.inline.sources.0", {"name": "main", "s3": {"bucket": "pds-x"}}, ["sources.0.s3", "region"]),
    ("archive.inline.sources.0.s3", {"bucket": "pds-x", "region": "us-east-1"}, ["sources.0", "exactly one"]),
    (
        "archive.inline.sources.0",
        {"name": "main", "s3": {"bucket": "pds-x", "region": "us-east-1", "prefix": "../b"}},
        ["s3.prefix"],
    ),
    (
        "archive.inline.sources.0",
        {"name": "main", "s3": {"bucket": "pds-x", "region": "us-east-1"}, "runAs": {"uid": 1000, "gid": 1000}},
        ["sources.0", "runAs"],
    ),
    (
        "archive.inline.sources.0",
        {"name": "main", "s3": {"bucket": "pds-x", "endpoint": "https://s3.x", "limits": {"usdPerMonth": 3}}},
        ["usdPerMonth", "AWS"],
    ),
    ("archive.inline.pin", "0123456789ab", ["archive.inline", "ArchiveView", "pin"]),
    ("archive.inline.approved", "0123456789ab", ["archive.inline", "ArchiveView"]),
    ("archive.inline.survey", {"keep": 1}, ["survey.keep", "2"]),
    ("archive.inline.survey", {"intervalSeconds": 5}, ["survey.intervalSeconds", "60"]),
    ("archive.inline.survey", {"stampFile": "../etc/passwd"}, ["survey.stampFile", ".."]),
    ("archive.inline.survey", {"storage": "much"}, ["survey.storage", "quantity"]),
    ("archive.inline.authority", {"rules": [{"hide": "a", "rename": {"from": "b", "to": "c"}}]}, ["rules.0", "one of"]),
    ("archive.updates", "never", ["archive.updates", "nextServer"]),
    ("archive.maxHoldSeconds", 90000, ["maxHoldSeconds", "86400"]),
    ("archive.viewRef", "sbn", ["exactly one"]),
    ("archive.mountPath", "archive", ["mountPath", "absolute"]),
    ("server.resources.memory", {"limit": "1Gi", "guarantee": "2Gi"}, ["resources.memory", "above limit"]),
    ("server.resources.memory", {"limit": "4 gigs"}, ["memory.limit", "512Mi"]),
    ("server.defaultProfile", "huge", ["defaultProfile", "huge"]),
    ("nonsense", 1, ["spec.nonsense"]),
]


@pytest.mark.parametrize(("path", "value", "says"), CASES, ids=[f"{c[0]}={c[1]!r}" for c in CASES])
def test_refused(path: str, value: Any, says: list[str]) -> None:
    with pytest.raises(ValidationError) as refused:
        PDSHubSpec.model_validate(broken(path, value))
    assert all(word in refusal_words(refused.value) for word in says), refusal_words(refused.value)


def test_the_good_one_is_good() -> None:
    spec = PDSHubSpec.model_validate(GOOD)
    assert PDSHubSpec.model_validate(spec.wire()) == spec


def test_local_sources_are_for_archive_views() -> None:
    inline = copy.deepcopy(GOOD["archive"]["inline"])
    inline["sources"][0] = {"name": "main", "local": {"path": "/srv/archive"}}
    assert ArchiveViewSpec.model_validate(inline).sources[0].local


def view(**fields: Any) -> ArchiveViewSpec:
    return ArchiveViewSpec.model_validate({**GOOD["archive"]["inline"], **fields})


HEX = "0123456789ab" + "c" * 52


@pytest.mark.parametrize(
    ("reference", "good"),
    [
        (HEX[:12], True),
        (HEX[:13], True),
        (HEX, True),
        (f"sha256:{HEX}", True),
        (HEX[:11], False),
        (HEX + "0", False),
        (HEX[:12].upper(), False),
        ("latest", False),
        ("", False),
    ],
)
def test_what_names_a_generation(reference: str, good: bool) -> None:
    for field in ("pin", "approved"):
        if good:
            assert named(view(**{field: reference}).wire()[field], f"sha256:{HEX}")
        else:
            with pytest.raises(ValidationError):
                view(**{field: reference})


@pytest.mark.parametrize(
    ("reference", "name", "same"),
    [
        (None, f"sha256:{HEX}", False),
        ("", f"sha256:{HEX}", False),
        (HEX[:12], "", False),
        (HEX[1:14], f"sha256:{HEX}", False),
        (f"sha256:{HEX[:12]}", f"sha256:{HEX}", True),
    ],
)
def test_a_reference_means_one_generation_or_none(reference: str | None, name: str, same: bool) -> None:
    assert named(reference, name) is same


@pytest.mark.parametrize(
    ("fields", "cataloged"),
    [
        ({}, True),
        ({"form": "live"}, False),
        ({"tree": [{"path": "a", "live": True, "layers": [{"source": "main"}]}]}, False),
        (
            {
                "tree": [
                    {"path": "a", "live": True, "layers": [{"source": "main"}]},
                    {"path": "b", "layers": [{"source": "main"}]},
                ]
            },
            True,
        ),
    ],
)
def test_whether_there_is_anything_to_survey(fields: dict[str, Any], cataloged: bool) -> None:
    assert view(**fields).cataloged is cataloged


def test_a_survey_decides_what_its_view_says_and_leaves_live_entries_alone() -> None:
    spec = view(
        authority={"superseded": "sibling"},
        tree=[
            {"path": "now", "live": True, "layers": [{"source": "main", "path": "incoming"}]},
            {"path": "pds4", "layers": [{"source": "main", "path": "pds4"}]},
        ],
        release="approve",
        pin=HEX,
    )
    surveyed = view_from_spec("sbn", spec.wire())
    assert surveyed.authority.superseded == "sibling"
    assert [(layer.entry, layer.tree) for layer in surveyed.layers] == [(1, "pds4")]


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1), ("1k", 1000), ("1Ki", 1024), ("1.5Gi", 1610612736), ("1e3", 1000), ("2E", 2 * 10**18), ("1Ei", 2**60)],
)
def test_quantities(text: str, number: int) -> None:
    assert parse_quantity(text) == number


@pytest.mark.parametrize("text", ["", "big", "4 Gi", "4GiB", "1e", "--1", "Gi"])
def test_no_quantities(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        parse_quantity(text)
