"""What a command about people will change, and what it refuses. Pure.

A plan is made before anything is written: one name that can not be done, and nothing is.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pdshub.api import user_name
from pdshub.cli.hub_choice import UseError, is_object_name
from pdshub.cli.list_edit import Edit
from pdshub.cli.roll import ADMINS, ALLOWED, SUSPENDED, Roll, Source

Json = Mapping[str, Any]
ADDED, REMOVED = "added", "removed"
_KEY = re.compile(r"[A-Za-z0-9._-]{1,253}")
"""Source: Kubernetes, ConfigMaps and Secrets, names of keys."""


class PlanError(UseError):
    """What was asked for can not be done; the text names each person, why, and what to do."""

    code = 1


@dataclass(frozen=True)
class Wanted:
    """How somebody shall stand on the list that the hub reads; None: as it may be."""

    name: str
    listed: bool | None = None
    admin: bool | None = None
    suspended: bool | None = None

    def shown(self, people: Json) -> bool:
        """Whether the list that the operator made for the hub has it so."""
        groups = {key: people.get(key) or [] for key in (ALLOWED, ADMINS, SUSPENDED)}
        states = (
            (self.listed, self.name in groups[ALLOWED] or self.name in groups[ADMINS]),
            (self.admin, self.name in groups[ADMINS]),
            (self.suspended, self.name in groups[SUSPENDED]),
        )
        return all(wish is None or wish == found for wish, found in states)


@dataclass
class Plan:
    """What will be written, what was so before, and how the list shall look then."""

    add: dict[str, list[str]] = field(default_factory=dict)
    """Field of ``spec.users`` -> names that come in."""
    remove: dict[str, list[str]] = field(default_factory=dict)
    files: dict[Source, list[str]] = field(default_factory=dict)
    """Source -> names that are taken out of it."""
    changed: list[dict[str, str]] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    losing: list[str] = field(default_factory=list)
    """Who loses access."""
    wanted: list[Wanted] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def shown(self, people: Json) -> bool:
        """Whether the list that the operator made for the hub has all of it."""
        return all(wish.shown(people) for wish in self.wanted)

    @property
    def edit(self) -> Edit:
        """The part that the hub's spec is changed by."""
        return Edit(self.add, self.remove)

    def put(self, role: str, name: str) -> None:
        """A name comes into ``spec.users``."""
        self.add.setdefault(role, []).append(name)
        self.changed.append({"name": name, "change": ADDED, "place": f"spec.users.{role}"})

    def take(self, role: str, name: str, source: Source | None = None) -> None:
        """A name goes out of ``spec.users`` or of a ConfigMap that it names."""
        where = self.remove.setdefault(role, []) if source is None else self.files.setdefault(source, [])
        if name not in where:
            where.append(name)
            place = source.words if source else f"spec.users.{role}"
            self.changed.append({"name": name, "change": REMOVED, "place": place})


def names(written: Sequence[str], hub: Json) -> list[str]:
    """Names in their normal form, each once. Raises UseError, which says what is wrong with which."""
    found, wrong = list[str](), list[str]()
    for text in written:
        try:
            found.append(user_name.normal(text))
        except ValueError as error:
            wrong.append(f"NAME {text!r}: {error}")
    if wrong:
        raise UseError("\n".join(wrong))
    return list(dict.fromkeys(found))


def by_rule(hub: Json, roll: Roll, name: str) -> str:
    """The rule beside names that may let somebody in, in words: a domain, or groups. "" where there is none."""
    if domain := roll.domain(name):
        return f"spec.users.domains ({domain})"
    google = ((hub.get("spec") or {}).get("signIn") or {}).get("google") or {}
    return next((f"spec.signIn.google.{key}" for key, value in google.items() if "group" in key.lower() and value), "")


def closed(roll: Roll, namespace: str) -> list[str]:
    """What to do about sources that are not read here, a sentence each."""
    said = []
    for source in roll.closed:
        if source.kind == "secret":
            said.append(f"{source.field} is {source.words}, which is not read here: {_by_hand(source, namespace)}")
        else:
            trouble = source.trouble or "its name is none"
            said.append(f"{source.field} is {source.words}, which was not read: {trouble}")
    return said


def _by_hand(source: Source, namespace: str) -> str:
    """How a Secret's list is edited. Commands are for names alone that mean nothing to a shell."""
    if not is_object_name(source.name) or not _KEY.fullmatch(source.key):
        return "edit that Secret"
    where = f"secret {source.name} -n {namespace}"
    template = f"'{{{{index .data \"{source.key}\" | base64decode}}}}'"
    new = f"kubectl create secret generic {source.name} -n {namespace} --from-file={source.key}=FILE --dry-run=client"
    return (
        f"write it to a file (kubectl get {where} -o go-template={template} > FILE), edit that, and put it back"
        f" ({new} -o yaml | kubectl apply -f -)"
    )


def _each(people: Sequence[str], one: Callable[[str], str]) -> None:
    """Raises PlanError with all that is refused. ``one``: what is wrong with a name, "" if nothing."""
    if refused := [f"{name}: {words}" for name in people if (words := one(name))]:
        raise PlanError("\n".join(refused))


def command(verb: str, name: str, more: str = "") -> str:
    """The command that does something about a person, for a shell."""
    return f"kubectl pdshub users {verb} {shlex.quote(name)}{more}"


def _undo(name: str) -> str:
    return f"is suspended: {command('suspend', name, ' --undo')} lets them in again"


def add(hub: Json, roll: Roll, people: Sequence[str], *, admin: bool = False) -> Plan:
    """Lets people in, as admins where ``admin``. Raises PlanError."""
    role, plan = ADMINS if admin else ALLOWED, Plan()
    google = "google" in ((hub.get("spec") or {}).get("signIn") or {})

    def one(name: str) -> str:
        if google and "@" not in name:
            return "with spec.signIn.google a name is the whole e-mail address, like ada@example.org"
        return _undo(name) if roll.suspended(name) else ""

    _each(people, one)
    for name in people:
        places = roll.places(name)
        if roll.admin(name) if admin else places:
            plan.unchanged.append(f"{name} is on the list already: {', '.join(words for _, words, _ in places)}")
        else:
            plan.put(role, name)
        plan.wanted.append(Wanted(name, listed=True, admin=True if admin else None, suspended=False))
    return plan


def remove(hub: Json, roll: Roll, people: Sequence[str], namespace: str) -> Plan:
    """Takes people off every list that is read here. Raises PlanError where a name is on none of them."""

    def one(name: str) -> str:
        if roll.places(name) or (roll.suspended(name) and not by_rule(hub, roll, name)):
            return ""
        if rule := by_rule(hub, roll, name):
            out = "is suspended already" if roll.suspended(name) else f"{command('suspend', name)} keeps them out"
            return f"is on no list by name, but may come in by {rule}: {out}"
        if said := closed(roll, namespace):
            return "is on no list that is read here. " + ". ".join(said)
        return "is on no list: kubectl pdshub users list shows who is"

    _each(people, one)
    plan = Plan()
    for name in people:
        _take_off(plan, roll, name)
        if rule := by_rule(hub, roll, name):
            if not roll.suspended(name):
                plan.notes.append(f"{name} may still come in by {rule}: {command('suspend', name)} ends that")
        elif roll.suspended(name):
            plan.take(SUSPENDED, name)
        plan.losing.append(name)
        plan.wanted.append(Wanted(name, listed=False))
    plan.notes += [f"who stands there as well stays on the list: {said}" for said in closed(roll, namespace)]
    return plan


def _take_off(plan: Plan, roll: Roll, name: str) -> None:
    for role, _, source in roll.places(name):
        plan.take(role, name, source)


def suspend(roll: Roll, people: Sequence[str], *, undo: bool = False) -> Plan:
    """Keeps people out whatever else lists them; with ``undo`` lets them in again, as the list says."""
    plan = Plan()
    for name in people:
        if roll.suspended(name) != undo:
            plan.unchanged.append(f"{name} is {'not suspended' if undo else 'suspended already'}")
        elif undo:
            plan.take(SUSPENDED, name)
            if not roll.places(name) and not roll.domain(name):
                plan.notes.append(f"{name} is on no list that is read here: {command('add', name)} lets them in")
        else:
            plan.put(SUSPENDED, name)
            plan.losing.append(name)
        plan.wanted.append(Wanted(name, suspended=not undo))
    return plan


def admin(roll: Roll, name: str, namespace: str, *, on: bool) -> Plan:
    """Makes somebody an admin, or no admin any more, who may sign in as before. Raises PlanError."""
    plan = Plan()
    if on:
        _each([name], lambda who: _undo(who) if roll.suspended(who) else "")
        if roll.admin(name):
            plan.unchanged.append(f"{name} is an admin already")
        else:
            plan.put(ADMINS, name)
        plan.wanted.append(Wanted(name, listed=True, admin=True))
        return plan
    if not roll.admin(name):
        said = ". ".join(closed(roll, namespace))
        plan.unchanged.append(f"{name} is no admin by any list that is read here" + (f". {said}" if said else ""))
        plan.wanted.append(Wanted(name, admin=False))
        return plan
    if not any(role == ALLOWED for role, _, _ in roll.places(name)) and not roll.domain(name):
        plan.put(ALLOWED, name)
    for role, _, source in roll.places(name):
        if role == ADMINS:
            plan.take(role, name, source)
    plan.wanted.append(Wanted(name, admin=False))
    return plan


def offboard(hub: Json, roll: Roll, people: Sequence[str]) -> Plan:
    """Ends people's access for good: off every list, and kept out where a rule or an unread source may let them in."""
    plan = Plan()
    for name in people:
        _take_off(plan, roll, name)
        if not roll.suspended(name):
            if by_rule(hub, roll, name) or roll.closed:
                plan.put(SUSPENDED, name)
                plan.wanted.append(Wanted(name, suspended=True))
            else:
                plan.wanted.append(Wanted(name, listed=False))
        else:
            plan.wanted.append(Wanted(name, suspended=True))
        plan.losing.append(name)
    return plan
