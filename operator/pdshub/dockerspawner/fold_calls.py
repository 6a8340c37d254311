"""Calls in expressions: the few whose results are constants, and those that read the environment. Pure."""

from __future__ import annotations

import ast
import posixpath
import re
import string
from collections.abc import Callable, Mapping
from typing import Any

from pdshub.dockerspawner.fold import RANDOM, Scope
from pdshub.dockerspawner.values import LARGEST, LONGEST, Random, Unknown, known, together, why

_TEMPLATE = re.compile(r"\{\{[-+]?\s|\{%")
_PLAIN = "a call that is not evaluated"
_GET = ("os.environ.get", "os.getenv", "os.environ.setdefault")
_ABSOLUTE = ("os.path.abspath", "os.path.realpath")
_MOUNT = ("docker.types.Mount",)
_PATHS = ("pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath", "pathlib.PurePosixPath")
_TRUE, _FALSE = ("1", "true", "yes", "on", "y", "t"), ("0", "false", "no", "off", "n", "f", "")


def called(scope: Scope, node: ast.Call, depth: int) -> Any:
    """What a call gives, or Unknown."""
    if any(isinstance(each, ast.Starred) for each in node.args) or any(word.arg is None for word in node.keywords):
        return Unknown(_PLAIN)
    dotted = scope.dotted(node.func)
    name = dotted or (node.func.id if isinstance(node.func, ast.Name) else "")
    if dotted in RANDOM:
        return Random(dotted)
    given = [scope.fold(each, depth) for each in node.args]
    named = {str(word.arg): scope.fold(word.value, depth) for word in node.keywords}
    if dotted in _GET:
        default = given[1] if len(given) > 1 else named.get("default")
        return scope.variable(given[0] if given else named.get("key"), default)
    if dotted in _MOUNT:
        return dict(zip(("target", "source", "type", "read_only"), given, strict=False)) | named
    if dotted == "os.path.expandvars" and given and isinstance(given[0], str):
        return Unknown("a path is expanded when it runs")
    if name in _BUILTIN and not (isinstance(node.func, ast.Name) and name in scope.names):
        return _BUILTIN[name](given, named)
    if dotted in _PATHS or dotted == "os.path.join":
        return posixpath.join(*given) if given and all(isinstance(each, str) for each in given) else _none(given)
    if dotted in _OF_PATHS and len(given) == 1:
        if not isinstance(given[0], str):
            return _none(given)
        if dotted in _ABSOLUTE and not given[0].startswith("/"):
            return Unknown("where the hub runs is not known")
        return _OF_PATHS[dotted](given[0])
    if isinstance(node.func, ast.Name):
        found = scope.function(node.func.id, given)
        return Unknown(f"{node.func.id}() was not run") if found is None else found
    if isinstance(node.func, ast.Attribute) and not dotted:
        if node.func.attr == "format" and isinstance(node.func.value, ast.Constant):
            template = node.func.value.value  # doubled braces are braces to it, and no template's
            if isinstance(template, str) and not _TEMPLATE.search(template):
                return formatted(template, given, named)
        return _method(scope.fold(node.func.value, depth), node.func.attr, given, named)
    return Unknown(f"{dotted}() was not run" if dotted else _PLAIN)


def _none(given: list[Any]) -> Unknown:
    return Unknown(next((words for value in given if (words := why(value))), _PLAIN))


def _text(given: list[Any], named: Mapping[str, Any]) -> Any:
    if not given:
        return ""
    return str(given[0]) if isinstance(given[0], str | int | float | bool) else _none(given)


def _number(kind: type[int] | type[float]) -> Callable[[list[Any], Mapping[str, Any]], Any]:
    def made(given: list[Any], named: Mapping[str, Any]) -> Any:
        if len(given) != 1 or not isinstance(given[0], str | int | float) or len(str(given[0])) > 30:
            return _none(given)
        try:
            found = kind(given[0])
        except (ValueError, OverflowError):
            return Unknown(f"{given[0]!r} is no number")
        return found if abs(found) < LARGEST else Unknown("a number is too large")

    return made


def _truth(given: list[Any], named: Mapping[str, Any]) -> Any:
    return bool(given[0]) if given and known(given[0]) else _none(given) if given else False


def _strtobool(given: list[Any], named: Mapping[str, Any]) -> Any:
    word = given[0].strip().lower() if given and isinstance(given[0], str) else None
    return True if word in _TRUE else False if word in _FALSE else _none(given)


def _many(given: list[Any], named: Mapping[str, Any]) -> Any:
    if not given:
        return []
    if isinstance(given[0], str) and given[0]:
        return Unknown("a text is taken apart into its characters")
    return list(given[0]) if isinstance(given[0], list | dict | str) else _none(given)


def _set(given: list[Any], named: Mapping[str, Any]) -> Any:
    found = _many(given, named)
    if isinstance(found, list) and all(isinstance(each, str | int) for each in found):
        return list(dict.fromkeys(found))
    return found


def _sorted(given: list[Any], named: Mapping[str, Any]) -> Any:
    found = _many(given, named)
    plain = isinstance(found, list) and all(isinstance(each, str) for each in found) and not named
    return sorted(found) if plain else _none(given)


def _dict(given: list[Any], named: Mapping[str, Any]) -> Any:
    if given and not isinstance(given[0], dict):
        return _none(given)
    return {**(given[0] if given else {}), **named}


_BUILTIN: Mapping[str, Callable[[list[Any], Mapping[str, Any]], Any]] = {
    "str": _text, "int": _number(int), "float": _number(float), "bool": _truth, "list": _many, "tuple": _many,
    "set": _set, "frozenset": _set, "sorted": _sorted, "dict": _dict, "distutils.util.strtobool": _strtobool,
    "strtobool": _strtobool,
}  # fmt: skip
_OF_PATHS: Mapping[str, Callable[[str], str]] = {
    "os.path.dirname": posixpath.dirname,
    "os.path.basename": posixpath.basename,
    "os.path.abspath": posixpath.normpath,
    "os.path.realpath": posixpath.normpath,
    "os.path.normpath": posixpath.normpath,
    "os.fspath": str,
}


def _method(value: Any, name: str, given: list[Any], named: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        return _of_text(value, name, given, named)
    if isinstance(value, dict):
        if name == "get" and given:
            default = given[1] if len(given) > 1 else None
            return value.get(given[0], default) if isinstance(given[0], str | int) else _none(given)
        pairs = [[key, held] for key, held in value.items()]
        simple = {"keys": list(value), "values": list(value.values()), "items": pairs, "copy": dict(value)}
        return simple.get(name, Unknown(_PLAIN))
    if isinstance(value, list):
        if name == "copy":
            return list(value)
        if name == "union" and all(isinstance(each, list) for each in given):
            return _set([[x for each in (value, *given) for x in each]], {})
        return Unknown(_PLAIN)
    if isinstance(value, Random):  # its digits in hexadecimal, and so on
        return value
    return Unknown(why(value) or _PLAIN)


def _of_text(value: str, name: str, given: list[Any], named: Mapping[str, Any]) -> Any:
    if name == "format":
        return formatted(value, given, named)
    if name == "join" and len(given) == 1 and isinstance(given[0], list):
        between = [each for held in given[0] for each in (value, held)]
        return together(between[1:])
    if not all(isinstance(each, str) for each in given) or named:
        return _none(given)
    if name == "replace" and len(given) == 2:
        grown = len(value) * (len(given[1]) + 1) if not given[0] else len(value) * max(1, len(given[1]))
        return value.replace(given[0], given[1]) if grown <= LONGEST else Unknown("a value is too large")
    if name in ("startswith", "endswith") and len(given) == 1:
        return value.startswith(given[0]) if name == "startswith" else value.endswith(given[0])
    if name in ("strip", "lstrip", "rstrip", "split") and len(given) < 2 and (given != [""] or name != "split"):
        found: Any = getattr(value, name)(*given)
        return found
    simple: Mapping[str, Callable[[], Any]] = {
        "lower": value.lower, "upper": value.upper, "splitlines": value.splitlines, "title": value.title,
        "encode": lambda: value,
    }  # fmt: skip
    return simple[name]() if name in simple and not given else Unknown(_PLAIN)


def formatted(template: str, values: list[Any], named: Mapping[str, Any]) -> Any:
    """``str.format`` for plain fields alone: widths and attributes could make anything of a text."""
    made, at = list[Any](), 0
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError:
        return Unknown("a text is no format")
    for literal, name, spec, conversion in parts:
        made.append(literal)
        if name is None:
            continue
        if spec or conversion or not re.fullmatch(r"\w*", name):
            return Unknown("a text is formatted in a way that is not evaluated")
        if not name:
            name, at = str(at), at + 1
        if name.isascii() and name.isdigit():
            there = len(name) < 5 and int(name) < len(values)
            made.append(values[int(name)] if there else Unknown("a field is missing"))
        else:
            made.append(named.get(name, Unknown("a field is missing")))
    return together(made)
