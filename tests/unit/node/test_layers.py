"""The layers inside `pdshub.node` hold for modules that are named in text, too: a child process is started by name,
which the import linter does not see."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
NODE = ROOT / "operator/pdshub/node"


def layers() -> dict[str, int]:
    """Part of pdshub.node -> its layer, 0 at the top, as the contract in pyproject.toml has them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = (one for one in contracts if one.get("containers") == ["pdshub.node"])
    return {name: n for n, layer in enumerate(contract["layers"]) for name in re.split(r"\s*[|:]\s*", layer)}


def named() -> Iterator[tuple[str, str]]:
    """(part that names, module of pdshub.node that it names), for every text that is such a module's name."""
    for path in sorted(NODE.rglob("*.py")):
        part = path.relative_to(NODE).parts[0].removesuffix(".py")
        if part == "_proto":
            continue
        for found in ast.walk(ast.parse(path.read_text())):
            if isinstance(found, ast.Constant) and isinstance(found.value, str):
                module = NODE.parents[1] / (found.value.replace(".", "/") + ".py")
                if re.fullmatch(r"pdshub\.node(\.\w+)+", found.value) and module.is_file():
                    yield part, found.value


def test_no_text_names_a_module_of_a_higher_layer() -> None:
    order, found = layers(), set(named())
    assert len(found) > 2, "the child processes are named somewhere"
    for part, module in found:
        assert order[part] <= order[module.split(".")[2]], f"{part} starts {module}, which lies above it"
