"""The proof: its verdict and its schedule as tables, and real attempts in real mounts."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pdshub.node.health import integrity, sample, write_probe
from pdshub.node.health.integrity import Proof, due, judge
from pdshub.node.health.published import Subject
from pdshub.node.health.sample import Known
from tests.unit.node import apart, proof_scenarios

REFUSED = dict.fromkeys(("create", "chmod", "rename", "remove"), "EROFS")
NAMES = (Known("a", 1, "md5", "0" * 32, "label"), Known("b/c", 2, "sha256", "1" * 64))
SUBJECT = Subject("sbn", "sbn", {"/t1": ("sbn",), "/t2": ("sbn",)}, "sha256:" + "ab" * 32, NAMES)
SAME = {"a": "same", "b/c": "same"}


def tried(at: str = "sbn", target: str = "/t1", read_only: bool = True, **actions: str) -> dict[str, Any]:
    return {"target": target, "at": at, "readOnly": read_only, "actions": {**REFUSED, **actions}}


def verdict(rows: list[dict[str, Any]], words: dict[str, str], subject: Subject = SUBJECT) -> Proof:
    answer = {"identity": {"uid": 1000}, "tried": rows, "files": {"words": words, "bytes": 3}}
    return judge(subject, answer, "2026-11-23T00:00:00Z", 1.0)


@pytest.mark.parametrize(
    ("rows", "words", "result", "says"),
    [
        (
            [tried(".")],
            SAME,
            "intact",
            "create, chmod, rename, remove were refused in 1 volume; files that had the bytes of label or survey: 2",
        ),
        ([tried(), tried(target="/t2")], SAME, "intact", "2 volumes"),
        ([tried(open="EACCES")], SAME, "intact", "open"),
        ([tried(), tried(target="/t2", create="succeeded")], SAME, "violated", "create succeeded in 1 of 2 volumes"),
        ([tried(create="succeeded", rename="succeeded")], SAME, "violated", "create, rename succeeded"),
        ([tried(create="EACCES")], SAME, "violated", "create (EACCES) should have been refused with EROFS"),
        ([tried(remove="ENOENT")], SAME, "violated", "remove (ENOENT)"),
        ([tried(change="ENOTCONN", chmod="ENOTCONN")], SAME, "incomplete", "no answer, as one that is renewed: chmod"),
        ([tried(chmod="ESTALE"), tried(target="/t2")], {}, "incomplete", "renewed: chmod (ESTALE)"),
        ([tried(chmod="ENOTCONN", create="succeeded")], SAME, "violated", "create succeeded"),
        ([tried(chmod="ENOTCONN"), tried(target="/t2", chmod="EACCES")], SAME, "violated", "chmod (EACCES)"),
        ([tried(chmod="ENOTCONN", read_only=False)], SAME, "violated", "the mount is not read-only"),
        ([tried(read_only=False)], SAME, "violated", "the mount is not read-only"),
        ([tried()], {**SAME, "a": "bytes"}, "violated", "1 file of 2 sampled: a has other bytes"),
        ([tried()], {"a": "gone", "b/c": "size"}, "violated", "2 files, the first of them of 2 sampled: a is gone"),
        ([tried()], {**SAME, "a": "stale"}, "violated", "ESTALE"),
        ([tried()], {**SAME, "a": "EIO"}, "incomplete", "1 of 2 files were not read (EIO)"),
        ([tried()], {"a": "same"}, "incomplete", "the time was over"),
        ([tried()], {**SAME, "a": "private"}, "intact", "survey: 1"),
        ([tried(create="succeeded")], {**SAME, "a": "bytes"}, "violated", "other bytes"),
        ([], {}, "incomplete", "nothing could be tried"),
        ([{"target": "/t1", "at": "sbn", "readOnly": True, "actions": {}}], SAME, "incomplete", "nothing"),
        ([{"target": "/t1", "at": "sbn", "readOnly": False, "actions": {}}], SAME, "violated", "not read-only"),
    ],
)
def test_verdict(rows: list[dict[str, Any]], words: dict[str, str], result: str, says: str) -> None:
    found = verdict(rows, words)
    assert (found.result, found.ok) == (result, result == "intact")
    assert says in found.message
    if result == "intact":
        assert found.unwritable
    if rows and "a user could write" in found.message:
        assert found.unwritable is False
    if not rows or "as one that is renewed" in found.message:
        assert found.unwritable is None
    assert "/t1" not in json.dumps(found.document()), "targets hold the ids of other people's pods"


def test_live_view_has_no_sample() -> None:
    found = verdict([tried()], {}, Subject("sbn", "sbn", {"/t1": ("sbn",)}))
    assert found.ok and "files" not in found.message and found.files["sampled"] == 0


def test_source_away_is_no_violation() -> None:
    found = verdict([tried()], {}, Subject("sbn", "sbn", {"/t1": ("sbn",)}, "g", NAMES, reachable=False))
    assert found.unwritable and found.result == "incomplete" and "a source does not answer" in found.message


def _last(result: str, generation: str = "g") -> Proof:
    return Proof(result, "", "", generation)


@pytest.mark.parametrize(
    ("last", "since", "seconds", "expected"),
    [
        (None, 59, 3600, False),
        (None, 60, 3600, True),
        (None, 2, 2, True),
        (_last("intact"), 3599, 3600, False),
        (_last("intact"), 3600, 3600, True),
        (_last("violated"), 60, 3600, False),
        (_last("incomplete"), 60, 3600, True),
        (_last("changing"), 60, 3600, False),
        (_last("changing"), 3600, 3600, True),
        (_last("intact", "older"), 59, 3600, False),
        (_last("intact", "older"), 60, 3600, True),
    ],
)
def test_due(last: Proof | None, since: float, seconds: float, expected: bool) -> None:
    assert due(last, since, seconds, "g", integrity.FIRST) is expected


@pytest.mark.parametrize(
    ("action", "result", "expected"),
    [
        ("create", "EROFS", True),
        ("create", "EACCES", False),
        ("create", write_probe.SUCCEEDED, False),
        ("open", "EACCES", True),
        ("open", write_probe.SUCCEEDED, False),
        ("remove", "ENOENT", False),
    ],
)
def test_refused(action: str, result: str, expected: bool) -> None:
    assert write_probe.refused(action, result) is expected


GOOD = {"path": "a/b", "size": 3, "sha256": "A" * 64, "from": "survey"}
PLACED = {**GOOD, "source": "main", "at": "x/b", "dataset": "d", "mtime": 5, "ctime": 6, "above": [[1, 2]]}


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([], "files"),
        ({"files": {}}, "files"),
        ({"files": [GOOD] * 1001}, "at most"),
        ({"files": [GOOD, "x"]}, "files[1]"),
        ({"files": [{**GOOD, "path": "/etc/passwd"}]}, "files[0].path"),
        ({"files": [{**GOOD, "path": "a/../../b"}]}, "'..'"),
        ({"files": [{**GOOD, "path": "."}]}, "a path and a size"),
        ({"files": [{**GOOD, "path": None}]}, "files[0].path"),
        ({"files": [{**GOOD, "size": -1}]}, "size"),
        ({"files": [{**GOOD, "size": True}]}, "size"),
        ({"files": [{**GOOD, "size": "3"}]}, "size"),
        ({"files": [{**GOOD, "sha256": "0" * 63}]}, "neither"),
        ({"files": [{**GOOD, "sha256": "g" * 64}]}, "neither"),
        ({"files": [{"path": "a", "size": 1}]}, "neither"),
        ({"files": [{**PLACED, "at": "../x"}]}, "'..'"),
        ({"files": [{**PLACED, "at": "."}]}, "a source, a path"),
        ({"files": [{**PLACED, "at": None}]}, "files[0].at"),
        ({"files": [{**PLACED, "source": 7}]}, "a source, a path"),
        ({"files": [{**PLACED, "dataset": None}]}, "a dataset"),
        ({"files": [{**PLACED, "mtime": "5"}]}, "nanoseconds"),
        ({"files": [{**PLACED, "ctime": True}]}, "nanoseconds"),
        ({"files": [{**PLACED, "ctime": 1 << 63}]}, "nanoseconds"),
        ({"files": [{**PLACED, "above": 5}]}, "files[0].above"),
        ({"files": [{**PLACED, "above": [[1, 2, 3]]}]}, "files[0].above"),
        ({"files": [{**PLACED, "above": [[1, None]]}]}, "nanoseconds"),
    ],
)
def test_bad_samples(document: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says.replace("[", r"\[").replace(".", r"\.")):
        sample.parse(document)


def test_samples(tmp_path: Path) -> None:
    label = {"path": "./x//y", "size": 0, "md5": "0" * 32, "from": "label", "mtime": 5}
    file = tmp_path / "proof.json"
    assert sample.read(file) == ()
    file.write_text(json.dumps({"files": [GOOD, label, PLACED, {**PLACED, "ctime": None}], "labelsWrong": []}))
    placed = Known("a/b", 3, "sha256", "a" * 64, "survey", "main", "x/b", "d", 5, 6, ((1, 2),))
    assert sample.read(file) == (
        Known("a/b", 3, "sha256", "a" * 64), Known("x/y", 0, "md5", "0" * 32, "label"),
        placed, replace(placed, ctime=None),
    )  # fmt: skip
    for text in ("[" * 100_000, "no", " " * (sample.SIZE_LIMIT + 1)):
        file.write_text(text)
        with pytest.raises(ValueError):
            sample.read(file)


def test_names_that_are_no_text_are_escaped() -> None:
    assert sample.printable("a\udcffb\nc é") == r"a\udcffb\nc é"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize("name", proof_scenarios.ALL)
def test_scenario(name: str) -> None:
    apart.run("proof_scenarios", name)
