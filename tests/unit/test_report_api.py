"""The node report between two programs of different age, one of which may mean harm."""

from __future__ import annotations

import asyncio
import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pdshub.api.report import Report, ViewReport
from pdshub.reconcile.common import node_reports
from pdshub.reconcile.common.node_reports import NodeReport

NAME = "sha256:" + "a" * 64
WIRE: dict[str, Any] = {
    "node": "n1",
    "kernel": "6.12.0",
    "version": "0.1.0",
    "csi": {"publishes": 3, "lastPublishSeconds": 0.25},
    "views": {
        "sbn": {
            "generation": 3, "shows": NAME, "form": "catalog", "fetching": "", "shown": {NAME: 2, "live": 1},
            "held": 1,
            "heldServers": [
                {"pod": "0b5c7e4e-2f5c-4d4f-9a58-1f0f6a1f1c2e", "generation": NAME, "since": "2026-01-01T00:00:00Z",
                 "until": "2026-01-01T01:00:00Z"},
                {"pod": "u2", "generation": "live", "since": "2026-01-01T00:00:00Z", "until": ""},
            ],
            "ready": True, "state": "ready", "targets": 3, "message": "",
            "proof": {
                "ok": True, "result": "intact", "at": "2026-01-01T00:00:00Z", "message": "m", "generation": NAME,
                "unwritable": None, "identity": {"uid": 1000}, "targets": 1, "tried": {"open": "EROFS"},
                "files": {"sampled": 2, "unreadWhy": ["EIO"]}, "seconds": 0.5,
            },
            "canary": {
                "checked": 9, "at": "2026-01-01T00:00:00Z", "differ": {"a": "size"}, "differing": 1, "unread": 0,
                "renewals": 2, "message": "m",
            },
            "surveyWanted": "aaaaaaaaaaaa-100",
        },
        "broken": {
            "generation": 0, "form": "live", "ready": False, "state": "failed", "targets": 0, "message": "spec.folder",
        },
    },
    "sources": {
        "sbn": {
            "main": {
                "ready": True, "state": "ready", "mode": "kernel-nfs", "message": "", "latencySeconds": 0.002,
                "identityChanged": "", "identityChanges": 0,
            },
            "more": {"ready": False, "state": "failed", "mode": "", "message": "no answer", "latencySeconds": 0.0},
        }
    },
    "failures": {"sbn": 7, "": 1},
}  # fmt: skip
HELD = WIRE["views"]["sbn"]["heldServers"][1]
Path = tuple[str, ...]


def at(document: Any, path: Path) -> Any:
    for key in path:
        document = document[key]
    return document


def changed(path: Path, value: Any) -> dict[str, Any]:
    document = copy.deepcopy(WIRE)
    at(document, path[:-1])[path[-1]] = value
    return document


def test_the_wire_is_what_it_was() -> None:
    """By name, and no more than what was said: an operator of before reads it."""
    assert Report.model_validate(WIRE).wire() == WIRE
    assert json.loads(json.dumps(Report.model_validate(WIRE).wire())) == WIRE


@pytest.mark.parametrize(
    "path",
    [(), ("csi",), ("views", "sbn"), ("views", "sbn", "proof"), ("views", "sbn", "canary"), ("sources", "sbn", "main")],
    ids="/".join,
)
def test_fields_of_a_newer_node_are_ignored(path: Path) -> None:
    assert Report.read(changed((*path, "fieldOfTomorrow"), {"a": [1]})) == Report.read(WIRE)


@pytest.mark.parametrize(
    ("path", "value", "lacks"),
    [
        (("csi",), 7, ("csi",)),
        (("csi", "publishes"), "3", ("csi", "publishes")),
        (("views",), [], ("views",)),
        (("views", "sbn"), "ready", ("views", "sbn")),
        (("views", "sbn", "ready"), "yes", ("views", "sbn", "ready")),
        (("views", "sbn", "ready"), 1, ("views", "sbn", "ready")),
        (("views", "sbn", "targets"), "many", ("views", "sbn", "targets")),
        (("views", "sbn", "targets"), True, ("views", "sbn", "targets")),
        (("views", "sbn", "targets"), 1.5, ("views", "sbn", "targets")),
        (("views", "sbn", "message"), {"text": "x"}, ("views", "sbn", "message")),
        (("views", "sbn", "shown", "live"), None, ("views", "sbn", "shown", "live")),
        (("views", "sbn", "heldServers"), 7, ("views", "sbn", "heldServers")),
        (("views", "sbn", "heldServers"), [7], ("views", "sbn", "heldServers")),
        (("views", "sbn", "heldServers"), [HELD | {"pod": "../x"}], ("views", "sbn", "heldServers")),
        (("views", "sbn", "heldServers"), [HELD | {"pod": "u\n"}], ("views", "sbn", "heldServers")),
        (("views", "sbn", "heldServers"), [HELD | {"generation": "newest"}], ("views", "sbn", "heldServers")),
        (("views", "sbn", "heldServers"), [HELD | {"since": "today"}], ("views", "sbn", "heldServers")),
        (("views", "sbn", "heldServers"), [HELD | {"until": "\x1b[2J"}], ("views", "sbn", "heldServers")),
        (("views", "sbn", "proof"), 7, ("views", "sbn", "proof")),
        (("views", "sbn", "proof", "ok"), "true", ("views", "sbn", "proof")),
        (("views", "sbn", "proof", "at"), 7, ("views", "sbn", "proof")),
        (("views", "sbn", "canary", "differing"), "4", ("views", "sbn", "canary", "differing")),
        (("sources",), None, ("sources",)),
        (("sources", "sbn"), 7, ("sources", "sbn")),
        (("sources", "sbn", "more"), [], ("sources", "sbn", "more")),
        (("sources", "sbn", "main", "latencySeconds"), "fast", ("sources", "sbn", "main", "latencySeconds")),
        (("failures", ""), "x", ("failures", "")),
    ],
    ids=lambda value: "/".join(value) if isinstance(value, tuple) else None,
)
def test_a_malformed_part_is_not_reported_and_the_rest_is(path: Path, value: Any, lacks: Path) -> None:
    rest = copy.deepcopy(WIRE)
    del at(rest, lacks[:-1])[lacks[-1]]
    assert NodeReport("n1", changed(path, value)).parsed == Report.read(rest)
    with pytest.raises(ValidationError):
        Report.model_validate(changed(path, value))


@pytest.mark.parametrize(
    ("view", "source", "said"),
    [
        ({"ready": True}, {"ready": True}, True),
        ({"ready": "yes"}, {"mode": 7}, True),
        ({}, {}, False),
        ({"fieldOfTomorrow": 1}, {"fieldOfTomorrow": 1}, False),
        (7, None, False),
    ],
)
def test_an_empty_part_says_nothing(view: Any, source: Any, said: bool) -> None:
    """A node that says nothing of a source is not one that fails to reach it."""
    found = Report.read({"views": {"sbn": view}, "sources": {"sbn": {"main": source}}})
    assert (found.view("sbn") is not None, found.source("sbn", "main") is not None) == (said, said)
    assert found.view("other") is None and found.source("other", "main") is None


@pytest.mark.parametrize("answer", [None, [], 7, "report", {}], ids=repr)
def test_what_is_no_report_says_nothing(answer: Any) -> None:
    assert Report.read(answer) == Report()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PLACES = [
    ("views",), ("views", "sbn"), ("views", "sbn", "shown"), ("views", "sbn", "heldServers"),
    ("views", "sbn", "proof"), ("views", "sbn", "proof", "at"),
    ("views", "sbn", "canary"), ("sources",), ("sources", "sbn"), ("sources", "sbn", "main"), ("failures",), ("node",),
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PLACES), JSON)
def test_nothing_that_a_node_says_is_an_error(path: Path, value: Any) -> None:
    found = NodeReport("n1", changed(path, value)).parsed
    assert found.sources.get("sbn", {}).keys() <= {"main", "more"} or path == ("sources", "sbn") or path == ("sources",)
    for view in found.views.values():
        assert isinstance(view.ready, bool) and isinstance(view.targets, int) and isinstance(view.message, str)


def test_names_that_are_no_text_can_be_sent() -> None:
    said = ViewReport(message="pds\udcff/a differs").message
    assert json.dumps(said).encode() and said == "pds?/a differs"


def test_the_proof_of_a_status() -> None:
    proof = Report.read(WIRE).views["sbn"].proof
    assert proof and proof.status().model_dump() == {
        "ok": True, "result": "intact", "at": "2026-01-01T00:00:00Z", "message": "m",
    }  # fmt: skip


def test_a_held_server_of_a_status() -> None:
    held = Report.read(WIRE).views["sbn"].held_servers
    assert [(one.pod, one.generation, one.until) for one in (each.status() for each in held)] == [
        ("0b5c7e4e-2f5c-4d4f-9a58-1f0f6a1f1c2e", "a" * 12, "2026-01-01T01:00:00Z"), ("u2", "live", ""),
    ]  # fmt: skip


class Response:
    """An HTTP response in pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self.content, self._pieces, self.read = self, pieces, 0

    async def iter_chunked(self, size: int) -> Any:
        for piece in self._pieces:
            self.read += 1
            yield piece


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"[]", "no report"),
        (b"7", "no report"),
        (b"[" * 100_000, "nested too deeply"),
        (b"{", "Expecting"),
        (b"\xff", "utf-8"),
    ],
)
def test_an_answer_that_is_none(body: bytes, says: str) -> None:
    """Every one is a ValueError, which is told of that node and stops no other."""
    with pytest.raises(ValueError, match=says):
        asyncio.run(node_reports._answer(Response(body)))  # type: ignore[arg-type]


def test_an_answer_without_end_is_cut_off() -> None:
    flood = Response(*[b" " * (1 << 20)] * 100)
    with pytest.raises(ValueError, match="longer than"):
        asyncio.run(node_reports._answer(flood))  # type: ignore[arg-type]
    assert flood.read <= 3
