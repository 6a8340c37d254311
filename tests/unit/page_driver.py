"""Runs a page's blocks one after the other, as its reader does; a program of its own, with a home of its own.

Standard input: [[language, text], …] in JSON. Standard output: what each printed, and the value of a cell's last line.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def cell(text: str, names: dict[str, Any]) -> str:
    """What a notebook shows below a cell."""
    tree, said = ast.parse(text), io.StringIO()
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(said):
        exec(compile(tree, "cell", "exec"), names)  # noqa: S102
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), names) if last else None  # noqa: S307
        if value is not None:
            print(repr(value))
    return said.getvalue()


def shell(text: str) -> str:
    """What a terminal shows. Raises where a command fails."""
    done = subprocess.run(["bash", "-euo", "pipefail"], input=text, cwd=Path.home(), capture_output=True, text=True,
                          check=False)  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{text}\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    names: dict[str, Any] = {}
    json.dump([cell(text, names) if language == "python" else shell(text) for language, text in json.load(sys.stdin)],
              sys.stdout)  # fmt: skip


main()
