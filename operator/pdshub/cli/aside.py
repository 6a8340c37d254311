"""Moves entries of a home into a new folder of it: ``kubectl pdshub homes reset`` runs this in a pod, as its owner.

The pod is given this file's text and nothing else of the project. Only names at the top of the home are moved, by
rename: nothing is read, copied or deleted, and no link is followed.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

MADE, LEFT = ("before-reset-", "restored-", "replaced-"), ("lost+found", ".pdshub-restore")
"""How names begin of what PDSHub put into homes for people to find; what is not theirs. Both stay where they are."""
MOST_FOLDERS = 1000


def chosen(there: list[str], names: list[str]) -> list[str]:
    """Which entries of a home are moved; ``names`` of "*" alone means all that are the user's."""
    if names != ["*"]:
        return [name for name in names if name in there]
    return sorted(name for name in there if name not in LEFT and not name.startswith(MADE))


def _made(top: int, folder: str) -> str:
    """A new folder: with a number where there is one already. Raises OSError."""
    for number in range(1, MOST_FOLDERS):
        name = folder if number == 1 else f"{folder}-{number}"
        try:
            os.mkdir(name, 0o700, dir_fd=top)
        except FileExistsError:
            continue
        return name
    raise FileExistsError(17, f"{folder} and {MOST_FOLDERS} more are there already")


def move(home: str, folder: str, names: list[str]) -> dict[str, Any]:
    """Moves; what was moved, where it lies, and what stayed and why. Raises OSError."""
    top = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        found = chosen(os.listdir(top), names)  # noqa: PTH208 - of a folder that is open
        answer: dict[str, Any] = {"folder": "", "moved": [], "kept": []}
        if not found:
            return answer
        answer["folder"] = _made(top, folder)
        inside = os.open(answer["folder"], os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
        try:
            for name in found:
                try:
                    os.rename(name, name, src_dir_fd=top, dst_dir_fd=inside)
                    answer["moved"].append(name)
                except OSError as error:
                    answer["kept"].append([name, error.strerror])
        finally:
            os.close(inside)
        return answer
    finally:
        os.close(top)


def main(arguments: list[str]) -> int:
    """``arguments``: one JSON object with ``home``, ``folder`` and ``names``."""
    asked = json.loads(arguments[0])
    try:
        answer = move(asked["home"], asked["folder"], asked["names"])
    except OSError as error:
        answer = {"error": error.strerror}
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
