"""Texts of others in files of other languages: each value is written so that it stays a value. Pure."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from pdshub.archive.findings import printable

WIDTH = 110
PLAIN_PATH = re.compile(r"(?:/[A-Za-z0-9][A-Za-z0-9._-]*)+")
"""A path that means itself in YAML, a shell, a unit of systemd, and as a volume of Docker."""
_LONG = 90


class ExportError(ValueError):
    """Something of a PDSHub can not be written down for one machine; the text names it and what to do."""


class Variable(str):
    """A text in which Compose shall put in its variables."""

    __slots__ = ()


def path(text: str, of: str) -> str:
    """A path that may stand anywhere. Raises ExportError."""
    if not PLAIN_PATH.fullmatch(text) or len(text) > 200:
        raise ExportError(f"{of} {text!r}: write a path of letters, digits, dots, dashes and underscores")
    return text


def line(text: str) -> str:
    """A text on one line of ASCII: nothing in it ends a comment."""
    return printable(text).encode("ascii", "backslashreplace").decode()


def comment(lines: Iterable[str], mark: str = "# ") -> str:
    """Lines as comments, wrapped."""
    made = []
    for each in lines:
        made += textwrap.wrap(line(each), WIDTH, subsequent_indent="  ", break_on_hyphens=False) or [""]
    return "".join(f"{mark}{each}".rstrip() + "\n" for each in made)


def literal(value: Any, indent: int = 0) -> str:
    """A value as Python writes it, in ASCII. Raises TypeError for what JSON has not."""
    if isinstance(value, str):
        return ascii(str(value))
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    inner, pad = "    " * (indent + 1), "    " * indent
    if isinstance(value, Mapping):
        parts = [f"{literal(str(key))}: {literal(held, indent + 1)}" for key, held in value.items()]
        brackets = "{}"
    elif isinstance(value, list | tuple):
        parts, brackets = [literal(held, indent + 1) for held in value], "[]"
    else:
        raise TypeError(f"{type(value).__name__} is no value of a configuration")
    short = ", ".join(parts)
    if len(short) < _LONG and "\n" not in short:
        return f"{brackets[0]}{short}{brackets[1]}"
    return f"{brackets[0]}\n{''.join(f'{inner}{part},{chr(10)}' for part in parts)}{pad}{brackets[1]}"


class _Dumper(yaml.SafeDumper):
    """Writes what is the same twice as it is, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def compose_yaml(document: Mapping[str, Any]) -> str:
    """A Compose file: ``$`` in a text is a dollar sign, unless it is a :class:`Variable`."""

    def written(value: Any) -> Any:
        if isinstance(value, Variable):
            return str(value)
        if isinstance(value, str):
            return value.replace("$", "$$")
        if isinstance(value, Mapping):
            return {str(key): written(held) for key, held in value.items()}
        return [written(held) for held in value] if isinstance(value, list | tuple) else value

    return plain_yaml(written(document))


def plain_yaml(document: Mapping[str, Any]) -> str:
    """A document as YAML, in ASCII."""
    text: str = yaml.dump(dict(document), Dumper=_Dumper, sort_keys=False, allow_unicode=False, width=WIDTH)
    return text
