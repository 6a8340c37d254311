"""How much of public deployments is understood: ``./hack/bench import OWNER/NAME@COMMIT=PATH…``, which writes
docs/benchmarks/import.md.

PATH is a checkout, or a folder in it. Only their names and numbers are kept, none of their text. What is listed has to
be looked at by a person, once: whether a value that was taken over is the one that the old hub has.
"""

from __future__ import annotations

import datetime
import json
import sys
from pathlib import Path
from typing import Any

from pdshub.dockerspawner import deployment
from pdshub.dockerspawner.source import Folder, SourceError
from pdshub.dockerspawner.traits import Verdict

Json = dict[str, Any]


def measured(name: str, path: Path) -> Json:
    """Numbers of one deployment."""
    try:
        made = deployment.read(Folder(path), deployment.Wanted("hub", "hub"))
    except SourceError as error:
        return {"name": name, "error": str(error)}
    report = made.report
    return {
        "name": name,
        "statements": report.statements,
        "understood": report.understood,
        **{verdict.name.lower(): len(report.of(verdict)) for verdict in Verdict},
    }


def page(rows: list[Json], day: str) -> str:
    """The figures as a page of the manual."""
    head = (
        "# Import of public deployments: figures\n\n"
        "Written by `./hack/bench import`, with import.json beside it. Do not edit. Statements of\n"
        "`jupyterhub_config.py` of public deployments with DockerSpawner that `kubectl pdshub import dockerspawner`\n"
        "understood; the rest it lists line by line.\n\n"
        f"{day}\n\n| deployment | understood | taken over | counterpart | none | contradicts | not understood |\n"
        "| --- | --- | --- | --- | --- | --- | --- |\n"
    )
    lines = []
    for row in rows:
        if "error" in row:
            lines.append(f"| {row['name']} | {row['error']} | | | | | |")
            continue
        share = f"{row['understood']} of {row['statements']}, {100 * row['understood'] // max(row['statements'], 1)} %"
        lines.append(
            f"| {row['name']} | {share} | {row['taken']} | {row['counterpart']} | {row['none']} "
            f"| {row['contradiction']} | {row['unread']} |"
        )
    good = [row for row in rows if "error" not in row]
    both = [sum(row[key] for row in good) for key in ("understood", "statements")]
    lines.append(f"| all | {both[0]} of {both[1]}, {100 * both[0] // max(both[1], 1)} % | | | | | |")
    return head + "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Writes the page and its numbers. ``--show`` prints the reports instead."""
    show = "--show" in arguments
    given = [word for word in arguments if "=" in word]
    if not given:
        sys.stderr.write("usage: hack/bench import [--show] OWNER/NAME@COMMIT=PATH…\n")
        return 2
    pairs = [word.partition("=")[::2] for word in given]
    if show:
        for name, path in pairs:
            made = deployment.read(Folder(Path(path)), deployment.Wanted("hub", "hub"))
            sys.stdout.write(f"===== {name}\n{made.report.text()}\n{json.dumps(made.hub['spec'], indent=1)}\n")
        return 0
    rows = [measured(name, Path(path)) for name, path in pairs]
    day = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    folder = Path(arguments[-1])
    (folder / "import.json").write_text(json.dumps({"day": day, "deployments": rows}, indent=1) + "\n")
    (folder / "import.md").write_text(page(rows, day))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
