"""The seal on releases: what it is over, whose key it is, and whose work an unsealed revision may be."""

from __future__ import annotations

import asyncio
import copy
from typing import Any, cast

import pytest

from pdshub.api.hub import PDSHubStatus
from pdshub.kube import SECRET, Kube
from pdshub.reconcile.hub.release import Release
from pdshub.reconcile.hub.seal import ANNOTATION, KEY_SECRET, SealKey, is_sealed, key_name, seal
from pdshub.reconcile.hub.trust import Trust, trust
from tests.unit.reconcile.fakes import FakeKube

KEY = b"k" * 32


def secret(name: str = "sh.helm.release.v1.demo.v1", namespace: str = "ns", content: str = "abc") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, "data": {"release": content}}


def sealed(of: dict[str, Any], by: dict[str, Any] | None = None, key: bytes = KEY) -> dict[str, Any]:
    """A Secret with the seal of another one, or its own."""
    made = copy.deepcopy(of)
    made["metadata"]["annotations"] = {ANNOTATION: seal(key, by or of)}
    return made


CASES: list[tuple[str, dict[str, Any], bool]] = [
    ("its own", sealed(secret()), True),
    ("none", secret(), False),
    ("of another revision", sealed(secret(), secret("sh.helm.release.v1.demo.v2")), False),
    ("of another release", sealed(secret(), secret("sh.helm.release.v1.other.v1")), False),
    ("of another namespace", sealed(secret(), secret(namespace="theirs")), False),
    ("of another content", sealed(secret(), secret(content="abd")), False),
    ("by another key", sealed(secret(), key=b"x" * 32), False),
    ("no text", {**secret(), "metadata": {**secret()["metadata"], "annotations": {ANNOTATION: 7}}}, False),
    ("not ASCII", {**secret(), "metadata": {**secret()["metadata"], "annotations": {ANNOTATION: "é"}}}, False),
]


@pytest.mark.parametrize(("item", "whole"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_a_seal_is_good_for_one_content_in_one_place(item: dict[str, Any], whole: bool) -> None:
    assert is_sealed(KEY, item) is whole


def test_the_key_is_made_once_and_kept() -> None:
    kube = FakeKube()

    async def read() -> bytes:
        return await SealKey().get(cast(Kube, kube), "system")

    first, second = asyncio.run(read()), asyncio.run(read())
    assert first == second and len(first) == 32 and kube.writes == [f"apply secrets/{KEY_SECRET}"]
    assert key_name(first) != key_name(KEY) and first.hex() not in key_name(first)


def test_a_key_that_is_none_is_made_anew() -> None:
    kube = FakeKube()
    kube.put(SECRET, {"metadata": {"name": KEY_SECRET, "namespace": "system"}, "data": {"key": "!!"}})
    assert len(asyncio.run(SealKey().get(cast(Kube, kube), "system"))) == 32


OWN = ("s", "d")
WHOSE: list[tuple[str, dict[str, Any], dict[str, Any], Any, Trust]] = [
    ("sealed", {"sealed": True}, {}, None, Trust.SEALED),
    ("just made", {}, {}, OWN, Trust.OWN),
    ("just made, changed since", {"digest": "x"}, {}, OWN, Trust.NONE),
    ("about to be made", {}, {"releasing": 3}, None, Trust.INTENDED),
    ("another was about to be made", {}, {"releasing": 4}, None, Trust.NONE),
    ("from before there were seals", {}, {"revision": 3}, None, Trust.EARLIER),
    ("an older one from then", {}, {"revision": 5}, None, Trust.EARLIER),
    ("newer than what was known then", {}, {"revision": 2}, None, Trust.NONE),
    ("the key was lost", {}, {"revision": 3, "sealedBy": "old"}, None, Trust.EARLIER),
    ("its seal was taken off", {}, {"revision": 3, "sealedBy": "now"}, None, Trust.NONE),
    ("a hub that was never installed", {}, {}, None, Trust.NONE),
    ("no revision", {"revision": 0}, {}, None, Trust.NONE),
]


@pytest.mark.parametrize(("of", "status", "own", "whose"), [w[1:] for w in WHOSE], ids=[w[0] for w in WHOSE])
def test_whose_work_a_revision_is(of: dict[str, Any], status: dict[str, Any], own: Any, whose: Trust) -> None:
    base: dict[str, Any] = {"secret": "s", "revision": 3, "status": "deployed", "chart": "c", "version": "1"}
    release = Release(**{**base, "values": {}, "digest": "d", **of})
    assert trust(release, PDSHubStatus.model_validate(status), "now", own) is whose
