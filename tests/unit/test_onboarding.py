"""First days (docs/onboarding) without a cluster: their form, their commands, and what of them can be done here.

The user's cells run beside a generated archive. The data manager's release is made by the real plugin and surveyor:
what its page shows has to come. tests/e2e/test_88_onboarding.py does all of it in a cluster.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pdshub.api.hub import PDSHubSpec
from pdshub.cli import main as plugin
from tests import manual, sop
from tests.e2e import onboarding_scenes
from tests.manual import DOCS, Same, Step
from tests.unit import test_kb, test_manual
from tests.unit.surveyor.support import needs_mkfs
from tests.unit.test_manual import Desk, typed
from tests.unit.test_sop import commands

archive, home, desk = test_kb.archive, test_kb.home, test_manual.desk
ROOT = DOCS.parent
PAGES = sorted((DOCS / "onboarding").glob("*.md"))
PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
NOT_HERE = {"mine.txt": "whoever runs this test may be root, who writes to a folder that is no read-only mount"}
"""Cells that need a server, by a word of theirs, and why."""
FILL = """
import sys
from pathlib import Path
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from archive import layout
from archive.tree import Tree
tree = Tree(Path(sys.argv[2]))
layout.volumes(tree)
layout.bundles(tree)
tree.settle()
"""
OF_THE_CLUSTER = ("kubectl create ", "kubectl label ", "kubectl wait ", "timeout ", "export NEW=", "rm -r ")
"""Beginnings of the data manager's lines that wait for a cluster, or tidy up."""


def test_there_is_a_page_for_each() -> None:
    assert [page.stem for page in PAGES] == ["administrator", "data-manager", "researcher"]
    nav = (ROOT / "mkdocs.yml").read_text()
    assert all(f"- onboarding/{page.name}\n" in nav for page in PAGES)
    assert all(f"(onboarding/{page.name})" in (DOCS / "index.md").read_text() for page in PAGES)


@PAGE
def test_all_of_it_is_executed(page: Path) -> None:
    blocks = sop.blocks(page, sop.COURSE)
    assert len(blocks) >= 8 and not [block for block in blocks if block.skip]
    found = [(block.language, block.text) for block in blocks]
    assert found == [one for one in manual.blocks(f"onboarding/{page.name}") if one[0] != sop.TEXT]
    shown = [text for language, text in manual.blocks(f"onboarding/{page.name}") if language == sop.TEXT]
    assert [tuple(text.rstrip("\n").split("\n")) for text in shown] == [b.shown for b in blocks if b.shown]


@PAGE
def test_bash_and_python_read_it(page: Path) -> None:
    for block in sop.blocks(page, sop.COURSE):
        if block.language == sop.PYTHON:
            compile(block.text, page.name, "exec")
        else:
            done = subprocess.run(["bash", "-n", "-c", block.text], capture_output=True, text=True, check=False)
            assert done.returncode == 0 and not done.stderr, done.stderr


@PAGE
def test_every_command_of_the_plugin_is_one_that_asks_nobody(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for block in sop.blocks(page, sop.COURSE):
        assert "--from-literal" not in block.text
        for line in commands(block.text):
            try:
                plugin.parser().parse_args(shlex.split(line))
            except SystemExit:
                assert line.startswith("--version"), f"{line}: {capsys.readouterr().err}"
            asks = re.match(r"(users (suspend|remove|offboard)|reinstall|rollback|homes move)\b", line)
            assert not asks or re.search(r"--(list|undo|yes)\b", line), line


@PAGE
def test_names_have_examples_and_links_lead_somewhere(page: Path) -> None:
    text = "\n".join(block.text for block in sop.blocks(page, sop.COURSE) if block.language == sop.BASH)
    assert set(re.findall(r"\$\{?([A-Z][A-Z_]+)\}?", text)) <= set(re.findall(r"\b([A-Z_]+)=", text))
    assert manual.broken_links(page) == []


def test_every_scene_has_a_function_and_every_function_a_scene() -> None:
    parts = [part for page in PAGES for part in sop.parts(page, sop.COURSE)]
    assert {part.name for part in parts if isinstance(part, sop.Scene)} == onboarding_scenes.names()


def test_the_sample_is_what_pages_and_scenes_call_it() -> None:
    documents = list(yaml.safe_load_all(onboarding_scenes.SAMPLE.read_text()))
    view, _, hub = documents
    assert (view["metadata"]["name"], hub["metadata"]["name"]) == (onboarding_scenes.VIEW, onboarding_scenes.HUB)
    spec = PDSHubSpec.model_validate(hub["spec"])
    assert spec.archive and spec.archive.view_ref == onboarding_scenes.VIEW
    names = (onboarding_scenes.SPACE, onboarding_scenes.HUB, onboarding_scenes.VIEW)
    for page in ("administrator", "data-manager"):
        first = sop.blocks(DOCS / f"onboarding/{page}.md", sop.COURSE)[0].text
        for name, value in zip(("NAMESPACE", "HUB", "VIEW"), names, strict=True):
            assert f"{name}=${{{name}:-{value}}}" in first


def test_a_new_user_sees_what_the_page_shows(archive: Path, home: Path) -> None:
    for library in ("pdr", "matplotlib"):
        pytest.importorskip(library)
    env = {
        "HOME": str(home), "PDSHUB_ARCHIVE": str(archive / "sbn"), "LANG": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip
    every = sop.blocks(DOCS / "onboarding/researcher.md", sop.COURSE)
    blocks = [block for block in every if not any(word in block.text for word in NOT_HERE)]
    assert len(every) - len(blocks) == len(NOT_HERE)
    driver = Path(__file__).with_name("page_driver.py")
    todo = json.dumps([[block.language, block.text] for block in blocks])
    done = subprocess.run([sys.executable, driver], input=todo, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    same = Same()
    for block, came in zip(blocks, json.loads(done.stdout), strict=True):
        assert not block.shown or not (wrong := same.difference(block.shown, came)), f"{block.text}\n{wrong}"


@needs_mkfs
def test_a_first_release_brings_what_the_page_shows(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    sources, nas = desk.folder / "sources", desk.folder / "nas"
    subprocess.run([sys.executable, "-c", FILL, ROOT / "hack", sources / "main"], check=True)
    nas.mkdir()
    for name in ("main", "mission"):
        (nas / f"pds-{name}").symlink_to(sources / name)
    names = {"VIEW": "sbn", "NAS_DATA": str(nas), "NAS_IP": "192.0.2.1"}
    view = next(yaml.safe_load_all(onboarding_scenes.SAMPLE.read_text()))
    desk.apply(yaml.safe_dump(view))
    desk.get("archiveviews", "sbn")  # the first generation is released
    same, compared = Same(), 0
    blocks = sop.blocks(DOCS / "onboarding/data-manager.md", sop.COURSE)
    for block in blocks:
        if block.language == sop.BASH and (said := done_here(block.text, names, desk, capsys)) and block.shown:
            shown = tuple(line.replace(f"/{onboarding_scenes.VIEW} ", "/sbn ") for line in block.shown)
            assert not (wrong := same.difference(shown, said)), f"{block.text}\n{wrong}"
            compared += 1
    assert compared == sum(bool(b.shown) and b.language == sop.BASH for b in blocks)


def done_here(text: str, names: dict[str, str], desk: Desk, capsys: pytest.CaptureFixture[str]) -> str:
    """What a block says where the plugin and the surveyor are, and no cluster."""
    said = ""
    if text.startswith("cat > "):
        text, _, last = text.rstrip("\n").rpartition("\n")
        subprocess.run(["bash", "-euc", text], env=os.environ | names, check=True)
        text = last
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("kubectl pdshub archive "):
            whole = line.split(" > ")[0].split(" | ")[0]
            said += typed(desk, Step(re.sub(r'"\$VIEW"', names["VIEW"], whole)), capsys)
        elif line.startswith("kubectl apply "):
            said += typed(desk, Step(line), capsys)
        elif line.startswith(("cp ", "mv ", "mkdir ")):
            subprocess.run(["bash", "-euc", line], env=os.environ | names, check=True)
        else:
            known = (*OF_THE_CLUSTER, "export ", "sed ", "cat survey.txt", "grep ")
            assert line.startswith(known) or line.strip().startswith("pod-security"), line
    return said
