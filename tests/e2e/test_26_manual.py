"""The data manager's pages, typed in a cluster: a view of their own, and every output compared.

Generations may have other digits and times differ; everything else is equal. tests/unit/test_manual.py does the same
without a cluster.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import Cluster, eventually
from tests.manual import Same, Step, blocks, steps

VIEW = "e2e-manual"
pytestmark = [pytest.mark.long, pytest.mark.alone]
"""The same pages run without a cluster with every change. Alone: what they show is the only view of a cluster."""
_PLACEHOLDER = "0123456789ab"
_CHANGES = (" apply ", " patch ", " approve ", " reject ", " pin ", " unpin ")


@dataclass
class Desk:
    """Somebody with a terminal and the manual. ``folder``: where they are; ``views``: the page's views, in order."""

    cluster: Cluster
    folder: Path
    views: list[str] = field(default_factory=list)

    def local(self, text: str) -> str:
        """A page's text with this view's name, and this cluster's NAS."""
        return re.sub(r"\bsbn\b", VIEW, text).replace("nas.example.org", self.cluster.facts["NAS_IP"])

    def type(self, command: str) -> tuple[int, str]:
        """The exit code of a command and all that it says."""
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=self.cluster.environ, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=700, check=False,
        )  # fmt: skip
        if any(word in f"{command} " for word in _CHANGES) and done.returncode == 0:
            self.taken_up()
        return done.returncode, done.stdout

    @property
    def view(self) -> dict[str, Any]:
        return self.cluster.get("archiveview", VIEW)

    def taken_up(self) -> None:
        """Wait until the operator speaks of the spec as it is."""
        eventually(
            lambda: self.view,
            lambda view: view["status"].get("observedGeneration") == view["metadata"]["generation"],
            within=120,
            what="the operator has taken up the spec",
        )

    def apply(self, number: int) -> None:
        """One of the page's views, until it is surveyed and something waits (or users see it, without approval)."""
        (self.folder / "view.yaml").write_text(self.views[number])
        code, said = self.type("kubectl apply -f view.yaml")
        assert code == 0, said
        self.decided()

    def decided(self) -> None:
        """Wait until the newest generation is that of the spec."""
        waits = self.view["spec"].get("release") == "approve"

        def found() -> Any:
            status = self.view.get("status", {})
            if status.get("survey", {}).get("state", "running") == "running":
                return None
            if waits:
                return (status.get("candidate") or {}).get("changes")
            return status.get("generation")

        eventually(found, lambda it: it is not None, within=240, what="the spec is surveyed")

    def newest(self) -> str:
        """Digits of the newest generation."""
        return str(self.view["status"]["generations"][0]["name"]).removeprefix("sha256:")[:12]


@pytest.fixture(scope="module")
def desk(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A terminal in an empty folder; the view that the pages make goes away in the end."""
    made = Desk(cluster, tmp_path_factory.mktemp("desk"))
    made.views = [made.local(step.yaml) for step in steps("worked-example.md") if step.yaml]
    cluster.kubectl("delete", "archiveview", VIEW, "--ignore-not-found", "--timeout=120s", timeout=130)
    try:
        yield made
    finally:
        cluster.kubectl("delete", "archiveview", VIEW, "--ignore-not-found", "--timeout=120s", timeout=130)


def test_the_worked_example(desk: Desk) -> None:
    same, wrong = Same(), []
    for step in steps("worked-example.md"):
        if step.yaml:
            (desk.folder / "view.yaml").write_text(desk.local(step.yaml))
            continue
        _, real = desk.type(desk.local(same.really(step.command)))
        if step.command.startswith("kubectl apply"):
            desk.decided()
        if difference := same.difference(tuple(map(desk.local, step.lines)), real):
            wrong.append(f"$ {step.command}\n{difference}")
    assert not wrong, "\n\n".join(wrong)


def test_the_check_of_the_proof_says_something_in_a_young_view(desk: Desk) -> None:
    block = next(text for _, text in blocks("security-checks.md") if "no proof yet" in text)
    command = block.removeprefix("$ ").partition("\nnode-1")[0].replace("hub-sbn", VIEW)
    code, said = desk.type(command)
    nodes = [node["name"] for node in desk.view["status"]["nodes"]]
    lines = said.strip().splitlines()
    assert code == 0 and nodes and len(lines) == len(nodes), said
    for name, line in zip(nodes, lines, strict=True):
        assert re.fullmatch(rf"{name}: (no proof yet|(intact|changing|incomplete) \S+Z .+)", line), said


def _needs_a_candidate(step: Step) -> bool:
    """It decides on what waits: nothing waits once somebody has."""
    return any(word in step.command for word in ("archive approve ", "archive reject ", '"approved"', '"rejected"'))


def test_every_command_of_the_data_managers_page(desk: Desk) -> None:
    desk.cluster.kubectl("patch", "archiveview", VIEW, "--type=merge", "-p", '{"spec":{"pin":null}}')
    approving = desk.views[0] + "  release: approve\n"
    hidden = ("orex.tagcams", "orex.maps", "orex.ola", "orex.otes", "orex.ovirs", "orex.ocams")
    # each has a generation of its own: one that was decided on does not wait again
    desk.views = [approving, *(desk.views[1].replace("orex.tagcams", name) for name in hidden)]
    turn = 0
    desk.apply(turn)
    wrong = []
    for step in steps("data-manager.md"):
        if step.yaml:
            continue
        if _needs_a_candidate(step) and not desk.view["status"].get("candidate"):
            turn += 1
            desk.apply(turn)
        code, said = desk.type(desk.local(step.command).replace(_PLACEHOLDER, desk.newest()))
        if code:
            wrong.append(f"$ {step.command}\n{code}: {said}")
    assert not wrong, "\n\n".join(wrong)
