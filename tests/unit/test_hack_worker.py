"""The second node of tests: what it is made with, and what is left of one."""

from __future__ import annotations

import ipaddress
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from devcluster import worker
from devcluster.engine import Engine
from devcluster.run import StepFailed
from devcluster.settings import POD_RANGE, ROOT, Paths

FIRST = (ROOT / "hack/kind" / worker.CONFLIST).read_text()


def test_its_pods_have_addresses_of_their_own_within_the_clusters() -> None:
    first, second, whole = (
        ipaddress.IPv4Network(text) for text in (worker.FIRST_RANGE, worker.SECOND_RANGE, POD_RANGE)
    )
    assert not first.overlaps(second) and first.subnet_of(whole) and second.subnet_of(whole)


def test_its_network_is_the_first_nodes_but_for_the_range() -> None:
    was, made = json.loads(FIRST), json.loads(worker.conflist(FIRST))
    (ipam,) = made["plugins"][0]["ipam"]["ranges"][0]
    assert ipam == {"subnet": worker.SECOND_RANGE}
    ipam["subnet"] = worker.FIRST_RANGE
    assert made == was


@pytest.mark.parametrize(
    "plugins", [[], [{"ipam": {"ranges": [[{"subnet": "10.1.0.0/24"}]]}}]], ids=["none", "another range"]
)
def test_another_network_than_it_knows_is_refused(plugins: list[dict[str, Any]]) -> None:
    with pytest.raises(StepFailed, match=r"adapt worker\.py"):
        worker.conflist(json.dumps({"plugins": plugins}))


@pytest.mark.parametrize(("engine", "var"), [("podman", "w-var:/var:suid,exec,dev"), ("docker", "w-var:/var")])
def test_kind_takes_it_for_a_node_of_its_own(engine: str, var: str) -> None:
    words = worker.run_arguments(engine, "pdshub", "w", "node:1", ("pdshub-control-plane", "10.89.0.2"), ["/x:/y:ro"])
    assert words[0] == "run" and words[-1] == "node:1"
    given = list(itertools.pairwise(words))
    assert ("--label", "io.x-k8s.kind.cluster=pdshub") in given, "kind delete cluster takes it along"
    assert ("--volume", var) in given and ("--volume", "/x:/y:ro") in given
    assert ("--add-host", "pdshub-control-plane:10.89.0.2") in given
    assert "--publish" not in words, "no port of this machine is its"


def test_where_there_is_none_nobody_is_asked(tmp_path: Path) -> None:
    assert worker.leave(Paths(tmp_path, "pdshub"), Engine("no-such-engine")) is False
