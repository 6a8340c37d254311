"""The commands of ``kubectl pdshub users``: who may sign in at a hub, and who is in it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from pdshub.archive.findings import printable
from pdshub.cli import (
    census,
    change,
    enforced,
    hub_choice,
    offboard_archive,
    terminal,
    users_act,
    users_plan,
    users_table,
)
from pdshub.cli.archive import CliError, Said
from pdshub.cli.hub_choice import HUBS, key
from pdshub.cli.kubectl import Kubectl, KubectlError
from pdshub.cli.roll import Roll
from pdshub.cli.words import condition
from pdshub.wellknown import APPROVE_USERS, CHANGED_BY, OFFBOARDED

Json = dict[str, Any]
SHRUNK = "ShrunkTooMuch"
MOST_SHOWN = 50
SECONDS = 60.0


def counted(kubectl: Kubectl, hub: Json) -> tuple[census.Census, list[str]]:
    """What the operator counted at a hub, and why that is not known or not whole."""
    namespace, name = key(hub)
    try:
        found = census.read(kubectl.get("configmap", f"{name}{census.SUFFIX}", "-n", namespace))
    except KubectlError as error:
        return census.Census(), [f"the operator's census of people and homes can not be read: {error}"]
    except census.CensusError as error:
        return census.Census(), [f"the operator's census of people and homes can not be used: {error}"]
    return found, [f"{found.odd} entries of the census are none and were left out"] if found.odd else []


def listing(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Answers ``users list``: everybody on the list of each hub that is meant, and everybody in the hub."""
    answer, blocks = list[Json](), list[str]()
    for hub in hub_choice.every(kubectl, args):
        roll, (found, notes) = users_act.read_roll(kubectl, hub), counted(kubectl, hub)
        notes += [f"{source.field} ({source.words}) is not read here" for source in roll.closed]
        people = users_table.rows(roll, found)
        namespace, name = key(hub)
        answer.append(
            {"namespace": namespace, "name": name, "asOf": found.time or None, "users": people, "notes": notes}
        )
        heading = f"hub {namespace}/{name}: {len(people)} people" + (f" as of {found.time}" if found.time else "")
        lines = [printable(heading), users_table.text(terminal.safe(people))]
        blocks.append("\n".join([*lines, *(printable(f"note: {note}") for note in notes)]))
    return {"hubs": answer}, "\n\n".join(blocks) or "no hubs", 0


def _begun(kubectl: Kubectl, args: argparse.Namespace) -> tuple[Json, Roll, list[str]]:
    hub = hub_choice.one(kubectl, args)
    return hub, users_act.read_roll(kubectl, hub), users_plan.names(args.names, hub)


def add(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Lets people in. A home that was marked as one of somebody who left is theirs again."""
    hub, roll, people = _begun(kubectl, args)
    plan = users_plan.add(hub, roll, people, admin=args.admin)

    def back() -> tuple[Json, list[str]]:
        try:
            claims = users_act.homes(kubectl, key(hub)[0], people)
            marked = users_act.mark(kubectl, key(hub)[0], claims, "", args.dry_run)
        except KubectlError as error:
            plan.notes.append(f"whether they have homes marked as offboarded was not found out: {error}")
            return {"homes": []}, []
        return {"homes": marked}, [f"home {claim} is not marked as offboarded any more" for claim in marked]

    return users_act.carry_out(kubectl, args, hub, plan, then=back)


def remove(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Takes people off the list: servers stop, tokens and sessions end, homes stay."""
    hub, roll, people = _begun(kubectl, args)
    plan = users_plan.remove(hub, roll, people, key(hub)[0])
    return users_act.carry_out(kubectl, args, hub, plan, question=_question(hub, plan))


def suspend(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Keeps people out, whatever else lists them, or lets them in again."""
    hub, roll, people = _begun(kubectl, args)
    plan = users_plan.suspend(roll, people, undo=args.undo)
    return users_act.carry_out(kubectl, args, hub, plan, question=_question(hub, plan))


def admin(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Makes somebody an admin, or no admin any more."""
    args.names = [args.name]
    hub, roll, people = _begun(kubectl, args)
    plan = users_plan.admin(roll, people[0], key(hub)[0], on=args.state == "on")
    return users_act.carry_out(kubectl, args, hub, plan)


def offboard(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Ends somebody's access for good, and marks their home as that of somebody who left.

    It is kept; with ``--archive`` it is saved, and removed where name and date are confirmed.
    """
    hub, roll, people = _begun(kubectl, args)
    namespace, _ = key(hub)
    plan, claims = users_plan.offboard(hub, roll, people), users_act.homes(kubectl, namespace, people)
    who = offboard_archive.begun(args, hub, people, claims) if args.archive else ""
    if not plan.changed:
        plan.unchanged += [f"{name} is on no list that is read here" for name in people]

    def keep() -> tuple[Json, list[str]]:
        day = users_act.today()
        marked = users_act.mark(kubectl, namespace, claims, day, args.dry_run)
        said = [f"home {claim} is kept, marked {OFFBOARDED}={day}" for claim in marked]
        return {"homes": marked}, said or ["there is no home to keep"]

    said = users_act.carry_out(kubectl, args, hub, plan, question=_question(hub, plan), then=keep)
    return offboard_archive.after(kubectl, args, hub, who, claims, said) if args.archive else said


def _question(hub: Json, plan: users_plan.Plan) -> str:
    who = ", ".join(plan.losing[:MOST_SHOWN])
    more = f" and {len(plan.losing) - MOST_SHOWN} more" if len(plan.losing) > MOST_SHOWN else ""
    what = "their servers stop, their tokens and sessions end; homes stay."
    return f"{who}{more}: access to hub {'/'.join(key(hub))} ends, {what}"


def _awaited(hub: Json) -> tuple[str, str]:
    """The digest that waits for an approval, and what the operator says of it. Raises CliError."""
    found = condition(hub, "UsersKnown")
    said = str(found.get("message") or "")
    if found.get("status") != "False":
        raise CliError("no list waits for an approval: condition UsersKnown is not False")
    if found.get("reason") != SHRUNK:
        raise CliError(f"condition UsersKnown is False with {found.get('reason')}, which no approval mends: {said}")
    named = enforced.digests(said)
    if len(named) != 1:
        raise CliError(f"condition UsersKnown does not name the one list that waits: {said}")
    return named[0], said


def approve(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Approves a list that lost more people at once than spec.users.shrinkLimit allows, after saying who they are."""
    hub = hub_choice.one(kubectl, args)
    namespace, name = key(hub)
    digest, said = _awaited(hub)
    roll, now = users_act.read_roll(kubectl, hub), enforced.people(kubectl, hub)
    before = {str(who) for role in ("allowed", "admins") for who in (now or {}).get(role) or [] if isinstance(who, str)}
    lost = sorted(who for who in before if not (roll.places(who) or roll.domain(who) or roll.suspended(who)))
    lines = [said, *_lost(lost, now is not None, bool(roll.closed))]
    for line in lines:
        users_act.tell(line)
    users_act.confirm(args, f"The list {digest} of hub {namespace}/{name} is approved, and they lose access.")
    note = {APPROVE_USERS: digest, CHANGED_BY: change.by(kubectl, users_act.typed(args))}

    def of_hub(found: Json) -> list[Json]:
        if _awaited(found)[0] != digest:
            raise CliError("the list has changed meanwhile: look at it anew")
        return change.noted(found, note)

    after = change.apply(kubectl, (HUBS, name, "-n", namespace), of_hub, dry_run=args.dry_run)
    answer: Json = {
        "hub": {"namespace": namespace, "name": name}, "command": args.command, "dryRun": args.dry_run,
        "approved": digest, "lost": lost, "waited": None,
    }  # fmt: skip
    if args.dry_run or not args.wait:
        return answer, f"{'would approve' if args.dry_run else 'approved'} {digest}", 0
    waited = enforced.wait(kubectl, after, lambda people: people.get("digest") == digest, args.timeout, users_act.tell)
    text, code = users_act.outcome(waited, args.timeout)
    return {**answer, "waited": waited.wire()}, "\n".join(map(printable, [f"approved {digest}", *text])), code


def _lost(lost: Sequence[str], known: bool, closed: bool) -> list[str]:
    if not known:
        return ["who loses access is not known here: the list that is in effect can not be read"]
    more = [f"  … and {len(lost) - MOST_SHOWN} more"] if len(lost) > MOST_SHOWN else []
    unread = ["  or fewer: not every source of the list is read here"] if closed else []
    return [
        f"{len(lost)} {'person loses' if len(lost) == 1 else 'people lose'} access:",
        *(f"  {name}" for name in lost[:MOST_SHOWN]),
        *more,
        *unread,
    ]


def arguments(top: Any, common: argparse.ArgumentParser) -> None:
    """The command line of ``users``. ``top``: where commands are added; ``common``: options that every one has."""
    area = top.add_parser("users", help="who may sign in at a hub")
    commands = area.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[..., Said], text: str, people: str = "") -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = commands.add_parser(name, parents=[common], help=text, description=text)
        hub_choice.arguments(sub)
        if people:
            sub.add_argument("names", metavar="NAME", nargs=people, help="Google: the whole e-mail address")
        sub.set_defaults(run=run)
        return sub

    def changes(sub: argparse.ArgumentParser) -> argparse.ArgumentParser:
        sub.add_argument("--dry-run", action="store_true", help="say what would be done; the API server checks it")
        sub.add_argument("-y", "--yes", action="store_true", help="do not ask where people lose access")
        sub.add_argument(
            "--wait", action=argparse.BooleanOptionalAction, default=True, help="until it is in effect (default)"
        )
        sub.add_argument("--timeout", type=float, default=SECONDS, metavar="SECONDS", help="of --wait (default 60)")
        return sub

    command("list", listing, "everybody on the list and in the hub: last seen, server, home, by what they are listed")
    p = changes(command("add", add, "let people in; in effect within seconds, without a restart of the hub", "+"))
    p.add_argument("--admin", action="store_true", help="as admins of the hub, who may enter everybody's server")
    changes(command("remove", remove, "take people off the list: servers, tokens and sessions end; homes stay", "+"))
    p = changes(command("suspend", suspend, "keep people out for a while, whatever lists them; nothing is lost", "+"))
    p.add_argument("--undo", action="store_true", help="let them in again")
    p = changes(command("admin", admin, "make somebody an admin of the hub, or no admin any more"))
    p.add_argument("name", metavar="NAME", help="Google: the whole e-mail address")
    p.add_argument("state", choices=("on", "off"))
    p = changes(command("offboard", offboard, "end somebody's access for good; the home is kept and marked", "+"))
    offboard_archive.arguments(p)
    changes(command("approve", approve, "approve a list that lost many people at once, after seeing who they are"))
