"""The recovery pages without a cluster: their form, links and commands; of runbooks and these, what is executed."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from pdshub.api.hub_backup import Drill
from pdshub.api.hub_bootstrap import Bootstrap
from pdshub.cli import main as plugin
from tests import manual, sop
from tests.e2e import recover_scenes
from tests.manual import DOCS
from tests.unit.test_named_tests import ROOT, named, trouble
from tests.unit.test_sop import commands

PAGES = tuple(sorted(DOCS.glob("recover*.md")))
PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
MOST_SKIPPED = 4
"""Blocks of these pages that are not executed. It may not grow: execute the new one, or another that was skipped."""
PARTS = {"recover.md": "bootstrap", "recover-drills.md": "backup"}
"""Which part of a PDSHub the manifests of a page show."""


def test_these_are_the_pages() -> None:
    assert [page.name for page in PAGES] == ["recover-drills.md", "recover-machine.md", "recover.md"]


@PAGE
def test_blocks_are_those_that_readers_see_and_bash_reads_them(page: Path) -> None:
    blocks = sop.blocks(page, sop.RECOVERY)
    assert blocks
    assert [(b.language, b.text) for b in blocks] == [one for one in manual.blocks(page.name) if one[0] != "yaml"]
    for block in blocks:
        done = subprocess.run(["bash", "-n", "-c", block.text], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and not done.stderr, done.stderr


def test_manifests_are_what_the_api_takes() -> None:
    models: dict[str, type[BaseModel]] = {"bootstrap": Bootstrap, "backup": Drill}
    for page in PAGES:
        shown = [yaml.safe_load(text) for language, text in manual.blocks(page.name) if language == "yaml"]
        assert len(shown) == (page.name in PARTS)
        for document in shown:
            (name,) = document["spec"]
            assert name == PARTS[page.name] and document.keys() == {"spec"}
            part = document["spec"][name]
            assert models[name].model_validate(part["drill"] if name == "backup" else part)


def test_nine_blocks_of_ten_are_executed_and_skips_do_not_grow() -> None:
    blocks = [block for page in PAGES for block in sop.blocks(page, sop.RECOVERY)]
    skipped = [block for block in blocks if block.skip]
    assert len(skipped) == MOST_SKIPPED, "fewer: lower the number"
    for block in skipped:
        tests = list(named(block.skip))
        assert tests and [why for one in tests if (why := trouble(ROOT, *one))] == [], "who executes it instead"
    runbooks = [block for page in sop.PAGES for block in sop.blocks(page)]
    every, left = len(blocks) + len(runbooks), len(skipped) + sum(bool(block.skip) for block in runbooks)
    assert every > 110 and left <= 0.1 * every, f"{every - left} executed, {left} skipped"


def test_every_scene_has_a_function_and_every_function_a_scene() -> None:
    asked = {part.name for page in PAGES for part in sop.parts(page, sop.RECOVERY) if isinstance(part, sop.Scene)}
    assert asked == recover_scenes.names()


@PAGE
def test_links_lead_to_headings(page: Path) -> None:
    assert manual.broken_links(page) == []


@PAGE
def test_every_command_of_the_plugin_is_one_that_asks_nobody(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for block in sop.blocks(page, sop.RECOVERY):
        assert "--from-literal" not in block.text
        for line in commands(block.text):
            try:
                plugin.parser().parse_args(shlex.split(line))
            except SystemExit:
                pytest.fail(f"{line}: {capsys.readouterr().err}")
            asks = re.match(r"(restore user .*--in-place|restore-deleted|rollback|homes reset)\b", line)
            assert not asks or re.search(r"--(dry-run|list|yes)\b", line), line


@PAGE
def test_the_names_that_blocks_use_have_examples_on_the_page(page: Path) -> None:
    text = "\n".join(block.text for block in sop.blocks(page, sop.RECOVERY))
    said = set(re.findall(r"\b([A-Z_]+)=", text)) | set(re.findall(r"\$\{([A-Z_]+):-", text))
    assert set(re.findall(r"\$\{?([A-Z][A-Z_]+)\}?", text)) <= said
