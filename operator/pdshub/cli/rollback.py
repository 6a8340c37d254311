"""``kubectl pdshub rollback``: a hub goes back to a former chart and image, with its database of then."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from pdshub.api.hub_upgrade import DatabaseCopy, UpgradeStatus
from pdshub.archive.findings import printable
from pdshub.cli import change, hub_choice, users_act
from pdshub.cli.archive import FAILED, WAITED, CliError, Said
from pdshub.cli.hub_choice import HUBS, UseError, key
from pdshub.cli.kubectl import Kubectl, KubectlError
from pdshub.wellknown import CHANGED_BY

Json = dict[str, Any]
SECONDS, POLL_SECONDS, DEAF_SECONDS = 600.0, 1.0, 60.0
EXAMPLES = """examples:
  kubectl pdshub rollback --hub hub/sbn --list
  kubectl pdshub rollback --hub hub/sbn --dry-run
  kubectl pdshub rollback --hub hub/sbn --to 7
  kubectl pdshub rollback --hub hub/sbn --end

the hub is away for a minute; servers go on. Homes are not touched. What the hub's database learned since the copy is
put aside as a copy of its own, so that there is a way back from the way back. Until --end nothing else is installed.

exit codes: 0 done; 1 it cannot be done, or failed; 2 wrong use; 3 not yet done when the waiting ended: it goes on"""


def arguments(top: Any, common: argparse.ArgumentParser) -> None:
    """The command line of ``rollback``."""
    text = "go back to the chart, image and database from before an upgrade"
    sub: argparse.ArgumentParser = top.add_parser(
        "rollback", parents=[common], help=text, description=text, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    hub_choice.arguments(sub)
    what = sub.add_mutually_exclusive_group()
    what.add_argument("--to", type=_revision, default=0, metavar="REVISION", help="default: before the last upgrade")
    what.add_argument("--list", action="store_true", help="the copies that there are")
    what.add_argument("--end", action="store_true", help="install what the spec asks for again")
    sub.add_argument("--dry-run", action="store_true", help="say what would be done; the API server checks it")
    sub.add_argument("-y", "--yes", action="store_true", help="do not ask")
    sub.add_argument("--no-wait", dest="wait", action="store_false", help="do not wait for the end")
    sub.add_argument("--timeout", type=float, default=SECONDS, metavar="SECONDS", help="of waiting (default 600)")
    sub.set_defaults(run=run, command="rollback")


def _revision(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 10**9):
        raise argparse.ArgumentTypeError(f"{text!r} is no revision: --list shows those that there are")
    return int(text)


def known(hub: Json) -> UpgradeStatus:
    """What the operator says of copies; nothing where that cannot be read."""
    try:
        return UpgradeStatus.model_validate((hub.get("status") or {}).get("upgrade") or {})
    except ValidationError:
        return UpgradeStatus()


def line(copy: DatabaseCopy) -> str:
    """A copy in a line."""
    why = {"Upgrade": "before an upgrade", "Rollback": "replaced by a return"}[copy.why]
    size = f"{copy.size_bytes / 1024:.0f} KiB"
    lacks = "" if copy.release else "; its release is not kept: nobody can go back to it"
    image = copy.image or "of the chart"
    return f"revision {copy.revision}: {copy.version}, image {image}, {copy.taken}, {size}, {why}{lacks}"


def chosen(hub: Json, revision: int) -> DatabaseCopy:
    """The copy that is meant. Raises UseError, CliError."""
    usable = [copy for copy in known(hub).copies if copy.release]
    if not usable:
        raise CliError("there is no copy yet: the operator makes one before each upgrade of chart or hub image")
    if revision:
        found = next((copy for copy in usable if copy.revision == revision), None)
        if found is None:
            there = ", ".join(str(copy.revision) for copy in usable)
            raise UseError(f"--to {revision}: there is no copy of that revision: there are {there}")
        return found
    now = int((hub.get("status") or {}).get("revision") or 0)
    found = next((copy for copy in usable if copy.why == "Upgrade" and copy.revision != now), None)
    if found is None:
        raise CliError("there is no copy from before an upgrade: name another with --to, --list shows them")
    return found


def run(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Lists copies, goes back to one, or ends that. Codes: 1 not possible or failed, 3 no end in time."""
    hub = hub_choice.one(kubectl, args)
    namespace, name = key(hub)
    answer: Json = {"hub": {"namespace": namespace, "name": name}, "dryRun": args.dry_run}
    if args.list:
        copies = known(hub).copies
        lines = [line(copy) for copy in copies] or ["there is no copy yet: the first is made before the next upgrade"]
        return {**answer, "copies": [copy.wire() for copy in copies]}, "\n".join(map(printable, lines)), 0
    return _end(kubectl, args, hub, answer) if args.end else _back(kubectl, args, hub, answer)


def _typed(args: argparse.Namespace, *words: str) -> list[str]:
    hub = ["--hub", "/".join(args.hub)] if args.hub else []
    return ["rollback", *hub, *words]


def _back(kubectl: Kubectl, args: argparse.Namespace, hub: Json, answer: Json) -> Said:
    namespace, name = key(hub)
    copy = chosen(hub, args.to)
    lines = [f"PDSHub {namespace}/{name} goes back to", f"  {line(copy)}",
             "what its database learned since then is put aside: who signed in first, tokens, shares",
             "tokens revoked since then are valid again; who may sign in stays as the spec says now"]  # fmt: skip
    if not args.dry_run:
        for each in lines:
            users_act.tell(each)
        users_act.confirm(args, f"The hub {namespace}/{name} is stopped for a minute; servers go on.")
    after = _write(kubectl, args, hub, copy.revision, ["--to", str(copy.revision)])
    answer = {**answer, "revision": copy.revision, "copy": copy.wire()}
    if args.dry_run:
        return answer, "\n".join(map(printable, [*lines, "nothing was stored: --dry-run"])), 0
    return _followed(kubectl, args, after, answer, returned)


def _end(kubectl: Kubectl, args: argparse.Namespace, hub: Json, answer: Json) -> Said:
    namespace, name = key(hub)
    if ((hub.get("spec") or {}).get("upgrade") or {}).get("rollback") is None:
        raise CliError(f"PDSHub {namespace}/{name} has no spec.upgrade.rollback: nothing is to be ended")
    lines = [f"PDSHub {namespace}/{name}: what the spec asks for is installed again, after a copy of the database"]
    if not args.dry_run:
        users_act.confirm(args, lines[0] + ".")
    after = _write(kubectl, args, hub, None, ["--end"])
    if args.dry_run:
        return answer, "\n".join(map(printable, [*lines, "nothing was stored: --dry-run"])), 0
    return _followed(kubectl, args, after, answer, ended)


def _write(kubectl: Kubectl, args: argparse.Namespace, hub: Json, revision: int | None, words: list[str]) -> Json:
    """Set ``spec.upgrade.rollback``, or take it away, and note who did it. Raises CliError, KubectlError."""
    namespace, name = key(hub)
    note = {CHANGED_BY: change.by(kubectl, _typed(args, *words))}

    def operations(found: Json) -> list[Json]:
        there = (found.get("spec") or {}).get("upgrade")
        made: list[Json] = []
        if revision is not None:
            made = [] if there is not None else [{"op": "add", "path": "/spec/upgrade", "value": {}}]
            made.append({"op": "add", "path": "/spec/upgrade/rollback", "value": revision})
        elif (there or {}).get("rollback") is not None:
            made = [{"op": "remove", "path": "/spec/upgrade/rollback"}]
        return [*made, *change.noted(found, note)] if made else []

    after = change.apply(kubectl, (HUBS, name, "-n", namespace), operations, dry_run=args.dry_run)
    if ((after.get("spec") or {}).get("upgrade") or {}).get("rollback") != revision:
        raise CliError("the cluster's PDSHubs have no spec.upgrade: upgrade PDSHub and its CustomResourceDefinitions")
    return after


Judge = Callable[[Json], tuple[int | None, str]]
"""An exit code once it is over, and what there is to say."""


def _condition(hub: Json, kind: str) -> Json:
    """A condition that is about the present generation; empty where there is none."""
    generation = int(hub["metadata"].get("generation") or 0)
    for found in (hub.get("status") or {}).get("conditions") or []:
        if found.get("type") == kind and int(found.get("observedGeneration") or 0) >= generation:
            return dict(found)
    return {}


def returned(hub: Json) -> tuple[int | None, str]:
    """Whether a hub is the former one."""
    found = _condition(hub, "RolledBack")
    code = {"True": 0, "False": FAILED}.get(str(found.get("status")))
    if code is None and (stalled := _condition(hub, "Stalled")).get("status") == "True":
        return FAILED, f"{stalled.get('reason')}: {stalled.get('message')}"
    return code, f"{found.get('reason')}: {found.get('message')}" if found else ""


def ended(hub: Json) -> tuple[int | None, str]:
    """Whether what the spec asks for is installed."""
    if (stalled := _condition(hub, "Stalled")).get("status") == "True":
        return FAILED, f"{stalled.get('reason')}: {stalled.get('message')}"
    working = _condition(hub, "Reconciling")
    if working.get("status") != "False":
        return None, str(working.get("message") or "")
    return 0, str(_condition(hub, "Released").get("message") or "the spec is installed")


def _followed(kubectl: Kubectl, args: argparse.Namespace, hub: Json, answer: Json, judge: Judge) -> Said:
    namespace, name = key(hub)
    again = f"kubectl get pdshub {name} -n {namespace} -o yaml"
    if not args.wait:
        return answer, printable(f"it is asked for: {again}"), 0
    began = heard = time.monotonic()
    said = ""
    while True:
        code, words = judge(hub)
        if code is not None:
            return {**answer, "ended": True}, printable(words), code
        if words and words != said:
            users_act.tell(words)
            said = words
        if time.monotonic() - began >= args.timeout:
            return {**answer, "ended": False}, printable(f"not done within {args.timeout:.0f} s: {again}"), WAITED
        time.sleep(POLL_SECONDS)
        try:
            hub, heard = kubectl.get(HUBS, name, "-n", namespace), time.monotonic()
        except KubectlError as error:
            if time.monotonic() - heard >= DEAF_SECONDS:
                raise CliError(f"the API server is away: {error}\nit goes on in the cluster: {again}") from None
