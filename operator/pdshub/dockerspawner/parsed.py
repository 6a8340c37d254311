"""A configuration as a syntax tree, parsed within bounds; templates of Ansible and others are made parsable first."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass, field

from pdshub.dockerspawner.source import SourceError

DEEPEST, OPERATORS, BRANCHES, LINES = 60, 2000, 400, 20_000
"""Brackets inside of each other, operators of one logical line, ``elif`` of a file, and lines."""
_EXPRESSION = re.compile(r"\{\{.{0,400}?\}\}", re.DOTALL)
_STATEMENT = re.compile(r"^[ \t]*(\{[%#].{0,1000}?[%#]\})[ \t]*$", re.MULTILINE | re.DOTALL)
_WORD = re.compile(r"\{%[-+]?\s*(\w+)")
_SECRET = re.compile(r"secret|passw|token|crypt|_key\b|apikey|credential", re.IGNORECASE)
_TEXT = re.compile(r"(\"[^\"]*\"|'[^']*')")
TEMPLATED = "template_value"
"""The name that stands for what a template fills in."""
LONGEST_SHOWN = 160


@dataclass(frozen=True)
class Line:
    """A line of a configuration, and what is to be said of it. Texts of lines that speak of secrets are blanked."""

    number: int
    text: str
    why: str
    statements: int = 1


@dataclass(frozen=True)
class Source:
    """The lines of a file. ``conditions``: lines of a template that depend on what only it knows."""

    lines: tuple[str, ...]
    conditions: Mapping[int, str] = field(default_factory=dict)

    def shown(self, node: ast.AST) -> str:
        """The first line of a statement, as it may be shown."""
        number = getattr(node, "lineno", 0)
        return blanked(self.lines[number - 1].strip()) if 0 < number <= len(self.lines) else ""

    def expression(self, node: ast.expr) -> str:
        """A condition, as it may be shown."""
        try:
            return blanked(" ".join(ast.unparse(node).split()))
        except (RecursionError, ValueError):
            return "a condition"


def blanked(text: str) -> str:
    """A line without what may be a secret, and not too long."""
    safe = _TEXT.sub("'…'", text) if _SECRET.search(text) else text
    return safe if len(safe) <= LONGEST_SHOWN else safe[: LONGEST_SHOWN - 1] + "…"


def parse(text: str) -> tuple[ast.Module, Source, list[Line]]:
    """The tree of a file, its lines, and what is to be said of it. Raises SourceError."""
    lines = tuple(text.split("\n"))
    if len(lines) > LINES:
        raise SourceError(f"it has more than {LINES} lines: it is no configuration")
    try:
        return _parsed(text), Source(lines), []
    except SyntaxError as error:
        plain = _plain(text)
        if plain == text:
            raise SourceError(f"line {error.lineno or 0}: no Python: {error.msg}") from None
    try:
        tree = _parsed(plain)
    except SyntaxError as error:
        raise SourceError(f"line {error.lineno or 0}: a template that can not be read: {error.msg}") from None
    conditions, notes = _conditions(text)
    return tree, Source(lines, conditions), notes


def _conditions(text: str) -> tuple[dict[int, str], list[Line]]:
    """Which lines of a template depend on which of its statements, and what is to be said of these."""
    found: dict[int, str] = {}
    notes: list[Line] = []
    open_: list[str] = []
    last = number = 1
    at = 0
    for each in _STATEMENT.finditer(text):
        number += text.count("\n", at, each.start())
        at = each.start()
        for line in range(last, number) if open_ else ():
            found[line] = open_[-1]
        last = number
        word = _WORD.match(each[1])
        if word is None:
            continue  # a comment of the template
        said = blanked(" ".join(each[1].split()))
        notes.append(Line(number, said, "a line of a template: what it encloses depends on it"))
        if word[1].startswith("end"):
            open_ = open_[:-1]
        elif word[1] in ("else", "elif"):
            open_ = [*open_[:-1], said]
        elif word[1] in ("if", "for", "macro", "filter", "call") and len(open_) < DEEPEST:
            open_.append(said)
    for line in range(last, text.count("\n") + 2) if open_ else ():
        found[line] = open_[-1]
    return found, notes


def _plain(text: str) -> str:
    """A template with a name in place of what is filled in; lines stay where they are."""

    def commented(found: re.Match[str]) -> str:
        return "\n".join("#" for _ in found[0].split("\n"))

    def named(found: re.Match[str]) -> str:
        # inside of quotes it stays: the folding knows it there
        line = text[text.rfind("\n", 0, found.start()) + 1 : found.start()]
        quoted = line.count('"') % 2 or line.count("'") % 2
        return found[0] if quoted else TEMPLATED + "\n" * found[0].count("\n")

    text = _STATEMENT.sub(commented, text)
    return _EXPRESSION.sub(named, text)


def _parsed(text: str) -> ast.Module:
    _bounded(text)
    try:
        return ast.parse(text)
    except (ValueError, RecursionError, MemoryError) as error:
        raise SourceError(f"no Python: {type(error).__name__}") from None


def _bounded(text: str) -> None:
    """Refuses what would be parsed into a tree too deep to walk. Raises SourceError, SyntaxError."""
    depth = operators = branches = 0
    before = ""
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.NEWLINE:
                operators = 0
            elif token.string in ("(", "[", "{"):
                depth += 1
                operators += before in (")", "]")  # a call of what a call gave, and so on
            elif token.string in (")", "]", "}"):
                depth -= 1
            elif token.string == "elif":
                branches += 1
            elif (token.type == tokenize.OP and token.string not in (",", ":", "=")) or token.string in (
                "not",
                "lambda",
                "await",
                "if",
                "else",
                "and",
                "or",
                "for",
                "in",
                "is",
            ):
                operators += 1
            before = token.string
            if depth > DEEPEST or operators > OPERATORS or branches > BRANCHES:
                raise SourceError(f"line {token.start[0]}: it is deeper than a configuration is")
    except (tokenize.TokenError, IndentationError) as error:
        raise SyntaxError(str(error.args[0])) from None
