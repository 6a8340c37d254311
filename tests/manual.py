"""Pages of the manual as tests: what they type, what they say comes back, and whether that is what comes back."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_DIGITS = re.compile(r"\b(?=[a-f]*[0-9])[0-9a-f]{12}\b")
_TIME = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\b")
REST = "…"
"""A line of its own: any number of lines that the page leaves out."""


@dataclass(frozen=True)
class Step:
    """A block of YAML (``command`` is ""), or a command with the lines that the page shows of it."""

    command: str
    lines: tuple[str, ...] = ()
    yaml: str = ""


def blocks(page: str) -> list[tuple[str, str]]:
    """(language, text) of each block of a page."""
    return _BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))


def shown_after(page: str, words: str, instead: Mapping[str, str] | None = None) -> str:
    """The block that a page shows first behind some words, with texts of it replaced.

    Raises AssertionError when the page has no such words, has them twice, or the block nothing that is to be replaced.
    """
    parts = (DOCS / page).read_text(encoding="utf-8").split(words)
    assert len(parts) == 2, f"{page} has these words {len(parts) - 1} times: {words}"
    found = _BLOCK.search(parts[1])
    assert found, f"{page} has no block behind these words: {words}"
    text = found[2]
    for old, new in (instead or {}).items():
        assert old in text, f"{page}, the block behind {words!r} has no {old!r}"
        text = text.replace(old, new)
    return text


def steps(page: str) -> list[Step]:
    """What a page does, in its order. In a block without a language every line is a command without an output."""
    found: list[Step] = []
    for language, text in blocks(page):
        if language == "yaml":
            found.append(Step("", yaml=text))
        elif language == "console":
            for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, _, said = part.replace("\\\n", " ").partition("\n")
                found.append(Step(command, tuple(said.rstrip("\n").split("\n")) if said.strip() else ()))
        elif not language:
            found += [Step(command) for command in commands(text.replace("\\\n", " "))]
    return found


def commands(text: str) -> list[str]:
    """The commands of a block; one may go on over a line's end inside of quotes."""
    found: list[str] = []
    begun = ""
    for line in text.splitlines():
        begun = f"{begun}\n{line}" if begun else line
        try:
            shlex.split(begun, comments=True)
        except ValueError:
            continue
        found += [begun] if begun.startswith("kubectl ") else []
        begun = ""
    return found


def anchors(page: Path) -> set[str]:
    """Of each heading of a page the name by which links lead there."""
    headings = re.findall(r"^#+ +(.*)$", _BLOCK.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


def broken_links(page: Path) -> list[str]:
    """Links of a page to other pages of the manual, or headings, that are not there."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    found = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if "://" not in link and (not target.exists() or (anchor and anchor not in anchors(target))):
            found.append(link)
    return found


@dataclass
class Same:
    """Compares a page's outputs with real ones: generations may have other digits, each always the same ones, and
    times may differ. Everything else is equal, letter by letter."""

    digits: dict[str, str] = field(default_factory=dict)  # of the page -> really

    def difference(self, shown: tuple[str, ...], real: str) -> str:
        """ "" where the page tells the truth, else both texts."""
        lines = [line.rstrip() for line in real.rstrip("\n").split("\n")] if real.strip() else []
        if self._fit(list(shown), lines):
            return ""
        return "the page shows:\n" + "\n".join(shown) + "\nand what comes is:\n" + "\n".join(lines)

    def _fit(self, shown: list[str], real: list[str]) -> bool:
        if not shown:
            return not real
        if shown[0].strip() == REST:
            return any(self._fit(shown[1:], real[n:]) for n in range(len(real) + 1))
        return bool(real) and self._line(shown[0].rstrip(), real[0]) and self._fit(shown[1:], real[1:])

    def _line(self, shown: str, real: str) -> bool:
        one, other = _DIGITS.findall(shown), _DIGITS.findall(real)
        if len(one) != len(other) or _plain(shown) != _plain(real):
            return False
        for mine, theirs in zip(one, other, strict=True):
            if self.digits.get(mine, theirs) != theirs or (mine not in self.digits and theirs in self.digits.values()):
                return False
            self.digits[mine] = theirs
        return True

    def really(self, text: str) -> str:
        """A command of the page with the generations that are really there."""
        return _DIGITS.sub(lambda found: self.digits.get(found[0], found[0]), text)


def _plain(line: str) -> str:
    return _TIME.sub("TIME", _DIGITS.sub("GENERATION", line))
