"""Files of variables, and variables in the values of a Compose file. Pure.

Source: Compose specification, "Interpolation" and "env_file".
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Callable, Mapping

from pdshub.dockerspawner.source import SourceError

LONGEST, MOST, ALL = 1 << 16, 2000, 4 << 20
"""Characters of the longest value, variables of a file, and characters of all values: variables in variables grow."""
_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*(?:[=:]\s*(.*))?$")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DEEPEST = 8
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "$": "$$"}


def read(text: str, outer: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of a file of lines ``NAME=value``; values may name earlier ones, and those of ``outer``.

    Lines that are none are left out, as Compose's own parser has no common idea of them. Raises SourceError.
    """
    found: dict[str, str] = {}
    known = ChainMap(found, dict(outer or {}))
    length = 0
    for line in text.split("\n"):
        if line.lstrip().startswith("#") or not (parts := _LINE.match(line)):
            continue
        name, value = parts[1], parts[2]
        if value is None:  # a name alone passes on what is there
            if name in known:
                found[name] = known[name]
        else:
            found[name] = _value(value.strip(), known)
        length += len(found.get(name, ""))
        if len(found) > MOST or length > ALL:
            raise SourceError("it has more variables, or longer ones, than a configuration has")
    return found


def _value(written: str, known: Mapping[str, str]) -> str:
    if written.startswith("'"):
        return written[1:].partition("'")[0]
    if written.startswith('"'):
        body = re.match(r'"((?:[^"\\]|\\.)*)', written, re.DOTALL)
        plain = re.sub(r"\\(.)", lambda c: _ESCAPES.get(c[1], c[0]), body[1] if body else "")
        return interpolated(plain, known)
    return interpolated(re.sub(r"(?:^|\s)#.*", "", written).rstrip(), known)


def interpolated(
    text: str, known: Mapping[str, str], missing: Callable[[str], None] = lambda name: None, depth: int = 0
) -> str:
    """A value with its variables replaced: ``$NAME``, ``${NAME}`` and its forms with ``-``, ``?`` and ``+``.

    ``missing`` is told names without a value and a default, which become empty. Raises SourceError.
    """
    if depth > _DEEPEST:
        raise SourceError("variables are nested too deep")
    made, at, length = list[str](), 0, 0
    while (dollar := text.find("$", at)) >= 0:
        made.append(text[at:dollar])
        following = text[dollar + 1 : dollar + 2]
        if following == "$":
            made.append("$")
            at = dollar + 2
        elif following == "{":
            end = _closing(text, dollar + 2)
            made.append(_braced(text[dollar + 2 : end], known, missing, depth))
            at = end + 1
        elif name := _NAME.match(text, dollar + 1):
            if name[0] not in known:
                missing(name[0])
            made.append(known.get(name[0], ""))
            at = name.end()
        else:
            made.append("$")
            at = dollar + 1
        length += len(made[-1])
        if length > LONGEST:
            raise SourceError(f"a value has more than {LONGEST >> 10} Ki characters")
    return "".join([*made, text[at:]])


def _closing(text: str, start: int) -> int:
    """Where the brace of a variable closes. Raises SourceError."""
    depth = 1
    for at in range(start, len(text)):
        if text[at] == "{" and text[at - 1] == "$":
            depth += 1
        elif text[at] == "}":
            depth -= 1
            if not depth:
                return at
    raise SourceError(f"a variable is not closed: {text[:80]!r}")


def _braced(body: str, known: Mapping[str, str], missing: Callable[[str], None], depth: int) -> str:
    parts = re.match(r"([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-+?])(.*))?$", body, re.DOTALL)
    if not parts:
        raise SourceError(f"${{{body[:80]}}} is no variable")
    name, how, other = parts[1], parts[2] or "", parts[3] or ""
    there = name in known and (not how.startswith(":") or bool(known[name]))
    if how.endswith("+"):
        return interpolated(other, known, missing, depth + 1) if there else ""
    if there:
        return known[name]
    if how.endswith("-"):
        return interpolated(other, known, missing, depth + 1)
    missing(name)
    return known.get(name, "")
