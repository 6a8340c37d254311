"""``kubectl pdshub import dockerspawner``: from a machine with DockerSpawner to a PDSHub. The old side is only read."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pdshub.api.base import parse_quantity
from pdshub.archive.findings import printable
from pdshub.cli import import_database, import_files, import_homes, import_pod, import_sources, import_words, terminal
from pdshub.cli.archive import FAILED, CliError, Said
from pdshub.cli.hub_choice import UseError
from pdshub.cli.kubectl import Kubectl
from pdshub.dockerspawner import database, deployment, people, view
from pdshub.dockerspawner.source import Folder, SourceError

Json = dict[str, Any]
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?")
DOCKER = "docker"


def arguments(areas: Any, common: Callable[[], argparse.ArgumentParser]) -> None:
    """The command lines of ``import``."""
    commands = areas.add_parser("import", help="from a hub of another kind to a PDSHub").add_subparsers(
        dest="command", required=True, metavar="COMMAND"
    )
    text = "a JupyterHub with DockerSpawner: a PDSHub, its view, people, homes and database. The old hub is only read"
    sub: argparse.ArgumentParser = commands.add_parser("dockerspawner", parents=[common()], help=text, description=text)
    sub.add_argument("folder", metavar="DIR", help="where docker-compose.yml and jupyterhub_config.py are")
    sub.add_argument(
        "--config", default="", metavar="NAME", help="the configuration's name in DIR (default: looked for)"
    )
    sub.add_argument("--fstab", default="", metavar="FILE", help="the old machine's fstab (default: DIR/fstab)")
    sub.add_argument("--database", default="", metavar="FILE", help="jupyterhub.sqlite: users, groups, shares")
    sub.add_argument("--names", default="", metavar="FILE", help="old and new names, two in a line")
    sub.add_argument("--name", default="", metavar="HUB", help="the PDSHub's name (default: that of DIR)")
    sub.add_argument("--hostname", default="", help="where people go (default: that of the OAuth callback)")
    sub.add_argument(
        "--size", type=_quantity, default=None, metavar="QUANTITY", help="of homes (default: what was promised)"
    )
    sub.add_argument("--to", default="pdshub-import", metavar="OUT", help="folder for what is written")
    sub.add_argument("--homes", default="", metavar="DIR|docker", help="copy homes from a folder, or Docker's volumes")
    sub.add_argument(
        "--user", action="append", default=[], metavar="NAME", help="only this one's home; may be repeated"
    )
    sub.add_argument("--final", action="store_true", help="the old hub is stopped: compare every file by digest")
    sub.add_argument("--load-database", action="store_true", help="put the converted database into the hub's volume")
    sub.add_argument("--replace-database", action="store_true", help="one that is there already is put aside")
    sub.add_argument("--crypt-keys", default="", metavar="FILE|drop", help="the old hub's JUPYTERHUB_CRYPT_KEY")
    sub.add_argument("--storage-class", default="", metavar="CLASS", help="of new claims (default: the cluster's)")
    sub.add_argument(
        "--image", default="", help="of pods that take homes in, with python3 (default: the installation's)"
    )
    sub.add_argument(
        "--hub-image", default="", help="of the pod that converts the database (default: the installation's)"
    )
    sub.add_argument(
        "--dry-run", action="store_true", help="write nothing, ask no cluster: only the report and the plan"
    )
    sub.set_defaults(run=run)


def _quantity(text: str) -> str:
    try:
        if parse_quantity(text) > 0:
            return text
    except (ValueError, ArithmeticError):
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is no size: write for example 20Gi")


def run(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Reads the deployment, writes manifests and report, and copies what was asked for. Code 1: something differs."""
    _together(args)
    with ExitStack() as stack:
        copy, found = _database(args, stack)
        try:
            wanted = _wanted(args)
            read = deployment.read(Folder(Path(args.folder)), wanted, found)
        except SourceError as error:
            raise UseError(str(error)) from None
        answer: Json = {
            "hub": read.hub, "view": read.view.manifest(read.view_name) if read.view else None,
            "paths": read.view.moved if read.view else {}, "report": read.report.wire(), "dryRun": args.dry_run,
            "files": [], "homes": None, "database": None,
        }  # fmt: skip
        said = [read.report.text()]
        out = Path(args.to)
        if not args.dry_run:
            answer["files"] = import_files.write(out, import_files.texts(read, said[0]))
            said.append("\n".join(["written:", *(f"  {line}" for line in answer["files"])]))
            if copy and found:
                said.append(_convert(copy, out, read, found, args, answer))
        code = 0
        if args.homes:
            text, code = _homes(kubectl, args, wanted, read, answer)
            said.append(text)
        if args.load_database and not args.dry_run:
            said.append(_load(kubectl, args, wanted, out, answer))
    if args.dry_run:
        said.append("nothing was written: --dry-run")
    lines = "\n\n".join(said).split("\n")
    return answer, "\n".join(map(printable, lines)), code


def _together(args: argparse.Namespace) -> None:
    """Refuses options that make no sense together. Raises UseError."""
    if args.load_database and not args.database:
        raise UseError("--load-database needs --database FILE")
    if (args.final or args.user) and not args.homes:
        raise UseError("--final and --user are about homes: add --homes DIR|docker")
    if args.name and not _NAME.fullmatch(args.name):
        raise UseError(f"--name {args.name}: at most 48 lower case letters, digits and dashes")
    if not Path(args.folder).is_dir():
        raise UseError(f"{args.folder} is no directory")


def _wanted(args: argparse.Namespace) -> deployment.Wanted:
    """What the command line says. Raises SourceError, UseError."""
    name = args.name or view.label(Path(args.folder).resolve().name, "hub", 48)
    renamed = people.renames(_text(args.names)) if args.names else {}
    table = _text(args.fstab) if args.fstab else None
    return deployment.Wanted(name, args.namespace or "hub", args.config, args.hostname, args.size or "", renamed, table)


def _text(file: str) -> str:
    """A file that a person names. Raises SourceError."""
    path = Path(file)
    return Folder(path.parent).text(path.name)


def _database(args: argparse.Namespace, stack: ExitStack) -> tuple[Path | None, database.Database | None]:
    if not args.database:
        return None, None
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pdshub-import-")))
    try:
        copy = database.copied(Path(args.database), folder)
        return copy, database.read(copy)
    except SourceError as error:
        raise UseError(str(error)) from None


def _convert(
    copy: Path, out: Path, read: deployment.Deployment, found: database.Database, args: argparse.Namespace, answer: Json
) -> str:
    try:
        rows = import_database.converted(copy, out / "jupyterhub.sqlite", read.names, found, args.crypt_keys)
    except SourceError as error:
        raise CliError(str(error)) from None
    answer["database"] = {"file": str(out / "jupyterhub.sqlite"), "rows": rows, "loaded": None}
    counted = ", ".join(f"{count} {table}" for table, count in rows.items())
    return f"database converted: {out / 'jupyterhub.sqlite'}: {counted}; tokens, servers and services are left out"


def _homes(
    kubectl: Kubectl, args: argparse.Namespace, wanted: deployment.Wanted, read: deployment.Deployment, answer: Json
) -> tuple[str, int]:
    home = read.binds.home
    if home is None:
        raise UseError("where homes are was not found in this deployment: see the report")
    if args.homes != DOCKER and not Path(args.homes).is_dir():
        raise UseError(f"--homes {args.homes} is no directory")
    found = import_sources.sources(home, read.names, args.homes, import_sources.volume)
    meant, notes = import_sources.chosen(found, args.user)
    trees = import_sources.planned(meant, home.stubs, _told)
    size = read.hub["spec"].get("server", {}).get("home", {}).get("size") or import_sources.DEFAULT_SIZE
    if args.dry_run:
        answer["homes"] = import_words.planned(meant, trees, notes, size)
        return import_words.plan_text(answer["homes"]), 0
    pods = import_pod.Pods(kubectl, wanted.namespace, args.image or import_pod.operator_image(kubectl))
    copier = import_homes.Copier(kubectl, pods, home, wanted.name, Path(args.to) / "homes", _told)
    made = copier.claims(meant, trees, size, args.storage_class)
    outcomes = copier.copy(meant, trees, args.final)
    answer["homes"] = {
        "claims": made,
        "notes": notes,
        "homes": [outcome.wire() for outcome in outcomes],
        "final": args.final,
    }
    failed = [o for o in outcomes if o.error or o.refused or (args.final and not o.equal)]
    return import_words.outcome_text(outcomes, [*made, *notes], args.final), FAILED if failed else 0


def _load(kubectl: Kubectl, args: argparse.Namespace, wanted: deployment.Wanted, out: Path, answer: Json) -> str:
    old: list[str] = []
    if args.crypt_keys and args.crypt_keys != import_database.DROP:
        try:
            old = import_database.keys(_text(args.crypt_keys))
        except SourceError as error:
            raise UseError(f"--crypt-keys: {error}") from None
    image = import_database.hub_image(kubectl, import_pod.SYSTEM, args.hub_image)
    pods = import_pod.Pods(kubectl, wanted.namespace, image)
    file = out / "jupyterhub.sqlite"
    text = import_database.load(kubectl, pods, wanted.name, file, old, args.storage_class, args.replace_database)
    answer["database"]["loaded"] = text
    return text


def _told(words: str) -> None:
    terminal.write(sys.stderr, f"… {printable(words)}")
