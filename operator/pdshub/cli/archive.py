"""The commands of ``kubectl pdshub archive``. Each returns the answer for programs, the one for people, and a code."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import time
from collections.abc import Callable
from typing import Any

from pdshub.api.decision import LONGEST_REASON, annotation, plain, write_note
from pdshub.api.generation import FULL
from pdshub.archive import words as archive_words
from pdshub.archive.findings import Finding, as_text, printable
from pdshub.cli import choose, held, outcome, terminal, words
from pdshub.cli.kubectl import Kubectl
from pdshub.cli.terminal import safe
from pdshub.cli.tried import Reader
from pdshub.generation_id import named
from pdshub.wellknown import GROUP, REFRESH

Json = dict[str, Any]
Said = tuple[Json | list[Json], str, int]
VIEWS = f"archiveviews.{GROUP}"
SELECTOR = "app.kubernetes.io/component=surveyor,app.kubernetes.io/name=pdshub"
POLL_SECONDS = 2.0
FAILED, WAITED = 1, 3


class CliError(Exception):
    """The command can not be done; the text says why and what to do."""


def _view(kubectl: Kubectl, name: str) -> Json:
    return kubectl.get(VIEWS, name)


def surveyor(kubectl: Kubectl, name: str, namespace: str = "") -> tuple[str, str]:
    """(namespace, deployment) of a view's surveyor. Raises CliError, KubectlError.

    Only one namespace is asked, the one that a person names, or the view's status, which the operator alone writes.
    Whoever rules another one may put the same labels on a pod of theirs, which would then be told what was meant for
    the surveyor, and answer in its place.
    """
    view = _view(kubectl, name)
    told = ((view.get("status") or {}).get("surveyor") or {}).get("namespace")
    where = str(namespace or told or "")
    for item in kubectl.items("deployments.apps", "-n", where, "-l", SELECTOR) if where else ():
        meta = item["metadata"]
        if meta.get("namespace") == where and any(_is_of(owner, view) for owner in meta.get("ownerReferences") or []):
            return where, str(meta["name"])
    if (view.get("spec") or {}).get("form", "catalog") == "live":
        why = "its form is live: nothing is surveyed"
    elif where:
        why = f"there is none in namespace {where}; -n says where surveyors live, and the operator's log why not"
    else:
        why = "its status names none yet: wait, or say with -n NAMESPACE where surveyors live"
    raise CliError(f"view {name} has no surveyor: {why}")


def _is_of(owner: Json, view: Json) -> bool:
    """Whether an owner reference means this view, and not one of its name that was there before."""
    named = owner.get("kind") == "ArchiveView" and owner.get("name") == view["metadata"]["name"]
    return named and owner.get("uid") == view["metadata"].get("uid")


def _tell(text: str) -> None:
    terminal.write(sys.stderr, printable(text))


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def asked(kubectl: Kubectl, args: argparse.Namespace, *command: str, stdin: str | None = None) -> Json:
    """The answer of a command in the surveyor's container. Raises CliError, KubectlError."""
    namespace, name = surveyor(kubectl, args.view, args.namespace)
    line = ["pdshub-surveyor", command[0], "--output", "json", *command[1:]]
    text = kubectl.execute(namespace, f"deployment/{name}", "surveyor", line, _tell, stdin)
    try:
        answer = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise CliError(f"the surveyor's answer is not understood: {text[:200]!r}")
    return answer


def status(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Answers ``archive status``: a line for each view, or all about one, with the servers that are held."""
    if args.view:
        found, read = _view(kubectl, args.view), Reader(kubectl)
        servers = held.anywhere(found, read)
        blocks = [words.view(safe(found))]
        if servers:
            blocks.append(held.table(safe(servers)))
        blocks += [printable(f"note: {note}") for note in read.notes]
        return {**found, "held": servers, "notes": read.notes}, "\n\n".join(blocks), 0
    every = kubectl.items(VIEWS)
    return every, words.views(safe(every)), 0


def explain(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Which source shows a path, in what waits or else in what users see; code 1 where no source has such a path.

    Raises PathError where what leads nowhere begins as no path of the view does.
    """
    view = _view(kubectl, args.view)
    about, path = choose.subject(view, args.generation), choose.path(view, args.path)
    answer = asked(kubectl, args, "explain", *(["--generation", about.name] if about.name else []), "--", path)
    absent = answer.get("state") == "absent"
    if absent and (remedy := choose.misplaced(view, path)):
        raise choose.PathError(remedy)
    name = about.name or answer.get("generation", "")
    text = f"{printable(about.line(name))}\n{archive_words.explained(safe(answer))}"
    return {**answer, "of": about.state}, text, FAILED if absent else 0


def diff(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """What differs between what users see and what waits, or else the newest, unless others are named."""
    view = _view(kubectl, args.view)
    old = choose.older(view, args.old)
    new = [choose.generation(view, args.new)] if args.new else choose.waiting(view)
    answer = asked(kubectl, args, "diff", old, *new, "--limit", str(args.limit))
    said = safe(answer)
    return answer, f"{words.compared(said)}\n{archive_words.differences(said)}", 0


def findings(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """What survey and audit have to say of what waits, or else of what users see."""
    about = choose.subject(_view(kubectl, args.view), args.generation)
    more = ["--generation", about.name] if about.name else []
    answer = asked(kubectl, args, "findings", *more, "--limit", str(args.limit))
    said = safe(answer["findings"])
    found = [Finding(f["severity"], f["kind"], f["message"], tuple(f["paths"]), f["count"]) for f in said]
    rest = answer["total"] - len(found)
    text = as_text(found).rstrip() + (f"\n… {rest} more: --limit" if rest else "")
    name = about.name or answer.get("generation", "")
    return {**answer, "of": about.state}, f"{printable(about.line(name))}\n{text}", 0


def verify(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Whether the sources still hold what a generation shows; code 1 where they do not."""
    generation = _or_released(_view(kubectl, args.view), args.generation)
    answer = asked(kubectl, args, "verify", *(["--generation", generation] if generation else []))
    drifted = answer["drifted"]
    files, short = answer["files"], words.short(answer["generation"])
    exact = f" ({answer['compared']} byte by byte)" if answer.get("compared") else ""
    lines = [printable(f"{short}: {files} files{exact}, {drifted} differ from the sources")]
    lines += [f"  {printable(path)}" for path in answer["examples"]]
    return answer, "\n".join(lines), FAILED if drifted else 0


def _or_released(view: Json, reference: str) -> str:
    if reference:
        return choose.generation(view, reference)
    return str(((view.get("status") or {}).get("generation") or {}).get("name") or "")


def pin(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Holds the view at a generation: the one that users see, unless another is named."""
    view = _view(kubectl, args.view)
    if args.generation == "previous":
        kept = asked(kubectl, args, "status")["generations"]
        rejected = (view.get("spec") or {}).get("rejected")
        name = choose.before(view, [g["name"] for g in kept if g["accepted"] and not named(rejected, g["name"])])
    else:
        name = choose.generation(view, args.generation) if args.generation else choose.released(view)
    _decide(kubectl, args, "pin", name)
    text = f"view {args.view} is held at {words.short(name)}; kubectl pdshub archive unpin {args.view} ends it"
    return {"view": args.view, "pin": name}, text, 0


def unpin(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Takes the pin away: the view follows releases again."""
    pinned = (_view(kubectl, args.view).get("spec") or {}).get("pin")
    if pinned:
        note = {"metadata": {"annotations": {annotation("pin"): None}}}
        kubectl.patch(VIEWS, args.view, {"spec": {"pin": None}, **note})
    text = f"view {args.view} follows releases again" if pinned else f"view {args.view} was not pinned"
    return {"view": args.view, "was": pinned}, text, 0


def approve(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Releases the generation that waits, or the named one if that is what waits."""
    view = _view(kubectl, args.view)
    rejected = (view.get("spec") or {}).get("rejected")
    if args.generation and named(rejected, name := choose.generation(view, args.generation)):
        _decide(kubectl, args, "approved", name, against="rejected")
        return {"view": args.view, "approved": name}, f"approved {words.short(name)}, which was rejected before", 0
    waiting, name = _waiting(view, args)
    _decide(kubectl, args, "approved", name)
    text = f"approved {words.short(name)}: {words.brings(safe(waiting))}"
    return {"view": args.view, "approved": name}, printable(text), 0


def reject(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Takes the generation that waits away from those that may be released, or the named one if that is what waits."""
    view = _view(kubectl, args.view)
    shown = ((view.get("status") or {}).get("generation") or {}).get("name")
    if args.generation and choose.generation(view, args.generation) == shown:
        raise CliError(f"users see {words.short(shown)} already: kubectl pdshub archive pin {args.view} previous")
    _, name = _waiting(view, args)
    approved = (view.get("spec") or {}).get("approved")
    _decide(kubectl, args, "rejected", name, against="approved" if named(approved, name) else "")
    text = f"rejected {words.short(name)}: users keep what they see until another generation follows"
    return {"view": args.view, "rejected": name}, text, 0


def _waiting(view: Json, args: argparse.Namespace) -> tuple[Json, str]:
    """What waits, and its name. Raises CliError where another one is named."""
    waiting = dict(choose.candidate(view))
    name = choose.generation(view, args.generation) if args.generation else str(waiting["name"])
    if name != waiting["name"]:
        raise CliError(f"{words.short(name)} does not wait for a decision; {words.short(waiting['name'])} does")
    return waiting, name


def _decide(kubectl: Kubectl, args: argparse.Namespace, field: str, name: str, against: str = "") -> None:
    """Writes a decision into the spec, takes the opposite one away, and notes who made it and why."""
    by = kubectl.whoami()
    note = write_note(name, by, args.reason) if by or args.reason else None
    spec = {field: name, **({against: None} if against else {})}
    kubectl.patch(VIEWS, args.view, {"spec": spec, "metadata": {"annotations": {annotation(field): note}}})


def reason(text: str) -> str:
    """What --reason says, as one line. Raises argparse.ArgumentTypeError where it is too long to be kept."""
    line = plain(text, len(text) + 1)
    if len(line) > LONGEST_REASON:
        raise argparse.ArgumentTypeError(f"at most {LONGEST_REASON} characters are kept")
    return line


def refresh(
    kubectl: Kubectl,
    args: argparse.Namespace,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Said:
    """Asks for a survey; with ``--wait``, until it has ended, and what came of it.

    Codes: 1 it failed, 3 it did not end in time.
    """
    before = _view(kubectl, args.view)
    if (before.get("spec") or {}).get("form", "catalog") == "live":
        raise CliError(f"view {args.view} is live: users see changes without a survey")
    kind = FULL if args.full else ""
    token = kind + time.strftime("%Y%m%dT%H%M%SZ-", time.gmtime()) + secrets.token_hex(3)
    kubectl.patch(VIEWS, args.view, {"metadata": {"annotations": {REFRESH: token}}})
    answer: Json = {"view": args.view, "request": token}
    if not args.wait:
        return answer, f"asked for a survey of {args.view}", 0
    end, told = clock() + args.timeout, ""
    while True:
        found = _view(kubectl, args.view)
        survey = (found.get("status") or {}).get("survey") or {}
        if survey.get("request") == token and survey.get("state") != "running":
            answer["survey"] = survey
            if survey.get("state") == "failed":
                seen = f"users see {outcome.seen(found)} as before"
                text = printable(f"the survey failed: {survey.get('message')}; {seen}")
                return {**answer, "outcome": "failed"}, text, FAILED
            kind, lines = outcome.of(before, found)
            answer |= {"outcome": kind, "candidate": (found.get("status") or {}).get("candidate")}
            return answer, "\n".join(printable(line) for line in lines), 0
        if clock() >= end:
            return (
                answer,
                printable(f"no answer within {args.timeout:.0f} s: {survey.get('message') or survey.get('state')}"),
                WAITED,
            )
        if (message := survey.get("message") or "") != told and message:
            told = message
            _tell(message)
        sleep(POLL_SECONDS)
