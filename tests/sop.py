"""Runbooks (docs/sop) as tests: Sybil finds their blocks of bash, and each is executed or says why not.

Between blocks a page's source may hold comments, which its readers do not see::

    <!-- scene: the NAS stops -->        what happens in the world at this point: a function of the test
    <!-- skip: needs a second node -->   the next block is not executed, and why

Blocks share a folder and what they export. tests/e2e/test_87_sop.py types them on a cluster;
tests/unit/test_sop.py looks at the pages without one.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sybil import Document, Example, Region
from sybil.parsers.markdown.lexers import DirectiveInHTMLCommentLexer, RawFencedCodeBlockLexer

from tests.manual import DOCS

FOLDER = DOCS / "sop"
PAGES = tuple(sorted(page for page in FOLDER.glob("*.md") if page.name != "index.md"))
HEADINGS = ("Trigger", "Impact", "Preconditions", "Steps", "Verification", "Rollback", "Last executed")
NOT_YET = "not yet"
RECORDED = re.compile(r"\d{4}-\d\d-\d\d, commit [0-9a-f]{12}: [1-9]\d* blocks executed, \d+ skipped")
MOST_SKIPPED = 4
"""Blocks of all pages that are not executed. It may not grow: execute the new one, or another that was skipped."""
SECONDS = 2400
"""A block that takes longer hangs."""
_FENCES = RawFencedCodeBlockLexer(re.compile(r"(?P<language>[^\n]*)\n"))
_COMMENTS = DirectiveInHTMLCommentLexer(r"[\w-]+")
_LAST = re.compile(rf"(?<=\n## {HEADINGS[-1]}\n)[^#]*\Z")


@dataclass(frozen=True)
class Scene:
    """Something that happens in the world, of the test's making."""

    name: str


@dataclass(frozen=True)
class Block:
    """Commands of a page; ``skip``: why they are not executed."""

    text: str
    skip: str = ""


class BadPage(ValueError):
    """A page's source that says nothing certain about what is executed."""


def parse(document: Document) -> Iterable[Region]:
    """A parser for Sybil: scenes and blocks, in their order. Raises BadPage."""
    fences = list(_FENCES(document))
    inside = [(fence.start, fence.end) for fence in fences]
    comments = [one for one in _COMMENTS(document) if not any(a <= one.start < b for a, b in inside)]
    skip = ""
    for region in sorted([*fences, *comments], key=lambda one: one.start):
        where = f"{Path(document.path).name}, {document.line_column(region.start)}"
        lexemes = region.lexemes
        assert lexemes is not None
        if "directive" in lexemes:
            what, words = str(lexemes["directive"]), str(lexemes["arguments"]).strip()
            if what not in ("scene", "skip") or not words or str(lexemes["source"]).strip():
                raise BadPage(f"{where}: a comment is 'scene: NAME' or 'skip: REASON', in a line")
            if skip:
                raise BadPage(f"{where}: nothing may stand between a skip and its block")
            if what == "skip":
                skip = words
            else:
                yield Region(region.start, region.end, Scene(words), evaluate)
            continue
        lines = document.text[region.start : region.end].splitlines()
        if lexemes["language"] != "bash" or not lines[0].startswith("```"):
            raise BadPage(f"{where}: a block of a procedure is ```bash, at the line's beginning")
        if len(lines) < 2 or lines[-1] != "```":
            raise BadPage(f"{where}: a block without an end")
        text = str(lexemes["source"])
        if not text.strip():
            raise BadPage(f"{where}: an empty block")
        yield Region(region.start, region.end, Block(text, skip), evaluate)
        skip = ""
    if skip:
        raise BadPage(f"{Path(document.path).name}: a skip without a block")


def read(page: Path) -> Document:
    """A page with its scenes and blocks. Raises BadPage; a page that is no UTF-8 is one too."""
    try:
        return Document.parse(str(page), parse)
    except UnicodeDecodeError as error:
        raise BadPage(f"{page.name}: {error}") from error


def parts(page: Path) -> list[Scene | Block]:
    """Scenes and blocks of a page."""
    return [example.parsed for example in read(page)]


def blocks(page: Path) -> list[Block]:
    """Blocks of a page, those that are skipped too."""
    return [part for part in parts(page) if isinstance(part, Block)]


@dataclass
class Desk:
    """Somebody with a terminal: blocks see the folder and each other's exported variables."""

    folder: Path
    environ: Mapping[str, str]
    scenes: Mapping[str, Callable[[], None]]
    executed: int = 0
    skipped: int = 0

    def type(self, text: str) -> str:
        """Execute a block as one script that ends at its first error; what went wrong, or nothing."""
        state = self.folder.with_suffix(".exported")
        state.touch(mode=0o600)
        kept = shlex.quote(str(state))
        script = f". {kept}\ntrap 'declare -px >{kept}' EXIT\n{text}"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=self.folder, env=dict(self.environ), text=True, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS,
        )  # fmt: skip
        print(text, done.stdout, sep="")
        self.executed += 1
        return f"{text}ended with {done.returncode}:\n{done.stdout}" if done.returncode else ""


def evaluate(example: Example) -> str | None:
    """Sybil's evaluator: what it returns is the failure, which Sybil tells with file and line."""
    desk: Desk = example.namespace["desk"]
    part: Scene | Block = example.parsed
    if isinstance(part, Scene):
        desk.scenes[part.name]()
        return None
    if part.skip:
        desk.skipped += 1
        print(f"{Path(example.path).name}:{example.line}: skipped: {part.skip}")
        return None
    return desk.type(part.text) or None


def execute(page: Path, desk: Desk) -> None:
    """All of a page, in its order, to its first failure. Raises SybilFailure, and what scenes raise."""
    document = read(page)
    document.namespace["desk"] = desk
    for example in document:
        example.evaluate()


def last_executed(text: str) -> str:
    """What a page says of its last run. Raises BadPage where that is not its last section."""
    found = _LAST.search(text)
    if not found:
        raise BadPage(f"no last section '{HEADINGS[-1]}'")
    return found[0].strip()


def recorded(text: str, day: str, commit: str, desk: Desk) -> str:
    """A page's text with the day, the commit and the counts of a run. Raises BadPage."""
    last_executed(text)
    said = f"{day}, commit {commit[:12]}: {desk.executed} blocks executed, {desk.skipped} skipped"
    assert RECORDED.fullmatch(said), said
    return _LAST.sub(f"{said}\n", text)


def unrecorded(text: str) -> str:
    """A page's text without what runs wrote into it: what two versions have to have in common."""
    return _LAST.sub(f"{NOT_YET}\n", text)
