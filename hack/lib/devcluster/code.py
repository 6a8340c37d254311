"""Which code each program of the operator's image runs, and whether it changed: by what modules import, statically."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from .artefact import digest, files_digest
from .settings import ROOT, Paths

SOURCE = ROOT / "operator"
PROGRAMS = {
    "operator": "pdshub.operator",
    "node": "pdshub.node.main",
    "nfs-helper": "pdshub.node.source.nfs_helper",
    "surveyor": "pdshub.surveyor.main",
    "audit": "pdshub.audit_log.query",
    "homes": "pdshub.homes.main",
}
"""Program -> the module it starts with."""
KEPT = 20
"""Images whose programs' digests are remembered."""
_MODULE = re.compile(r"pdshub(\.\w+)+")


def files_of(program: str, source: Path = SOURCE) -> list[Path]:
    """All files below ``source`` that a program may load, sorted.

    They are found by import statements, also those inside of functions, and by the names of modules in texts, since
    workers are started as ``python -m pdshub.…``. So a file may be named that is never loaded, and none is left out.
    """
    found: set[Path] = set()
    waiting = [PROGRAMS[program]]
    while waiting:
        name = waiting.pop()
        for file in _files(name, source):
            if file not in found:
                found.add(file)
                waiting += _mentions(file, source)
    return sorted(found)


def _files(module: str, source: Path) -> Iterator[Path]:
    """The file of a module and those of the packages around it; nothing for a name that is no module."""
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        path = source.joinpath(*parts[:count])
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if not file.is_file():
            return
        yield file


def _mentions(file: Path, source: Path) -> Iterator[str]:
    package = file.relative_to(source).parent.parts
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            around = list(package[: len(package) - node.level + 1]) if node.level else []
            name = ".".join([*around, *([node.module] if node.module else [])])
            yield name
            yield from (f"{name}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _MODULE.fullmatch(node.value):
            yield node.value


def digests(others: str, source: Path = SOURCE) -> dict[str, str]:
    """Program -> digest of the code that it may load, of data files beside the code, and of ``others``.

    ``others`` stands for what else the image is made of (:func:`app_images.surroundings`).
    """
    data = [p for p in source.rglob("*") if p.suffix not in (".py", ".pyi", ".pyc")]
    beside = files_digest([p for p in data if p.is_file()], source)
    return {program: digest([others, beside, files_digest(files_of(program, source), source)]) for program in PROGRAMS}


def remember(paths: Paths, image: str, found: Mapping[str, str]) -> None:
    """Keep the digests of the programs of an image, under the image's name."""
    known = _known(paths)
    known.pop(image, None)
    known[image] = dict(found)
    file = _file(paths)
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_text(json.dumps(dict(list(known.items())[-KEPT:]), indent=1) + "\n")
    new.rename(file)


def recall(paths: Paths, image: str) -> dict[str, str]:
    """What :func:`remember` kept of ``image``; empty when it is not known."""
    return _known(paths).get(image, {})


def _file(paths: Paths) -> Path:
    return paths.cluster / "code.json"


def _known(paths: Paths) -> dict[str, dict[str, str]]:
    try:
        known: dict[str, dict[str, str]] = json.loads(_file(paths).read_text())
    except (OSError, ValueError):
        return {}
    return known
