"""``kubectl pdshub homes reset``: settings that keep a server from starting are moved aside, after a backup."""

from __future__ import annotations

import argparse
import inspect
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from pdshub.api.backup import HubBackupSpec
from pdshub.archive.findings import printable
from pdshub.cli import (
    aside,
    backup,
    backup_run,
    backup_status,
    home_claims,
    home_pods,
    hub_choice,
    users_act,
    users_plan,
)
from pdshub.cli.archive import FAILED, CliError, Said
from pdshub.cli.backup_run import BACKUPS
from pdshub.cli.hub_choice import UseError, key
from pdshub.cli.kubectl import Kubectl
from pdshub.wellknown import GROUP

Json = dict[str, Any]
SETTINGS = (".jupyter", ".ipython", ".local", ".config", ".cache", ".condarc", ".mambarc", ".profile", ".bash_profile",
            ".bash_login", ".bashrc", ".bash_logout", ".zshrc", ".zshenv", ".zprofile", ".pydistutils.cfg")  # fmt: skip
"""What programs and shells read at their start. Keys, histories and everything without a dot stay."""
HOME, LABEL = "/home/jovyan", f"{GROUP}/reset"
SECONDS, START_SECONDS, LIFETIME = 3600.0, 180.0, 240
MOST_SHOWN = 50


def arguments(sub: argparse.ArgumentParser) -> None:
    """What ``reset`` adds to the command line of ``homes``."""
    sub.add_argument("name", metavar="NAME", nargs="?", default="", help="reset, move, adopt: whose home")
    group = sub.add_argument_group("reset")
    group.add_argument(
        "--all",
        action="store_true",
        help="reset: move everything of the home aside, not settings alone; adopt: all that is left",
    )
    group.add_argument("--without-copy", action="store_true", help="make no backup first; nothing is deleted anyway")
    group = sub.add_argument_group("reset, move, adopt")
    group.add_argument("--image", default="", help="any with python3 (default: the hub's)")
    group.add_argument("--dry-run", action="store_true", help="say what would be done; the API server checks it")
    group.add_argument("-y", "--yes", action="store_true", help="do not ask")
    group.add_argument(
        "--timeout", type=float, default=None, metavar="SECONDS",
        help="reset: of the backup (3600); move: of the copying (21600)",
    )  # fmt: skip


def reset(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Saves a home, then moves settings aside in it. Code 1 where something could not be moved."""
    hub = hub_choice.one(kubectl, args)
    namespace, name = key(hub)
    if not args.name:
        raise UseError("NAME is missing: kubectl pdshub homes reset ada@example.org")
    if not args.without_copy:
        backup_run.configured(hub)
    (who,) = users_plan.names([args.name], hub)
    claim = home_claims.only(kubectl, namespace, who)
    home_claims.unused(kubectl, namespace, [claim])
    image = home_pods.image(kubectl, args.image, namespace)
    folder = f"before-reset-{users_act.today()}"
    names = ["*"] if args.all else list(SETTINGS)
    what = "everything" if args.all else "settings (what shells, Jupyter and Python read at their start)"
    answer: Json = {
        "hub": {"namespace": namespace, "name": name}, "user": who, "claim": home_claims.name(claim),
        "dryRun": args.dry_run, "backup": None, "folder": None, "moved": [], "kept": [],
    }  # fmt: skip
    users_act.confirm(args, f"In the home of {who}, {what} is moved to the folder {folder}.")
    if not args.without_copy and not args.dry_run:
        answer["backup"] = _saved(kubectl, args, hub, who)
        home_claims.unused(kubectl, namespace, [claim])
    asked = {"home": HOME, "folder": folder, "names": names}
    found = _moved(kubectl, pod(namespace, home_claims.name(claim), image, asked), args.dry_run)
    if args.dry_run:
        first = "" if args.without_copy else f"would save {backup_status.HOME}{who}, then "
        said = [f"{first}{'' if first else 'would '}move {what} to {folder}", "nothing was stored: --dry-run"]
        return answer, "\n".join(map(printable, said)), 0
    moved, kept = _names(found.get("moved")), home_pods.pairs(found.get("kept"))
    answer |= {"folder": str(found.get("folder") or "") or None, "moved": moved, "kept": kept}
    lines = [f"moved to {answer['folder']}: {', '.join(moved[:MOST_SHOWN])}" if moved else "there was nothing to move"]
    if len(moved) > MOST_SHOWN:
        lines.append(f"  … and {len(moved) - MOST_SHOWN} more")
    lines += [f"NOT moved: {each['name']}: {each['why']}" for each in kept]
    return answer, "\n".join(map(printable, lines)), FAILED if kept else 0


def _saved(kubectl: Kubectl, args: argparse.Namespace, hub: Json, who: str) -> str:
    """The name of a backup that holds the home. Raises CliError where it could not be saved at all."""
    content = {"hub": key(hub)[1], "trigger": "Manual", "users": [who], "keep": True}
    spec = backup_run.checked(HubBackupSpec, {"users": "NAME"}, content)
    made = backup_run.create(kubectl, BACKUPS, hub, "reset", spec, ["homes", "reset", who])
    seconds = SECONDS if args.timeout is None else args.timeout
    run, over = backup.follow(kubectl, made, seconds)
    item = run.item(f"{backup_status.HOME}{who}")
    if not over or item is None or not item.saved:
        text, _ = backup.outcome(run, over, seconds)
        raise CliError(f"the home was not saved, and is as it was; --without-copy goes on without\n{text}")
    return run.name


def pod(namespace: str, claim: str, image: tuple[str, Sequence[Json]], asked: Json) -> Json:
    """The pod that moves."""
    command = ["python3", "-I", "-c", inspect.getsource(aside), json.dumps(asked)]
    meta = {"generateName": "pdshub-reset-", "namespace": namespace, "labels": {LABEL: "home"}}
    return home_pods.body(meta, command, image, {HOME: (claim, False)}, seconds=LIFETIME)


def _moved(kubectl: Kubectl, body: Json, dry_run: bool) -> Json:
    """What the pod says. Raises CliError, KubectlError."""
    namespace, name = str(body["metadata"]["namespace"]), home_pods.create(kubectl, body, dry_run=dry_run)
    if dry_run:
        return {}
    try:
        return _answer(kubectl, namespace, name)
    finally:
        home_pods.remove(kubectl, namespace, name)


def _answer(
    kubectl: Kubectl,
    namespace: str,
    name: str,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Json:
    end = clock() + START_SECONDS
    while (phase := home_pods.phase(found := kubectl.get("pod", name, "-n", namespace))) not in ("Succeeded", "Failed"):
        if clock() >= end:
            why = home_pods.why(found)
            raise CliError(f"pod {name} has not run within {START_SECONDS:.0f} s: {why}; the home is as it was")
        sleep(backup_run.POLL_SECONDS)
    answer = home_pods.result(kubectl, namespace, name, phase)
    if answer.get("error"):
        raise CliError(f"the home is as it was: {answer['error']}")
    return answer


def _names(found: Any) -> list[str]:
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []
