"""Homes of an old hub: where everybody's is, what it holds, and the claim that it belongs into."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pdshub.cli import import_tree
from pdshub.cli.archive import CliError
from pdshub.cli.census import quantity
from pdshub.cli.hub_choice import UseError
from pdshub.dockerspawner import names
from pdshub.dockerspawner.binds import Home
from pdshub.reconcile.hub.people import slug

DEFAULT_SIZE = "10Gi"


@dataclass(frozen=True)
class Source:
    """A home of the old hub."""

    user: str
    """The name at the new hub."""
    old: str
    root: str = ""
    """Directory below which it is opened, without links."""
    home: str = ""
    """Its path below ``root``; empty where none was found."""
    others: tuple[str, ...] = ()
    """More directories that may be this person's, by names of other versions."""
    claim: str = ""


def claim_of(user: str) -> str:
    """The claim of somebody's home, as the new hub's spawner calls it."""
    return f"claim-{slug.safe(user)}"


def sources(home: Home, people: Mapping[str, str], where: str, inspected: Callable[[str], str]) -> list[Source]:
    """Where everybody's home is. ``people``: new names by old ones. ``where``: the folder that holds homes, or docker.

    ``inspected``: the directory of a volume of Docker's; empty where there is none.
    """
    found = []
    for old, new in sorted(people.items()):
        claimed = claim_of(new)
        there = []
        for name in names.below_fixed(home.rule, old):
            if where == "docker" and home.rule.named:
                if path := inspected(name):
                    there.append((str(Path(path).parent), Path(path).name))
            else:
                root = home.rule.fixed if where == "docker" else where
                # a volume's directory as /var/lib/docker/volumes has it, or as somebody copied it
                for below in (f"{name}/_data", name) if home.rule.named else (name,):
                    if Path(root, below).is_dir() and not Path(root, below).is_symlink():
                        there.append((root, below))
                        break
        first = there[0] if there else ("", "")
        others = tuple(f"{root}/{below}" for root, below in there[1:])
        found.append(Source(new, old, first[0], first[1], others, claimed))
    return found


def volume(name: str, program: str = "") -> str:
    """The directory of a volume of Docker's or podman's; empty where there is none of that name. Raises CliError.

    Docker is asked where the volume lies, and nothing else of it.
    """
    chosen = program or os.environ.get("DOCKER") or shutil.which("docker") or shutil.which("podman")
    if not chosen:
        raise CliError("neither docker nor podman is on PATH: --homes DIR takes a folder that holds the homes")
    try:
        done = subprocess.run(
            [chosen, "volume", "inspect", "--format", "{{.Mountpoint}}", "--", name],
            capture_output=True, encoding="utf-8", errors="replace", timeout=60, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CliError(f"{chosen}: {error}") from None
    path = done.stdout.strip()
    if done.returncode or not path.startswith("/"):
        if "no such" in done.stderr.lower() or not done.stderr.strip():
            return ""
        raise CliError(f"{chosen} volume inspect: {done.stderr.strip()[:300]}")
    return path


def claim_size(held: int, size: str) -> str:
    """The size of a claim: that of homes, or what is in it and a quarter more."""
    if held * 1.05 <= quantity(size):
        return size
    return f"{math.ceil(held * 1.25 / (1 << 30))}Gi"


def planned(homes: Sequence[Source], stubs: Sequence[str], told: Callable[[str], None]) -> dict[str, import_tree.Tree]:
    """What each home holds, by new name. Raises CliError where one can not be read."""
    trees = {}
    for source in homes:
        try:
            trees[source.user] = import_tree.read(source.root, source.home, stubs)
        except OSError as error:
            raise CliError(
                f"the home of {source.old}, {source.root}/{source.home}: {error.strerror}: reading homes takes the"
                " rights of root (sudo -E)"
            ) from None
        told(f"{source.user}: {len(trees[source.user].entries)} files of {trees[source.user].bytes >> 20} MiB")
    return trees


def chosen(homes: Sequence[Source], only: Sequence[str]) -> tuple[list[Source], list[str]]:
    """The homes that are meant and there, and what is to be said of the others. Raises UseError."""
    if unknown := set(only) - {source.user for source in homes} - {source.old for source in homes}:
        raise UseError(f"--user {', '.join(sorted(unknown))}: nobody of this name is known")
    meant = [source for source in homes if not only or source.user in only or source.old in only]
    notes = [f"{source.old} has no home" for source in meant if not source.home]
    notes += [
        f"{s.old} has more than one home: {s.root}/{s.home} is copied, not {', '.join(s.others)}"
        for s in meant
        if s.others
    ]
    return [source for source in meant if source.home], notes
