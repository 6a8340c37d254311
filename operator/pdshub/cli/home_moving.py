"""Moves a home step by step: its owner is kept out, all is copied and compared, then the volumes change places."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pdshub.cli import (
    backup_run,
    change,
    enforced,
    home_claims,
    home_compare,
    home_copy,
    home_look,
    home_move,
    home_pods,
    home_volumes,
    offboard_archive,
    users_act,
    users_plan,
)
from pdshub.cli.archive import CliError
from pdshub.cli.backup_words import amount, count
from pdshub.cli.home_move import Seen
from pdshub.cli.home_record import MOVE, Record
from pdshub.cli.home_restores import Restores
from pdshub.cli.home_volumes import CLAIM, VOLUME
from pdshub.cli.hub_choice import HUBS, key
from pdshub.cli.kubectl import Kubectl, KubectlError
from pdshub.wellknown import CHANGED_BY

Json = dict[str, Any]
MODULES = (home_look, home_copy, home_compare)
FENCE_SECONDS, START_SECONDS, TOLD_SECONDS = 180.0, 300.0, 15.0
MEMORY = "512Mi"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_COUNTS = ("entries", "files", "bytes", "used", "sockets", "problems", "owners")


class Refused(CliError):
    """All of the home can not be copied; it is as it was."""


@dataclass
class Moving:
    """A move under way. ``seconds``: how long the copying may take."""

    kubectl: Kubectl
    hub: Json
    image: tuple[str, list[Json]]
    seconds: float
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    @property
    def namespace(self) -> str:
        """Where the hub and its homes are."""
        return key(self.hub)[0]

    def fence(self, record: Record) -> Record:
        """Keeps the owner out and waits until no pod has the home. Raises CliError, KubectlError."""
        kubectl = self.kubectl
        hub = kubectl.get(HUBS, key(self.hub)[1], "-n", self.namespace)
        roll = users_act.read_roll(kubectl, hub)
        if not roll.suspended(record.user) and not record.fenced:
            record = home_volumes.note(kubectl, record, fenced=True)
        plan = users_plan.suspend(roll, [record.user])
        state = self.in_effect(hub, plan, record.user)
        if state.kind == enforced.REFUSED:
            raise Refused(state.words)
        if state.kind != enforced.DONE:
            raise CliError(f"{record.user} is not kept out within {FENCE_SECONDS:.0f} s: {state.words}")
        claims = home_volumes.seen(kubectl, record).claims
        end = self.clock() + FENCE_SECONDS
        while True:
            try:
                home_claims.unused(kubectl, self.namespace, list(claims.values()))
                return record
            except CliError:
                if self.clock() >= end:
                    raise
            self.sleep(backup_run.POLL_SECONDS)

    def in_effect(self, hub: Json, plan: users_plan.Plan, user: str) -> enforced.State:
        """Writes who may sign in, and waits until the hub goes by it. Raises CliError, KubectlError."""
        after = users_act.write(self.kubectl, hub, plan, ["homes", "move", user], dry_run=False)
        return enforced.wait(self.kubectl, after, plan.shown, FENCE_SECONDS, users_act.tell).state

    def still_out(self, found: Seen) -> None:
        """Raises CliError where somebody let the owner in while the home was copied, or a pod has it; KubectlError."""
        hub = self.kubectl.get(HUBS, key(self.hub)[1], "-n", self.namespace)
        if not users_act.read_roll(self.kubectl, hub).suspended(found.record.user):
            raise CliError(f"somebody let {found.record.user} in while the home was copied: nothing was changed")
        home_claims.unused(self.kubectl, self.namespace, list(found.claims.values()))

    def let_in(self, record: Record) -> None:
        """Lets the owner in again, where the move kept them out, and waits until the hub does: who is told that it is
        done signs in at once. Raises CliError, KubectlError."""
        if not record.fenced:
            return
        hub = self.kubectl.get(HUBS, key(self.hub)[1], "-n", self.namespace)
        plan = users_plan.suspend(users_act.read_roll(self.kubectl, hub), [record.user], undo=True)
        state = self.in_effect(hub, plan, record.user)
        for said in plan.notes:
            users_act.tell(f"note: {said}")
        if state.kind != enforced.DONE:
            users_act.tell(f"note: {record.user} is not let in yet: {state.words}")

    def steps(self, record: Record, looked: Json) -> tuple[Record, Json | None]:
        """Does what is left to do. ``looked``: what a look at the home counted. The record, and what was copied.

        Raises MoveError, CliError, KubectlError; Refused where the home can not be copied.
        """
        copied: Json | None = None
        restores = Restores(self.kubectl, self.namespace, record.hub, record.user, self.sleep, self.clock)

        def again() -> bool:
            """Whether all has to be copied anew; what is there already stays there."""
            for name in (came := restores.new()):
                users_act.tell(f"HubRestore {name} came while the home was copied: what it brings is copied, too")
            return bool(came)

        self.without_pod(record.pod)
        record = self.fence(record)
        found = home_volumes.seen(self.kubectl, record)
        if record.next and not record.back and not home_move.begun(found):
            # somebody may have been let in since: what was copied then is compared anew
            record = home_volumes.note(self.kubectl, record, next="", digest="")
        while True:
            found = home_volumes.seen(self.kubectl, record)
            step = home_move.decide(found)
            if step == "copy":
                restores.quiet()
                copied = self.copied(found, looked)
                after = home_volumes.seen(self.kubectl, record)
                self.still_out(after)
                if not again():
                    volume, digest = self.target(after), str(copied["digest"])
                    record = home_volumes.note(self.kubectl, record, next=volume, digest=digest)
            elif step == "drop-home" and not record.back and again():
                record = home_volumes.note(self.kubectl, record, next="", digest="")
            elif step == "done":
                return record, copied
            else:
                if step == "drop-home" and record.back:
                    restores.quiet()
                for name in restores.new() if step == "release" else ():
                    users_act.tell(_LATE.format(name=name, kept=record.kept_volume))
                record = self.change(record, found, step)

    def change(self, record: Record, found: Seen, step: home_move.Step) -> Record:
        """One step in which volumes change places."""
        kubectl, home, kept = self.kubectl, record.home_volume, record.kept_volume
        dropped = {"drop-home": record.claim, "drop-copy": record.copy, "drop-kept": record.kept}
        if step == "retain":
            home_volumes.retain(kubectl, [record.former, record.next])
        elif step in dropped:
            name = dropped[step]
            uid = str(found.claims[name]["metadata"].get("uid"))
            home_volumes.drop(kubectl, self.namespace, name, uid, sleep=self.sleep, clock=self.clock)
        elif step == "make-home":
            home_volumes.bind(kubectl, record, record.claim, found.volumes[home], sleep=self.sleep, clock=self.clock)
        elif step == "make-kept":
            home_volumes.bind(kubectl, record, record.kept, found.volumes[kept], sleep=self.sleep, clock=self.clock)
        else:
            self.let_in(record)
            record = home_volumes.note(kubectl, record, done=True, fenced=False)
        users_act.tell(_TOLD[step].format(record=record, home=home, kept=kept))
        return record

    def target(self, found: Seen) -> str:
        """The volume of the copy's claim. Raises CliError where it is not its own."""
        record, claim = found.record, found.claims.get(found.record.copy)
        volume = found.held(record.copy)
        there = home_volumes.there(self.kubectl, VOLUME, volume) if volume else None
        if claim is None or there is None or not home_move.belongs(there, claim) or volume == record.former:
            raise CliError(f"claim {record.copy} has no volume of its own: nothing was changed")
        return volume

    def without_pod(self, name: str) -> None:
        """Ends what an earlier run left: two that copy would be one too many. Raises CliError, KubectlError."""
        end = self.clock() + FENCE_SECONDS
        while home_volumes.there(self.kubectl, "pod", name, self.namespace):
            if self.clock() >= end:
                raise CliError(f"pod {name} does not go: kubectl delete pod {name} -n {self.namespace}")
            self.kubectl.run("delete", "pod", name, "-n", self.namespace, "--wait=false", "--ignore-not-found")
            self.sleep(backup_run.POLL_SECONDS)

    def copied(self, found: Seen, looked: Json) -> Json:
        """Copies and compares; what the pod counted. Raises Refused where not all of it is there and the same."""
        record, kubectl = found.record, self.kubectl
        claim = found.claims.get(record.copy)
        if claim is None:
            body = home_volumes.claim(record, record.copy, record.size, record.storage_class)
            body["metadata"]["annotations"][CHANGED_BY] = change.by(kubectl, ["homes", "move", record.user])
            try:
                home_volumes.make(kubectl, body)
            except KubectlError as error:
                raise Refused(f"the new claim is refused: {error}") from None
        elif (claim["metadata"].get("labels") or {}).get(MOVE) != record.id:
            raise CliError(f"claim {record.copy} is none that a move made: nothing was changed")
        asked = {"from": "/former", "to": "/next", "takeOver": record.take_over,
                 "used": looked["used"], "entries": looked["entries"]}  # fmt: skip
        meta = {"name": record.pod, "namespace": self.namespace, "labels": {MOVE: record.id}}
        mounts = {"/former": (record.claim, True), "/next": (record.copy, False)}
        pod = home_pods.body(meta, home_pods.program(MODULES, asked), self.image, mounts,
                             seconds=int(self.seconds) + 60, memory=MEMORY)  # fmt: skip
        users_act.tell(
            f"copying {count(looked['files'], 'file')}, {amount(looked['used'])}" if looked["files"] else "copying"
        )
        said = self.ran(pod)
        if said["problems"] or not said["equal"]:
            raise Refused("\n".join(["not all of the home was copied:", *trouble(said)]))
        return said

    def ran(self, pod: Json) -> Json:
        """Runs a pod to its end, and takes it away; what it counted. Raises Refused, KubectlError."""
        name = home_pods.create(self.kubectl, pod)
        try:
            began = told = self.clock()
            while True:
                found = self.kubectl.get("pod", name, "-n", self.namespace)
                phase, now = home_pods.phase(found), self.clock()
                if phase in ("Succeeded", "Failed"):
                    return counted(home_pods.result(self.kubectl, self.namespace, name, phase))
                if phase != "Running" and now - began >= START_SECONDS:
                    raise Refused(f"pod {name} has not run within {START_SECONDS:.0f} s: {home_pods.why(found)}")
                if now - began >= self.seconds:
                    raise CliError(f"no end within {self.seconds:.0f} s: a longer --timeout goes on")
                if phase == "Running" and now - told >= TOLD_SECONDS:
                    told = now
                    self.progress(name)
                self.sleep(backup_run.POLL_SECONDS)
        finally:
            home_pods.remove(self.kubectl, self.namespace, name)

    def progress(self, name: str) -> None:
        """Says how far a pod is, as far as it tells."""
        try:
            said = json.loads(self.kubectl.run("logs", "-n", self.namespace, name, "--tail=1"))
            users_act.tell(f"{said['doing']}: {int(said['entries'])} entries, {amount(int(said['bytes']))}")
        except (KubectlError, ValueError, KeyError, TypeError, RecursionError):
            return

    def give_up(self, record: Record) -> None:
        """Takes everything back before volumes have changed places. Raises CliError, KubectlError."""
        self.without_pod(record.pod)
        claim = home_volumes.there(self.kubectl, CLAIM, record.copy, self.namespace)
        if claim is not None and (claim["metadata"].get("labels") or {}).get(MOVE) == record.id:
            offboard_archive.remove(self.kubectl, self.namespace, claim, sleep=self.sleep, clock=self.clock)
        self.let_in(record)
        home_volumes.forget(self.kubectl, record)


_TOLD = {
    "retain": "both volumes are kept whatever happens to their claims",
    "drop-home": "claim {record.claim} is let go of volume {kept}",
    "drop-copy": "claim {record.copy} is let go of volume {record.next}",
    "drop-kept": "claim {record.kept} is let go of volume {home}",
    "make-home": "claim {record.claim} is bound to volume {home}",
    "make-kept": "claim {record.kept} is bound to volume {kept}",
    "release": "{record.user} may come in as before",
}
_LATE = (
    "note: HubRestore {name} was asked for while the volumes changed places: what it brought may be in volume {kept} "
    "alone; if it is missing, ask for it again"
)


def counted(said: Json) -> Json:
    """What a pod counted, and nothing else. Raises Refused where it says that it could not."""
    if said.get("error"):
        raise Refused(str(said["error"])[:300])
    found: Json = {}
    for name in _COUNTS:
        value = said.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise Refused(f"the pod says no {name}")
        found[name] = value
    digests = [said.get(name) for name in ("digest", "copyDigest")]
    same = digests[0] == digests[1] and isinstance(digests[0], str) and bool(_DIGEST.fullmatch(digests[0]))
    found |= {"equal": said.get("equal") is True and same, "digest": digests[0] if same else ""}
    names = {part: home_pods.pairs(said.get(part)) for part in ("problemNames", "ownerNames")}
    return {**found, **names}


def trouble(said: Json) -> list[str]:
    """What could not be read or copied, in lines."""
    lines = [f"  {each['name']}: {each['why']}" for each in said["problemNames"]]
    more = said["problems"] - len(said["problemNames"])
    return lines + ([f"  … and {more} more"] if more > 0 else []) or ["  the two differ"]
