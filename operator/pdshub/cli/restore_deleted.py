"""``kubectl pdshub restore-deleted``: a PDSHub that was deleted by mistake, over what its deletion left."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pdshub.archive.findings import printable
from pdshub.cli import change, left_behind, users_act
from pdshub.cli.archive import FAILED, CliError, Said
from pdshub.cli.hub_choice import HUBS, UseError
from pdshub.cli.kubectl import Kubectl, KubectlError
from pdshub.cli.left_behind import Left, Point
from pdshub.cli.manifest import MAX_BYTES
from pdshub.wellknown import CHANGED_BY, PLUGIN

Json = dict[str, Any]
EXAMPLES = """examples:
  kubectl pdshub restore-deleted --file sbn.yaml --dry-run
  kubectl pdshub restore-deleted --file sbn.yaml

the file: the manifest as it was applied, or what kubectl get pdshub -o yaml once said. With deletionPolicy Retain, the
default, a deleted hub leaves database, homes and keys: the hub that comes back under the same name finds them

exit codes: 0 done; 1 something is missing or does not fit; 2 wrong use"""


def arguments(top: Any, common: argparse.ArgumentParser) -> None:
    """The command line of ``restore-deleted``."""
    text = "bring a PDSHub back that was deleted by mistake: database, homes and keys are looked for first"
    sub: argparse.ArgumentParser = top.add_parser(
        "restore-deleted", parents=[common], help=text, description=text, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    sub.add_argument("-f", "--file", required=True, metavar="FILE", help="the PDSHub as it was; - is stdin")
    sub.add_argument("--without-database", action="store_true", help="go on although the hub's database is gone")
    sub.add_argument("--dry-run", action="store_true", help="only look; the API server checks the PDSHub")
    sub.add_argument("-y", "--yes", action="store_true", help="do not ask")
    sub.set_defaults(run=run, command="restore-deleted")


def run(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Looks at what is left, says it, and creates the PDSHub. Code 1 where something keeps it from coming back."""
    hub = left_behind.saved(_text(args.file), args.namespace)
    namespace, name = str(hub["metadata"]["namespace"]), str(hub["metadata"]["name"])
    points = left_behind.judge(hub, look(kubectl, namespace))
    if args.without_database:
        points = [replace(p, kind="note") if _lacks_database(p) else p for p in points]
    lines = [f"PDSHub {namespace}/{name}", *(f"  {point.line}" for point in points)]
    answer: Json = {
        "hub": {"namespace": namespace, "name": name}, "dryRun": args.dry_run, "created": False,
        "points": [{"kind": point.kind, "words": point.words} for point in points],
    }  # fmt: skip
    if any(point.kind == "stops" for point in points):
        return answer, "\n".join(map(printable, [*lines, "nothing was created"])), FAILED
    if not args.dry_run:
        for line in lines:
            users_act.tell(line)
        users_act.confirm(args, f"PDSHub {namespace}/{name} is created anew over what is left.")
    _create(kubectl, hub, args)
    if args.dry_run:
        return answer, "\n".join(map(printable, [*lines, "nothing was stored: --dry-run"])), 0
    wait = f"kubectl wait -n {namespace} --for=condition=Ready pdshub/{name} --timeout=5m"
    return {**answer, "created": True}, "\n".join(map(printable, [*lines, f"created: {wait}"])), 0


def _lacks_database(point: Point) -> bool:
    return point.kind == "stops" and point.words.startswith(f"claim {left_behind.DATABASE} is gone")


def look(kubectl: Kubectl, namespace: str) -> Left:
    """What is in the namespace. Raises CliError, KubectlError."""
    try:
        space = kubectl.get("namespace", namespace)
    except KubectlError as error:
        if "not found" not in str(error).lower():
            space = {}  # not everybody who keeps a hub may read namespaces
        else:
            raise CliError(
                f"namespace {namespace} is gone: make it again with its labels, then the claims from their volumes: "
                "docs/administrator.md, Bring back the homes of a deleted namespace"
            ) from None
    hubs = kubectl.items(HUBS, "-n", namespace)
    claims = kubectl.items("persistentvolumeclaims", "-n", namespace)
    try:
        secrets = _names(kubectl, namespace)
    except KubectlError:
        return Left(hubs, claims, (), False, space)
    return Left(hubs, claims, secrets, True, space)


def _names(kubectl: Kubectl, namespace: str) -> Sequence[str]:
    """Names of Secrets; what is in them does not come to this machine."""
    return kubectl.run(
        "get", "secrets", "-n", namespace, "-o", "custom-columns=NAME:.metadata.name", "--no-headers"
    ).split()


def _create(kubectl: Kubectl, hub: Json, args: argparse.Namespace) -> None:
    meta = hub["metadata"]
    by = {CHANGED_BY: change.by(kubectl, ["restore-deleted", "--file", args.file])}
    body = {**hub, "metadata": {**meta, "annotations": {**(meta.get("annotations") or {}), **by}}}
    only = ["--dry-run=server"] if args.dry_run else []
    line = ["create", "-n", str(meta["namespace"]), f"--field-manager={PLUGIN}", "-f", "-", "-o", "name", *only]
    kubectl.run(*line, stdin=json.dumps(body))


def _text(file: str) -> str:
    try:
        if file == "-":
            return sys.stdin.read(MAX_BYTES + 1)
        with Path(file).open(encoding="utf-8") as opened:
            return opened.read(MAX_BYTES + 1)
    except (OSError, UnicodeError) as error:
        raise UseError(f"--file {file}: {getattr(error, 'strerror', None) or error}") from None
