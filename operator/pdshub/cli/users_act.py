"""Does what a plan about people says: asks where somebody loses access, writes, and waits until it is in effect."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pdshub import rfc3339
from pdshub.archive.findings import printable
from pdshub.cli import change, enforced, list_edit, roll, terminal
from pdshub.cli.archive import FAILED, WAITED, CliError, Said
from pdshub.cli.hub_choice import HUBS, UseError, key
from pdshub.cli.kubectl import Kubectl, KubectlError
from pdshub.cli.name_file import lenient
from pdshub.cli.users_plan import Plan
from pdshub.wellknown import CHANGED_BY, HOME_OF, OFFBOARDED, USERNAME

Json = dict[str, Any]
_OWNERS = (HOME_OF, USERNAME)
"""Annotations that say whose home a claim is; the second is KubeSpawner's."""
_HOMES = "component=singleuser-storage"


def read_roll(kubectl: Kubectl, hub: Json) -> roll.Roll:
    """The list of a hub with what its ConfigMaps hold."""
    namespace, _ = key(hub)

    def text(name: str, wanted: str) -> str:
        try:
            found = (kubectl.get("configmap", name, "-n", namespace).get("data") or {}).get(wanted)
        except KubectlError as error:
            raise LookupError(str(error)) from None
        if not isinstance(found, str):
            raise LookupError(f"it has no key {wanted}")
        return found

    return roll.of(hub, text)


def typed(args: argparse.Namespace) -> list[str]:
    """The command that changes something, without what only says how it is done."""
    flags = [f"--{name}" for name in ("admin", "undo") if getattr(args, name, False)]
    state = getattr(args, "state", "")
    return ["users", args.command, *getattr(args, "names", []), *([state] if state else []), *flags]


def tell(text: str) -> None:
    """A line beside the answer."""
    terminal.write(sys.stderr, printable(text))


def confirm(args: argparse.Namespace, question: str) -> None:
    """Goes on if a person agrees, or ``--yes`` said so before. Raises UseError, CliError."""
    if args.yes or args.dry_run:
        return
    if not sys.stdin.isatty():
        raise UseError(f"{question} Nobody is there to be asked: add --yes, or --dry-run to see what would be done")
    if not terminal.agreed(sys.stderr, sys.stdin, question):
        raise CliError("nothing was changed")


def homes(kubectl: Kubectl, namespace: str, people: Sequence[str]) -> list[Json]:
    """The claims of people's homes. Raises KubectlError."""
    found = []
    for claim in kubectl.items("persistentvolumeclaims", "-n", namespace, "-l", _HOMES):
        notes = claim["metadata"].get("annotations") or {}
        if any(lenient(str(notes[owner])) in people for owner in _OWNERS if owner in notes):
            found.append(claim)
    return found


def _marked(claim: Json, day: str) -> list[Json]:
    """Operations that mark a home as that of somebody who left on a day; for "" those that take the mark away."""
    made = []
    for under in ("annotations", "labels"):
        if day:
            made += change.noted(claim, {OFFBOARDED: day}, under)
        elif OFFBOARDED in (claim["metadata"].get(under) or {}):
            made.append({"op": "remove", "path": change.pointer("metadata", under, OFFBOARDED)})
    return made


def mark(kubectl: Kubectl, namespace: str, claims: Sequence[Json], day: str, dry_run: bool) -> list[str]:
    """Marks homes, or takes the mark away; returns the names of claims that changed. Raises KubectlError."""
    done = []
    for claim in claims:
        name = str(claim["metadata"]["name"])
        before = _marked(claim, day)
        if before:
            where = ("persistentvolumeclaim", name, "-n", namespace)
            change.apply(kubectl, where, lambda found: _marked(found, day), dry_run=dry_run)
            done.append(name)
    return done


def write(kubectl: Kubectl, hub: Json, plan: Plan, words: Sequence[str], dry_run: bool) -> Json:
    """Writes a plan: the hub's spec first, so that nobody is off the list who shall stay on it. Returns the hub.

    Raises CliError, KubectlError.
    """
    if not plan.changed:
        return hub
    namespace, name = key(hub)
    note = {CHANGED_BY: change.by(kubectl, words)}

    def of_hub(found: Json) -> list[Json]:
        made = plan.edit.operations(found)
        return [*made, *change.noted(found, note)] if made or plan.files else []

    after = change.apply(kubectl, (HUBS, name, "-n", namespace), of_hub, dry_run=dry_run)
    if missing := plan.edit.missing(after):
        raise CliError(
            f"{', '.join(missing)}: the cluster's PDSHubs have no such field and dropped it: upgrade PDSHub and its"
            " CustomResourceDefinitions"
        )
    for source, gone in plan.files.items():
        _take_out(kubectl, namespace, source, gone, note, dry_run)
    return after


def _take_out(
    kubectl: Kubectl, namespace: str, source: roll.Source, gone: Sequence[str], note: Mapping[str, str], dry_run: bool
) -> None:
    def of_source(found: Json) -> list[Json]:
        made = list_edit.taken_out(found, source.key, gone)
        return [*made, *change.noted(found, note)] if made else []

    try:
        change.apply(kubectl, ("configmap", source.name, "-n", namespace), of_source, dry_run=dry_run)
    except KubectlError as error:
        raise CliError(f"{', '.join(gone)} stay in {source.words} ({source.field}): {error}") from None


def carry_out(
    kubectl: Kubectl,
    args: argparse.Namespace,
    hub: Json,
    plan: Plan,
    *,
    question: str = "",
    then: Callable[[], tuple[Json, list[str]]] = lambda: ({}, []),
) -> Said:
    """Does a plan and says what came of it. ``question``: asked first where people lose access; ``then``: what follows
    the writing, which adds to the answer. Code 3 where it is not in effect in time, 1 where it is refused."""
    namespace, name = key(hub)
    if plan.losing and plan.changed and question:
        confirm(args, question)
    after = write(kubectl, hub, plan, typed(args), args.dry_run)
    more, said = then()
    lines = [_line(item, args.dry_run) for item in plan.changed] + plan.unchanged + said
    answer: Json = {
        "hub": {"namespace": namespace, "name": name},
        "command": args.command,
        "dryRun": args.dry_run,
        "changed": plan.changed,
        "unchanged": plan.unchanged,
        "notes": plan.notes,
        "waited": None,
        **more,
    }
    lines += [f"note: {note}" for note in plan.notes]
    if args.dry_run or not args.wait or not plan.changed:
        if args.dry_run:
            lines.append("nothing was stored: --dry-run")
        return answer, "\n".join(map(printable, lines)), 0
    # the hub's generation tells what is of after the change, unless a source alone was changed
    grace = enforced.GRACE_SECONDS if plan.files else 0.0
    waited = enforced.wait(kubectl, after, plan.shown, args.timeout, tell, grace=grace)
    text, code = outcome(waited, args.timeout)
    return {**answer, "waited": waited.wire()}, "\n".join(map(printable, [*lines, *text])), code


def outcome(waited: enforced.Waited, seconds: float) -> tuple[list[str], int]:
    """What came of waiting, in lines, and the exit code."""
    steps = [f"  {step}" for step in waited.steps]
    if waited.state.kind == enforced.DONE:
        return ["in effect:", *(steps or ["  everywhere"])], 0
    if waited.state.kind == enforced.REFUSED:
        return [waited.state.words, "it is written, but not in effect: kubectl describe pdshub says why"], FAILED
    return [
        f"written, but not in effect within {seconds:.0f} s:",
        *(steps or ["  the hub's status says nothing"]),
    ], WAITED


def _line(item: Mapping[str, str], dry_run: bool) -> str:
    done = {"added": "added to", "removed": "removed from"}[item["change"]]
    return f"{item['name']}: {'would be ' if dry_run else ''}{done} {item['place']}"


def today() -> str:
    """The date in UTC, as a label may hold it."""
    return rfc3339.now()[:10]
