"""Pages as tests: runbooks (docs/sop), recovery (docs/recover*.md), first days (docs/onboarding). Sybil finds their
blocks, and each is executed or says why not.

Between blocks a page's source may hold comments, which its readers do not see::

    <!-- scene: the NAS stops -->        what happens in the world at this point: a function of the test
    <!-- skip: needs a second node -->   the next block is not executed, and why

Blocks share a folder and what they export. A page of :data:`RUNBOOK` has blocks of bash and no others. One of
:data:`COURSE` has cells of a notebook too, and behind a block of either, as ``text``, what has to come of it. One of
:data:`RECOVERY` has manifests, which the API's models read. Files of tests/e2e type them on a cluster: test_87_sop.py,
test_88_onboarding.py, test_89_recover.py; tests/unit/test_sop.py and its like look at the pages without one.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sybil import Document, Example, Region
from sybil.parsers.markdown.lexers import DirectiveInHTMLCommentLexer, RawFencedCodeBlockLexer

from tests.manual import DOCS, Same

FOLDER = DOCS / "sop"
PAGES = tuple(sorted(page for page in FOLDER.glob("*.md") if page.name != "index.md"))
HEADINGS = ("Trigger", "Impact", "Preconditions", "Steps", "Verification", "Rollback", "Last executed")
BASH, PYTHON, TEXT = "bash", "python", "text"
NOT_YET = "not yet"
RECORDED = re.compile(r"\d{4}-\d\d-\d\d, commit [0-9a-f]{12}: [1-9]\d* blocks executed, \d+ skipped")
MOST_SKIPPED = 4
"""Blocks of runbooks that are not executed. It may not grow: execute the new one, or another that was skipped."""
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
    """Commands, or a cell of a notebook. ``skip``: why they are not executed; ``shown``: lines that have to come."""

    text: str
    skip: str = ""
    language: str = BASH
    shown: tuple[str, ...] = ()


class BadPage(ValueError):
    """A page's source that says nothing certain about what is executed."""


@dataclass(frozen=True)
class Form:
    """What a kind of page is made of. ``executed``, ``read``: languages of blocks; ``read`` is nothing to execute.
    ``shows``: a block may be followed by one of ``text``, which is what has to come of it."""

    executed: tuple[str, ...] = (BASH,)
    read: tuple[str, ...] = ()
    shows: bool = False


RUNBOOK = Form()
RECOVERY = Form(read=("yaml",))
COURSE = Form(executed=(BASH, PYTHON), shows=True)


def parse(document: Document, form: Form = RUNBOOK) -> Iterable[Region]:
    """A parser for Sybil: scenes and blocks, in their order. Raises BadPage."""
    fences = list(_FENCES(document))
    inside = [(fence.start, fence.end) for fence in fences]
    comments = [one for one in _COMMENTS(document) if not any(a <= one.start < b for a, b in inside)]
    skip, taken = "", False
    regions = sorted([*fences, *comments], key=lambda one: one.start)
    for region, following in zip(regions, [*regions[1:], None], strict=True):
        where = f"{Path(document.path).name}, {document.line_column(region.start)}"
        lexemes = region.lexemes
        assert lexemes is not None
        if "directive" in lexemes:
            what, words = str(lexemes["directive"]), str(lexemes["arguments"]).strip()
            taken = False
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
        language, text = str(lexemes["language"]), str(lexemes["source"])
        known = (TEXT,) if taken else form.executed + form.read
        if language not in known or not lines[0].startswith("```"):
            wanted = " or ```".join(form.executed)
            raise BadPage(f"{where}: a block of a procedure is ```{wanted}, at the line's beginning")
        if len(lines) < 2 or lines[-1] != "```":
            raise BadPage(f"{where}: a block without an end")
        if not text.strip():
            raise BadPage(f"{where}: an empty block")
        if taken:
            taken = False
            continue
        if language in form.read:
            if skip:
                raise BadPage(f"{where}: nothing may stand between a skip and its block")
            continue
        shown = _shown(following) if form.shows else ()
        if taken := bool(shown):
            assert following
            if skip:
                raise BadPage(f"{where}: what is not executed shows nothing")
        yield Region(region.start, region.end, Block(text, skip, language, shown), evaluate)
        skip = ""
    if skip:
        raise BadPage(f"{Path(document.path).name}: a skip without a block")


def _shown(region: Region | None) -> tuple[str, ...]:
    """The lines of a block of text; none where it is another one."""
    lexemes = region.lexemes if region else None
    if not lexemes or lexemes.get("language") != TEXT:
        return ()
    return tuple(str(lexemes["source"]).rstrip("\n").split("\n"))


def read(page: Path, form: Form = RUNBOOK) -> Document:
    """A page with its scenes and blocks. Raises BadPage; a page that is no UTF-8 is one too."""
    try:
        return Document.parse(str(page), partial(parse, form=form))
    except UnicodeDecodeError as error:
        raise BadPage(f"{page.name}: {error}") from error


def parts(page: Path, form: Form = RUNBOOK) -> list[Scene | Block]:
    """Scenes and blocks of a page."""
    return [example.parsed for example in read(page, form)]


def blocks(page: Path, form: Form = RUNBOOK) -> list[Block]:
    """Blocks of a page, those that are skipped too."""
    return [part for part in parts(page, form) if isinstance(part, Block)]


@dataclass(frozen=True)
class Terminal:
    """A shell on this machine, or where ``prefix`` leads (``podman exec NODE``); ``folder`` is of that machine."""

    folder: Path
    environ: Mapping[str, str]
    prefix: tuple[str, ...] = ()

    def __call__(self, text: str) -> tuple[int, str]:
        """Execute a block as one script that ends at its first error: its exit code, and what it said."""
        state = shlex.quote(str(self.folder.with_suffix(".exported")))
        script = (
            f"cd {shlex.quote(str(self.folder))}\n[ ! -e {state} ] || . {state}\n"
            f"trap '(umask 077; declare -px >{state})' EXIT\n{text}"
        )
        done = subprocess.run(
            [*self.prefix, "bash", "-euo", "pipefail", "-c", script], env=dict(self.environ), text=True, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS,
        )  # fmt: skip
        return done.returncode, done.stdout


@dataclass
class Desk:
    """Somebody at work with a page. ``notebook``, ``terminal``: where cells and commands go; both answer with a code
    and what they said. Without a terminal it is one in ``folder``, on this machine."""

    folder: Path
    environ: Mapping[str, str]
    scenes: Mapping[str, Callable[[], None]]
    notebook: Callable[[str], tuple[int, str]] | None = None
    terminal: Callable[[str], tuple[int, str]] | None = None
    executed: int = 0
    skipped: int = 0
    same: Same = field(default_factory=Same)

    def do(self, block: Block) -> str:
        """Execute a block; what went wrong, or nothing."""
        run = self.terminal or Terminal(self.folder, self.environ)
        if block.language == PYTHON:
            assert self.notebook, "nobody has a notebook here"
            run = self.notebook
        code, said = run(block.text)
        print(block.text, said, sep="")
        self.executed += 1
        if code:
            return f"{block.text}ended with {code}:\n{said}"
        # a command that takes long says what it does: no page shows that, as none knows how busy a machine is
        said = "".join(line for line in said.splitlines(keepends=True) if not line.startswith("… "))
        return self.same.difference(block.shown, said) if block.shown else ""


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
    return desk.do(part) or None


def execute(page: Path, desk: Desk, form: Form = RUNBOOK) -> None:
    """All of a page, in its order, to its first failure. Raises SybilFailure, and what scenes raise."""
    document = read(page, form)
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
