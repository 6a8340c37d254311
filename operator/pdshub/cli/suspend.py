"""``kubectl pdshub suspend``, ``resume`` and ``reinstall``: spec.suspend, and what the operator makes of it.

The operator installs nothing at a suspended hub. When that ends, Helm runs once anew over what is there
(reconcile/hub/decide.py): so a reinstall is a suspension that is seen, and its end.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from pdshub.archive.findings import printable
from pdshub.cli import change, hub_choice, users_act, words
from pdshub.cli.archive import FAILED, WAITED, CliError, Said
from pdshub.cli.hub_choice import HUBS, key
from pdshub.cli.kubectl import Kubectl
from pdshub.wellknown import CHANGED_BY

Json = dict[str, Any]
SECONDS, POLL_SECONDS, SEEN_SECONDS = 600.0, 2.0, 120.0
"""Of --timeout; between two looks; for the operator to see a suspension."""
HELP = {
    "suspend": "the operator installs, upgrades and repairs nothing until resume; all that runs goes on, people work, "
    "and the list of who may sign in is enforced",
    "resume": "end a suspension: Helm runs once anew, which also brings back what was changed or deleted by hand",
    "reinstall": "run Helm once anew over what is there: chart, image and values of the present spec, objects that "
    "were changed or deleted by hand, and five more attempts where it had failed. Homes, database, keys and "
    "the list stay; servers go on; the hub is restarted only where its pod differs. It is suspend and resume in "
    "one. It does not uninstall, and it is no way back to a former revision: that is rollback",
}


def arguments(top: Any, common: Callable[[], argparse.ArgumentParser]) -> None:
    """The command lines of the three."""
    for name, text in HELP.items():
        sub: argparse.ArgumentParser = top.add_parser(
            name, parents=[common()], help=text.partition(":")[0], description=text
        )
        hub_choice.arguments(sub)
        sub.add_argument("--dry-run", action="store_true", help="say what would be done; the API server checks it")
        sub.add_argument("-y", "--yes", action="store_true", help="do not ask")
        sub.add_argument("--wait", action=argparse.BooleanOptionalAction, default=True, help="until it is so (default)")
        sub.add_argument("--timeout", type=float, default=SECONDS, metavar="SECONDS", help="of --wait (default 600)")
        sub.set_defaults(run=globals()[name], command=name)


def _answer(hub: Json, args: argparse.Namespace, **more: Any) -> Json:
    namespace, name = key(hub)
    return {"hub": {"namespace": namespace, "name": name}, "command": args.command, "dryRun": args.dry_run, **more}


def suspended(hub: Json) -> bool:
    """Whether the spec says so."""
    return (hub.get("spec") or {}).get("suspend") is True


def _set(kubectl: Kubectl, hub: Json, args: argparse.Namespace, on: bool) -> Json:
    """Writes spec.suspend. Returns the hub. Raises KubectlError."""
    namespace, name = key(hub)
    by = {CHANGED_BY: change.by(kubectl, [args.command])}

    def of_hub(found: Json) -> list[Json]:
        if suspended(found) is on:
            return []
        return [{"op": "add", "path": "/spec/suspend", "value": on}, *change.noted(found, by)]

    return change.apply(kubectl, (HUBS, name, "-n", namespace), of_hub, dry_run=args.dry_run)


def wait(
    kubectl: Kubectl, hub: Json, good: Callable[[Json], bool], bad: Callable[[Json], bool], seconds: float,
    sleep: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic,
) -> Json:  # fmt: skip
    """The hub as soon as ``good`` or ``bad`` holds for its present generation, or as it is when the time is over."""
    namespace, name = key(hub)
    generation, end, told = int(hub["metadata"].get("generation") or 0), clock() + seconds, ""
    while True:
        found = kubectl.get(HUBS, name, "-n", namespace)
        seen = (found.get("status") or {}).get("observedGeneration")
        if isinstance(seen, int) and seen >= generation and (good(found) or bad(found)):
            return found
        if clock() >= end:
            return found
        message = str(words.condition(found, "Ready").get("message") or "")
        if message and message != told:
            told = message
            users_act.tell(message)
        sleep(POLL_SECONDS)


def _is(kind: str, status: str = "True") -> Callable[[Json], bool]:
    return lambda hub: words.condition(hub, kind).get("status") == status


def _at_work(hub: Json) -> bool:
    """Whether the operator goes by the suspension."""
    return _is("Suspended")(hub)


def _done(hub: Json) -> bool:
    return not _at_work(hub) and _is("Ready")(hub) and _is("Released")(hub) and not _is("Reconciling")(hub)


def suspend(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Suspends a hub, until the operator goes by it. Code 3 where it does not in time."""
    hub = hub_choice.one(kubectl, args)
    name = "/".join(key(hub))
    if suspended(hub):
        return _answer(hub, args, changed=False, suspended=True), f"hub {name} is suspended already", 0
    after = _set(kubectl, hub, args, True)
    answer = _answer(hub, args, changed=True, suspended=False)
    if args.dry_run or not args.wait:
        return answer, f"{'would suspend' if args.dry_run else 'asked to suspend'} hub {name}", 0
    found = wait(kubectl, after, _at_work, lambda _: False, args.timeout)
    if not _at_work(found):
        return answer, f"written, but the operator has not taken note within {args.timeout:.0f} s: is it there?", WAITED
    text = f"hub {name} is suspended: nothing is installed, upgraded or repaired; kubectl pdshub resume --hub {name}"
    return {**answer, "suspended": True}, text, 0


def resume(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Ends a suspension, until the hub is ready. Code 1 where it stalls, 3 where it takes too long."""
    hub = hub_choice.one(kubectl, args)
    name = "/".join(key(hub))
    if not suspended(hub):
        return _answer(hub, args, changed=False, ready=None), f"hub {name} is not suspended", 0
    after = _set(kubectl, hub, args, False)
    answer = _answer(hub, args, changed=True, ready=None)
    if args.dry_run or not args.wait:
        return answer, f"{'would resume' if args.dry_run else 'asked to resume'} hub {name}", 0
    return _outcome(kubectl, after, args, answer)


def reinstall(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Suspends and resumes, so that Helm runs once anew. Code 1 where it stalls, 3 where it takes too long."""
    hub = hub_choice.one(kubectl, args)
    name = "/".join(key(hub))
    if suspended(hub):
        raise CliError(f"hub {name} is suspended: somebody wanted it so; kubectl pdshub resume installs it anew")
    if _is("RolledBack")(hub):
        raise CliError(f"hub {name} went back to a former revision: kubectl pdshub rollback --end installs the spec")
    answer = _answer(hub, args, changed=True, ready=None)
    users_act.confirm(args, f"Helm runs once anew at hub {name}. Homes, database and keys stay, servers go on.")
    after = _set(kubectl, hub, args, True)
    if args.dry_run:
        return {**answer, "changed": False}, f"would reinstall hub {name}", 0
    try:
        seen = wait(kubectl, after, _at_work, lambda _: False, min(SEEN_SECONDS, args.timeout))
    finally:
        # whatever happened: a hub that stays suspended is no hub that was reinstalled
        after = _set(kubectl, hub, args, False)
    if not _at_work(seen):
        return answer, f"hub {name}: the operator took no note of it, so nothing was installed: is it there?", WAITED
    if not args.wait:
        return answer, f"asked to reinstall hub {name}", 0
    return _outcome(kubectl, after, args, answer)


def _outcome(kubectl: Kubectl, after: Json, args: argparse.Namespace, answer: Json) -> Said:
    """Waits until the hub is ready, or says what keeps it."""
    name = "/".join(key(after))
    found = wait(kubectl, after, _done, _is("Stalled"), args.timeout)
    status = found.get("status") or {}
    answer |= {"ready": _done(found), "revision": status.get("revision"), "chart": status.get("version")}
    if _done(found):
        text = f"hub {name} is ready: {status.get('version')}, revision {status.get('revision')}"
        return answer, printable(text), 0
    ready = words.condition(found, "Stalled" if _is("Stalled")(found) else "Ready")
    said = f"{ready.get('reason')}: {ready.get('message')}"
    if _is("Stalled")(found):
        return answer, printable(f"hub {name} stands still: {said}"), FAILED
    return answer, printable(f"hub {name} is not ready within {args.timeout:.0f} s: {said}"), WAITED
