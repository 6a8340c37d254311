"""Labels that travel with a generation: read on the node, whatever is done to the NAS; said, verified, cited."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import Cluster, CommandFailed, eventually
from tests.e2e.conftest import namespace, person, variant, wait_ready
from tests.e2e.hubclient import Person
from tests.e2e.releases import OTES

SPACE, HUB, VIEW = "e2e-content", "labels", "e2e-content-labels"
TOP = "/archive/labels/data"
READ = f"""
import hashlib, json, pathlib
labels = sorted(pathlib.Path({TOP!r}).rglob("*.xml"))
print(json.dumps({{str(p.relative_to({TOP!r})): hashlib.sha256(p.read_bytes()).hexdigest() for p in labels}}))
"""
TOLD = "print(open('/archive/.pdshub/generation.json').read())"


@dataclass
class Labels:
    """The hub's view, its only directory on the NAS, and somebody with a server there."""

    cluster: Cluster
    place: Path
    person: Person

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.get("archiveview", VIEW).get("status", {})
        return found

    def condition(self) -> tuple[str, str]:
        """Status and reason of Local."""
        for one in self.status().get("conditions", []):
            if one["type"] == "Local":
                return str(one["status"]), str(one["reason"])
        return "", ""

    def plugin(self, *words: str) -> str:
        return self.cluster.run("kubectl", "pdshub", *words, timeout=240)

    def on_nas(self) -> dict[str, str]:
        """Digests of the labels as they are on the NAS."""
        found = sorted(self.place.rglob("*.xml"))
        return {str(p.relative_to(self.place)): hashlib.sha256(p.read_bytes()).hexdigest() for p in found}

    def everywhere(self) -> str:
        """Wait until all that shall travel does, on every node; the digest of it."""
        eventually(self.condition, lambda found: found == ("True", "Complete"), within=240, what="labels are local")
        return str(self.status()["generation"]["content"]["digest"])


@pytest.fixture(scope="module")
def labels(cluster: Cluster, sample: dict[str, Any]) -> Iterator[Labels]:
    place = cluster.nas_data / "pds-mission/e2e-content"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(cluster.nas_data / f"pds-mission/orex/{OTES}", place / OTES)
    nas = {"server": cluster.facts["NAS_IP"], "export": "/pds-mission"}
    inline = {
        "folder": "labels",
        "sources": [{"name": "mission", "nfs": nas}],
        "tree": [{"path": "data", "layers": [{"source": "mission", "path": "e2e-content"}]}],
        "authority": {"settleSeconds": 0},
        "survey": {"intervalSeconds": 3600, "storage": "1Gi", "auditLabelsPerSecond": 1000, "content": {}},
    }
    namespace(cluster, SPACE)
    cluster.apply(variant(sample, HUB, SPACE, archive={"inline": inline}))
    try:
        wait_ready(cluster, HUB, SPACE)
        ada = person(cluster, "ada", HUB, SPACE)
        ada.start()
        yield Labels(cluster, place, ada)
    finally:
        cluster.dismiss(SPACE, HUB)
        shutil.rmtree(place, ignore_errors=True)


def test_labels_are_local_and_said_to_be(labels: Labels) -> None:
    digest = labels.everywhere()
    there = labels.on_nas()
    assert len(there) > 2
    with labels.person.kernel() as kernel:
        assert json.loads(kernel.run(READ).ok()) == there
        content = json.loads(kernel.run(TOLD).ok())["content"]
    assert content["digest"] == digest and content["complete"] is True and content["files"] >= len(there)
    said = labels.plugin("archive", "status", VIEW)
    assert f"Read on the nodes themselves: {content['files']:,} of {content['files']:,} files" in said, said
    assert f"content {digest[7:19]}" in said and "LOCAL" in said, said
    (node,) = labels.status()["nodes"]
    assert (node["content"]["digest"], node["content"]["files"]) == (digest, content["files"])


def test_what_is_done_to_a_label_on_the_nas_is_found_and_harms_nobody(labels: Labels) -> None:
    """Of the same size and with the same time: only bytes tell."""
    labels.everywhere()
    before = labels.on_nas()
    victim = labels.place / min(before)
    status, kept = victim.stat(), victim.read_bytes()
    assert "0 differ from the sources" in labels.plugin("archive", "verify", VIEW)
    victim.write_bytes(kept[:-40] + bytes(reversed(kept[-40:])))
    os.utime(victim, ns=(status.st_atime_ns, status.st_mtime_ns))
    try:
        with labels.person.kernel() as kernel:
            assert json.loads(kernel.run(READ).ok()) == before, "users have the bytes of the survey"
        with pytest.raises(CommandFailed) as failed:
            labels.plugin("archive", "verify", VIEW)
        assert failed.value.code == 1 and "1 differ from the sources" in failed.value.out, failed.value.out
        assert "byte by byte" in failed.value.out and min(before) in failed.value.out
    finally:
        victim.write_bytes(kept)
        os.utime(victim, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_delivery_brings_its_labels_along(labels: Labels) -> None:
    former = labels.everywhere()
    (labels.place / OTES / "delivered.xml").write_text("<delivered/>\n")
    labels.plugin("archive", "refresh", VIEW, "--wait")
    eventually(lambda: labels.status()["generation"].get("content") and labels.condition()[0] == "True", within=240,
               what="the new one's labels are local")  # fmt: skip
    later = labels.everywhere()
    assert later != former
    with labels.person.kernel() as kernel:
        assert json.loads(kernel.run(READ).ok()) == labels.on_nas()


def test_taken_back_everything_is_read_from_the_nas(labels: Labels) -> None:
    labels.everywhere()
    change = [{"op": "remove", "path": "/spec/archive/inline/survey/content"}]
    labels.cluster.kubectl("patch", "pdshub", HUB, "-n", SPACE, "--type=json", "-p", json.dumps(change))
    eventually(labels.condition, lambda found: found == ("", ""), within=120, what="nothing is said of it any more")
    with labels.person.kernel() as kernel:
        assert json.loads(kernel.run(READ).ok()) == labels.on_nas()
