"""The data manager's pages tell the truth: their commands run here, over the archive that they speak of.

The plugin, the surveyor and the decision what is released are the real ones; kubectl and the cluster are not there.
tests/e2e/test_26_manual.py does the same in a cluster.
"""

from __future__ import annotations

import asyncio
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from pdshub.api.view import ArchiveViewSpec, InlineArchive
from pdshub.cli import archive as commands
from pdshub.cli import main as plugin
from pdshub.cli import words
from pdshub.cli.kubectl import Kubectl
from pdshub.reconcile.view import generations, surveyor_sync
from pdshub.surveyor import answers
from pdshub.surveyor import main as program
from pdshub.surveyor.store import Store
from pdshub.surveyor.surveyor import Surveyor
from tests import manual
from tests.manual import Same, Step, blocks, steps
from tests.unit.surveyor.support import Clock, needs_mkfs

ROOT = Path(__file__).parents[2]
MAKE = """
import sys
from pathlib import Path
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from archive import layout
from archive.tree import Tree
for name, fill in (("main", layout.mission_on_main), ("mission", layout.mission_on_its_own)):
    tree = Tree(Path(sys.argv[2], name))
    tree.clear()
    fill(tree)
    tree.settle()
"""


class Desk(Kubectl):
    """A data manager's desk: a view whose surveyor, store and status are on this machine."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        object.__setattr__(self, "clock", Clock())
        sources = folder / "sources"
        sources.mkdir()
        subprocess.run([sys.executable, "-c", MAKE, ROOT / "hack", sources], check=True)
        store = Store(folder / "store")
        store.open()
        object.__setattr__(self, "folder", folder)
        object.__setattr__(self, "surveyor", Surveyor(store, sources, clock=self.clock))
        object.__setattr__(self, "spec", {})
        object.__setattr__(self, "released", None)
        object.__setattr__(self, "request", "")

    clock: Clock
    folder: Path
    surveyor: Surveyor
    spec: dict[str, Any]
    released: Any
    request: str

    def apply(self, text: str) -> None:
        """What the API server, the operator and the surveyor make of a view."""
        wire = yaml.safe_load(text)["spec"]
        kept = {key: self.spec[key] for key in ("pin", "approved") if self.spec.get(key)}
        object.__setattr__(self, "spec", {**wire, **kept})
        self.work()

    def work(self) -> None:
        """Time passes."""
        self.surveyor.put({"name": "sbn", "spec": self.spec, "request": self.request, "keep": []})

        async def whole() -> None:
            for _ in range(2):  # the survey, then the audit
                self.clock.now += 1
                await self.surveyor.turn()
            while self.surveyor.check_runner.busy_with():  # noqa: ASYNC110
                await asyncio.sleep(0.02)

        asyncio.run(whole())

    def get(self, *arguments: str) -> dict[str, Any]:
        if arguments[0] == "deployments.apps":
            owner = {"kind": "ArchiveView", "name": "sbn"}
            meta = {"name": "survey-sbn", "namespace": "pdshub-surveyors", "ownerReferences": [owner]}
            return {"items": [{"metadata": meta}]}
        state = answers.state(self.surveyor)
        spec = ArchiveViewSpec.model_validate(self.spec)
        verdict = generations.decide(spec, self.released, surveyor_sync.kept_generations(state))
        object.__setattr__(self, "released", verdict.released)
        status: dict[str, Any] = {
            "form": "catalog",
            "surveyor": {"address": "10.96.0.7:9810", "namespace": "pdshub-surveyors"},
            "generations": [{"name": g.name, "asOf": g.as_of, "files": g.counts.files} for g in state.generations],
            "survey": {"state": state.survey.state, "request": state.survey.request},
        }
        for key, found in (("generation", verdict.released), ("candidate", verdict.candidate)):
            if found:
                status[key] = found.model_dump(by_alias=True)
        return {"metadata": {"name": "sbn"}, "spec": self.spec, "status": status}

    def patch(self, kind: str, name: str, change: dict[str, Any]) -> None:
        for key, value in (change.get("spec") or {}).items():
            self.spec[key] = value
            if value is None:
                del self.spec[key]
        asked = ((change.get("metadata") or {}).get("annotations") or {}).get(commands.REFRESH)
        if asked:
            object.__setattr__(self, "request", asked)
        self.work()

    def whoami(self) -> str:
        return ""

    def execute(
        self,
        namespace: str,
        target: str,
        container: str,
        command: Sequence[str],
        told: Callable[[str], None],
        stdin: str | None = None,
    ) -> str:
        arguments = [*command[1:2], "--store", str(self.folder / "store"), *command[2:]]
        if command[1] in ("explain", "verify"):
            arguments[1:1] = ["--sources", str(self.folder / "sources")]
        with pytest.MonkeyPatch.context() as patch:
            out = io.StringIO()
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((stdin or "").encode())))
            code = program.main(arguments)
        assert code == 0, out.getvalue()
        return out.getvalue()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    made = Desk(tmp_path)
    monkeypatch.setattr(plugin, "Kubectl", lambda flags: made)
    monkeypatch.chdir(tmp_path)
    yield made
    made.surveyor.store.close()


def typed(desk: Desk, step: Step, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command prints."""
    line = shlex.split(step.command, comments=True)
    if line[:2] == ["kubectl", "apply"]:
        word = "configured" if desk.spec else "created"
        desk.apply(Path(line[3]).read_text())
        return f"archiveview.pdshub.dev/sbn {word}\n"
    assert line[:2] == ["kubectl", "pdshub"], line
    plugin.main(line[2:])
    said = capsys.readouterr()
    # a command that takes long says what it does: no page shows that, as none knows how busy a machine is
    return said.out + "".join(line for line in said.err.splitlines(keepends=True) if not line.startswith("… "))


@needs_mkfs
def test_the_worked_example(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    same, commands_run = Same(), 0
    for step in steps("worked-example.md"):
        if step.yaml:
            Path("view.yaml").write_text(step.yaml)
            continue
        real = typed(desk, step, capsys)
        assert not (wrong := same.difference(step.lines, real)), f"$ {step.command}\n{wrong}"
        commands_run += 1
    assert commands_run >= 12


def test_every_view_in_the_manual_is_one() -> None:
    found = [
        document
        for page in ("data-manager.md", "worked-example.md")
        for language, text in blocks(page)
        if language == "yaml"
        for document in yaml.safe_load_all(text)
    ]
    whole = [document for document in found if "kind" in document]
    assert len(whole) >= 3
    for document in whole:
        assert document["kind"] == "ArchiveView"
        ArchiveViewSpec.model_validate(document["spec"])
    for part in (document for document in found if "kind" not in document):
        ArchiveViewSpec.model_validate({**whole[0]["spec"], **part["spec"]})


PAGES = (
    "data-manager.md", "kubectl-plugin.md", "worked-example.md", "troubleshooting.md", "administrator.md", "import.md",
    "aws.md", "aws-move.md", "archive/move.md",
)  # fmt: skip


def test_every_command_in_the_manual_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [step.command for page in PAGES for step in steps(page) if step.command.startswith("kubectl pdshub ")]
    assert len(lines) >= 15
    for line in lines:
        try:
            plugin.parser().parse_args(shlex.split(line, comments=True)[2:])
        except SystemExit:
            pytest.fail(f"{line}: {capsys.readouterr().err}")


def test_the_plugins_page_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        plugin.main(["archive", "--help"])
    known = set(re.findall(r"^    (\w+)", capsys.readouterr().out, re.MULTILINE)) - {"COMMAND", "status"}
    page = (ROOT / "docs/kubectl-plugin.md").read_text()
    assert {"explain", "plan", "refresh"} <= known
    assert set(re.findall(r"^\| `… (\w+)", page, re.MULTILINE)) >= known
    with pytest.raises(SystemExit):
        plugin.main(["--help"])
    areas = set(re.findall(r"^    ([a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    assert {"status", "why", "homes"} <= areas
    assert set(re.findall(r"^\| `kubectl pdshub (\S+?)[ `]", page, re.MULTILINE)) | {"version"} >= areas
    with pytest.raises(SystemExit):
        plugin.main(["users", "--help"])
    known = set(re.findall(r"^    (\w+)", capsys.readouterr().out, re.MULTILINE)) - {"COMMAND"}
    assert {"add", "offboard"} <= known
    assert set(re.findall(r"^\| `[^`]* users (\w+)", page, re.MULTILINE)) == known


def test_the_status_on_the_plugins_page() -> None:
    step = next(s for s in steps("kubectl-plugin.md") if s.command == "kubectl pdshub archive status sbn")
    view = {
        "metadata": {"name": "sbn"},
        "status": {
            "form": "catalog",
            "generation": {
                "name": "sha256:4f0c2a91be77", "asOf": "2026-11-20T02:00:11Z",
                "counts": {"files": 812345, "directories": 2210, "bytes": 91234567890},
            },
            "decisions": [
                {"kind": "Approved", "generation": "4f0c2a91be77", "by": "ada@example.org", "manager": "kubectl-pdshub",
                 "at": "2026-11-20T08:15:00Z", "reason": "checked with the OCAMS team"},
            ],
            "candidate": {
                "message": "generation 9b1d03c4aa10 waits for approval; to release it set spec.approved to 9b1d03c4aa10"
                " (kubectl pdshub archive approve)",
                "changes": {"datasetsAdded": 1, "filesAdded": 1200},
            },
        },
    }  # fmt: skip
    assert Same().difference(step.lines, words.view(view)) == ""


def test_inline_views_are_described_alike() -> None:
    document = yaml.safe_load(next(text for language, text in blocks("worked-example.md") if language == "yaml"))
    InlineArchive.model_validate(document["spec"])


def test_a_command_may_go_on_inside_of_quotes() -> None:
    text = "kubectl a -p 'x\n  y'\n# no command\nkubectl b   # it's a remark\nother\n"
    assert manual.commands(text) == ["kubectl a -p 'x\n  y'", "kubectl b   # it's a remark"]


@pytest.mark.parametrize(
    ("shown", "real", "fits"),
    [
        (("a 4f0c2a91be77",), "a 0123456789ab\n", True),
        (("a 4f0c2a91be77", "b 4f0c2a91be77"), "a 0123456789ab\nb 0123456789ab", True),
        (("a 4f0c2a91be77", "b 4f0c2a91be77"), "a 0123456789ab\nb 0123456789ac", False),
        (("a 4f0c2a91be77", "b 4f0c2a91be78"), "a 0123456789ab\nb 0123456789ab", False),
        (("at 2026-11-20T02:00:11Z",), "at 2027-01-01T00:00:00Z", True),
        (("5 files",), "6 files", False),
        (("a", "…", "c"), "a\nb\nb\nc", True),
        (("a", "…"), "a", True),
        (("a", "…", "c"), "a\nb", False),
        (("a",), "a\nb", False),
        ((), "", True),
        ((), "a", False),
    ],
)
def test_what_counts_as_equal(shown: tuple[str, ...], real: str, fits: bool) -> None:
    assert (Same().difference(shown, real) == "") is fits
