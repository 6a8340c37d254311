"""``kubectl pdshub restore user``: a file, a folder or all of a home, from a backup."""

from __future__ import annotations

import argparse
import re
from datetime import datetime
from typing import Any

from pdshub.api.backup import HubRestoreSpec
from pdshub.archive.findings import printable
from pdshub.cli import (
    backup,
    backup_run,
    backup_status,
    backup_words,
    home_claims,
    hub_choice,
    moment,
    snapshots,
    users_act,
    users_plan,
)
from pdshub.cli.archive import FAILED, WAITED, Said
from pdshub.cli.backup_run import RESTORES
from pdshub.cli.hub_choice import UseError, key
from pdshub.cli.kubectl import Kubectl, KubectlError

Json = dict[str, Any]
SECONDS = 900.0
HOMES = ("/home/jovyan/", "~/")
"""How a home is written inside of a server."""
_ID = re.compile(r"[0-9a-f]{8,64}")
_FLAGS = {"path": "--path", "to": "--to", "snapshot": "--snapshot", "asOf": "--at", "as_of": "--at", "user": "NAME"}
_FLAGS |= {"warnSeconds": "--warn", "warn_seconds": "--warn"}
OLDER = "a HubBackup is kept for spec.backup.history runs: --at finds what is older, if the retention has left it"


def beneath(written: str, flag: str) -> str:
    """A path below the home from what a person wrote: also one as servers show it. Raises UseError."""
    path = next((written.removeprefix(home) for home in HOMES if written.startswith(home)), written)
    if written.rstrip("/") in ("/home/jovyan", "~"):
        path = "."
    path = path.rstrip("/") if path != "/" else path
    path = path.removeprefix("./") or "."
    if path.startswith("/"):
        raise UseError(f"{flag} {written!r}: paths begin in the home: write notebooks/x.ipynb, or . for all of it")
    return path


def as_of(text: str) -> str:
    """The moment of ``--at``, RFC 3339, by this machine's clock and zone. Raises UseError."""
    try:
        found = moment.parse(text, datetime.now().astimezone(), lambda wall: wall.astimezone())
    except moment.MomentError as error:
        raise UseError(f"--at {error}") from None
    return moment.wire(found)


def spec_of(args: argparse.Namespace, hub: Json, user: str) -> HubRestoreSpec:
    """What is asked for. Raises UseError."""
    if args.at and args.snapshot:
        raise UseError("--at and --snapshot: choose one of them")
    if args.in_place and args.to:
        raise UseError("--to has no meaning with --in-place: leave one of them out")
    if not args.path:
        raise UseError("say what of the home: --path notebooks/x.ipynb, a folder, or --path . for all of it")
    content: Json = {"hub": key(hub)[1], "user": user, "path": beneath(args.path, "--path"), "inPlace": args.in_place}
    if args.at:
        content["asOf"] = as_of(args.at)
    if args.snapshot:
        if not _ID.fullmatch(args.snapshot.lower()):
            raise UseError(
                f"--snapshot {args.snapshot!r}: write 8 or more of its hexadecimal digits: --list shows them"
            )
        content["snapshot"] = args.snapshot.lower()
    if args.to:
        content["to"] = beneath(args.to, "--to")
    if args.warn is not None:
        content["warnSeconds"] = args.warn
    return backup_run.checked(HubRestoreSpec, _FLAGS, content)


def user(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Restores something of a home, or lists the snapshots of it with ``--list``.

    Codes: 1 failed, 3 no end in time, 4 not all of it.
    """
    hub = hub_choice.one(kubectl, args)
    namespace, name = key(hub)
    backup_run.configured(hub)
    (who,) = users_plan.names([args.name], hub)
    if args.list:
        return _listed(kubectl, hub, who)
    spec = spec_of(args, hub, who)
    if home_claims.homeless(kubectl, namespace, [who]):
        raise UseError(
            f"{who}: no home in namespace {namespace} to restore into. Somebody who is new, or was offboarded, gets an"
            f" empty one when they start their server: {users_plan.command('add', who)}"
        )
    likely = _likely(kubectl, hub, spec)
    for line in _announced(spec, likely):
        users_act.tell(line)
    if spec.in_place:
        users_act.confirm(args, _question(spec))
    made = backup_run.create(kubectl, RESTORES, hub, "restore", spec, _typed(args, spec), dry_run=args.dry_run)
    answer: Json = {
        "hub": {"namespace": namespace, "name": name}, "user": who, "dryRun": args.dry_run, "asOf": spec.as_of,
        "likely": likely.wire() if likely else None, "ended": False, "restore": None,
    }  # fmt: skip
    if args.dry_run:
        where = "in its place" if spec.in_place else f"to {spec.to or 'a new folder restored-<date>'} of the home"
        return answer, f"{printable(f'would restore {spec.path} {where}')}\nnothing was stored: --dry-run", 0
    found = backup_status.restored(made)
    if not args.wait:
        again = backup_run.look_again(RESTORES, namespace, found.name)
        return {**answer, "restore": found.wire()}, printable(f"restore {found.name} is asked for: {again}"), 0
    followed = backup_run.follow(
        kubectl,
        RESTORES,
        made,
        lambda now: backup_status.restored(now).over,
        lambda now: backup_words.restore_steps(backup_status.restored(now)),
        users_act.tell,
        args.timeout,
    )
    found = backup_status.restored(followed.found)
    answer |= {"ended": followed.over, "restore": found.wire()}
    if followed.over:
        text = "\n".join(map(printable, backup_words.restored(found)))
        return answer, text, backup.CODES.get(found.phase, FAILED)
    lines = [
        f"no end within {args.timeout:.0f} s: {backup_words.stuck(found.phase, found.message)}",
        f"it goes on in the cluster: {backup_run.look_again(RESTORES, namespace, found.name)}",
    ]
    return answer, "\n".join(map(printable, lines)), WAITED


def _snapshots(kubectl: Kubectl, hub: Json, who: str) -> list[snapshots.Snapshot]:
    return snapshots.of(backup.of_hub(kubectl, hub), who)


def _likely(kubectl: Kubectl, hub: Json, spec: HubRestoreSpec) -> snapshots.Snapshot | None:
    """The snapshot that will be taken, as far as HubBackups tell; None where they may not be read either."""
    try:
        return snapshots.chosen(_snapshots(kubectl, hub, spec.user), spec.snapshot or "", spec.as_of or "")
    except KubectlError:
        return None


def _listed(kubectl: Kubectl, hub: Json, who: str) -> Said:
    namespace, name = key(hub)
    found = _snapshots(kubectl, hub, who)
    answer = {"hub": {"namespace": namespace, "name": name}, "user": who, "snapshots": [one.wire() for one in found]}
    heading = printable(f"home of {who} at hub {namespace}/{name}")
    return answer, "\n".join([heading, snapshots.text(found), f"note: {OLDER}"]), 0


def _announced(spec: HubRestoreSpec, likely: snapshots.Snapshot | None) -> list[str]:
    """What will be taken, before it is."""
    when = f"the newest snapshot not after {spec.as_of}" if spec.as_of else "the newest snapshot"
    lines = [f"snapshot {spec.snapshot}" if spec.snapshot else when]
    if likely:
        lines[0] += f": {likely.id[:12]} of {likely.at}, if there is no other since"
        if likely.partial:
            lines.append(f"that backup could not read all of the home: kubectl pdshub backup show {likely.backup}")
    return lines


def _warned(spec: HubRestoreSpec) -> str:
    return f", {spec.warn_seconds} s after a warning in their JupyterLab" if spec.warn_seconds else " at once"


def _question(spec: HubRestoreSpec) -> str:
    what = "All of their home" if spec.path == "." else f"{spec.path} in their home"
    return (
        f"The server of {spec.user} stops{_warned(spec)}. {what} is replaced; what is there now is moved to a folder"
        " replaced-<now> beside it."
    )


def _typed(args: argparse.Namespace, spec: HubRestoreSpec) -> list[str]:
    flags = [("--path", spec.path), ("--at", args.at), ("--snapshot", spec.snapshot), ("--to", spec.to)]
    flags += [("--warn", "" if args.warn is None else str(args.warn))]
    more = [word for flag, value in flags if value for word in (flag, str(value))]
    return ["restore", "user", args.name, *more, *(["--in-place"] if spec.in_place else [])]


EXAMPLES = """examples:
  kubectl pdshub restore user ada@example.org --path notebooks/x.ipynb --at yesterday
  kubectl pdshub restore user ada@example.org --path data --at "2 hours ago" --to data-before
  kubectl pdshub restore user ada@example.org --list
  kubectl pdshub restore user ada@example.org --path . --snapshot 1a2b3c4d --in-place

--at: yesterday, 2026-11-25, "2026-11-25 14:00", "2 hours ago", "3 days ago", 2026-11-25T14:00:00Z. A day without a
time means its end. Without Z or an offset it is this machine's zone. The newest snapshot not after it is taken.

exit codes: 0 done; 1 failed; 2 wrong use; 3 no end within --timeout, it goes on; 4 some of it could not be restored"""


def arguments(top: Any, common: argparse.ArgumentParser) -> None:
    """The command line of ``restore``. ``top``: where commands are added; ``common``: options that every one has."""
    area = top.add_parser("restore", help="files of a home, back from a backup")
    commands = area.add_subparsers(dest="command", required=True, metavar="COMMAND")
    text = "restore a file, a folder or all of somebody's home, beside what is there or in its place"
    sub: argparse.ArgumentParser = commands.add_parser(
        "user", parents=[common], help=text, description=text, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    hub_choice.arguments(sub)
    sub.add_argument("name", metavar="NAME", help="whose home; Google: the whole e-mail address")
    sub.add_argument("--path", default="", metavar="PATH", help="what of the home: notebooks/x.ipynb; . is all of it")
    sub.add_argument("--at", default="", metavar="WHEN", help="as it was then (default: the newest snapshot)")
    sub.add_argument("--snapshot", default="", metavar="ID", help="8 or more digits of a snapshot, from --list")
    sub.add_argument("--to", default="", metavar="DIR", help="folder of the home (default: a new restored-<date>)")
    sub.add_argument("--in-place", action="store_true", help="in the place of what is there, which is moved aside")
    sub.add_argument(
        "--warn", type=int, metavar="SECONDS", help="of --in-place: from a warning to the server's end (default 60)"
    )
    sub.add_argument("--list", action="store_true", help="snapshots of the home, from the HubBackups that are left")
    sub.add_argument("--dry-run", action="store_true", help="say what would be done; the API server checks it")
    sub.add_argument("-y", "--yes", action="store_true", help="do not ask before --in-place")
    sub.add_argument("--wait", action=argparse.BooleanOptionalAction, default=True, help="until it has ended (default)")
    sub.add_argument("--timeout", type=float, default=SECONDS, metavar="SECONDS", help="of --wait (default 900)")
    sub.set_defaults(run=user)
