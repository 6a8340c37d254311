"""Moves a source step by step: copied, compared beside what users see, swapped while the view is held, surveyed."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from pdshub.cli import archive, change, choose, migrate_record, users_act
from pdshub.cli.archive import VIEWS, CliError
from pdshub.cli.hub_choice import HUBS
from pdshub.cli.kubectl import Kubectl, KubectlError
from pdshub.cli.migrate_copy import Commands
from pdshub.cli.migrate_record import MOVING, MigrateError, Record, Seen, named
from pdshub.cli.migrate_words import run, why, words
from pdshub.cli.words import short
from pdshub.wellknown import CHANGED_BY, GROUP, REFRESH

Json = dict[str, Any]
REACH_SECONDS, SURVEY_SECONDS, TOLD_SECONDS = 600.0, 86_400.0, 15.0
ROUND_SECONDS = 7.0
"""The operator asks nodes every five (reconcile/common/node_reports.py): until then what is said of a source of this
name may be of a copy that was refused a moment ago."""
NOT_TOLD = "has no source"
"""What the surveyor says (surveyor/copying.py) of a copy that it has not been told of yet."""


class NotTheSame(CliError):
    """The copy is none; everything is as it was. ``state``: whether it was refused, or swapped and taken back."""

    def __init__(self, text: str, state: str) -> None:
        super().__init__(text)
        self.state = state


@dataclass
class Moving:
    """A move under way. ``namespace``: where surveyors live, if not where the view says."""

    kubectl: Kubectl
    view: str
    namespace: str = ""
    commands: Commands | None = None
    quick: bool = False
    patience: float = SURVEY_SECONDS
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    compared: Json = field(default_factory=dict)

    # --- what is there ------------------------------------------------------------------------------------------

    def holder(self, view: Json) -> tuple[list[str], tuple[str, ...]]:
        """What people write the sources in, as kubectl takes it, and where in it: the hub, or the view."""
        labels = (view.get("metadata") or {}).get("labels") or {}
        space, hub = labels.get(f"{GROUP}/namespace"), labels.get(f"{GROUP}/hub")
        if space and hub:
            return [HUBS, str(hub), "-n", str(space)], ("spec", "archive", "inline", "sources")
        return [VIEWS, self.view], ("spec", "sources")

    def seen(self, record: Record) -> Seen:
        """Raises KubectlError."""
        view = self.kubectl.get(VIEWS, self.view)
        return Seen(record, view, self.written(view))

    def written(self, view: Json) -> list[Json]:
        """The sources where people write them. Raises KubectlError, CliError."""
        where, path = self.holder(view)
        found: Any = view if where[0] == VIEWS else self.kubectl.get(*where)
        for step in path:
            found = found.get(step) if isinstance(found, dict) else None
        if not isinstance(found, list):
            raise CliError(f"{where[0]} {where[1]} writes no sources at {'.'.join(path)}")
        return [dict(each) for each in found]

    # --- what is written ----------------------------------------------------------------------------------------

    def note(self, record: Record, **fields: Any) -> Record:
        """Writes the record down. Raises KubectlError."""
        record = replace(record, **fields)
        by = change.by(self.kubectl, ["migrate", "archive", self.view])
        notes = {MOVING: record.text(), CHANGED_BY: by}
        change.apply(self.kubectl, [VIEWS, self.view], lambda found: change.noted(found, notes))
        return record

    def forget(self) -> None:
        """Takes the record away. Raises KubectlError."""

        def gone(found: Json) -> list[Json]:
            notes = (found.get("metadata") or {}).get("annotations") or {}
            where = change.pointer("metadata", "annotations", MOVING)
            return [{"op": "remove", "path": where}] if MOVING in notes else []

        change.apply(self.kubectl, [VIEWS, self.view], gone)

    def write(self, make: Callable[[list[Json]], list[Json]], *, dry_run: bool = False) -> list[Json]:
        """Writes the sources anew where people write them; as they are then. Raises KubectlError, CliError."""
        where, path = self.holder(self.kubectl.get(VIEWS, self.view))
        by = {CHANGED_BY: change.by(self.kubectl, ["migrate", "archive", self.view])}

        def of(found: Json) -> list[Json]:
            held: Any = found
            for step in path:
                held = held[step]
            wanted = make([dict(each) for each in held])
            if wanted == held:
                return []
            return [{"op": "replace", "path": change.pointer(*path), "value": wanted}, *change.noted(found, by)]

        found: Any = change.apply(self.kubectl, where, of, dry_run=dry_run)
        for step in path:
            found = found[step]
        return [dict(each) for each in found]

    def learned(self, name: str, source: Json) -> Json:
        """A source as the API server would keep it, with what it adds by itself. Raises KubectlError where it would
        not, CliError."""
        added = self.write(lambda sources: [*sources, {**source, "name": name}], dry_run=True)
        return migrate_record.plain(named(added, name) or source)

    def pin(self, generation: str | None) -> None:
        """Holds the view, or lets it go. Raises KubectlError."""

        def of(found: Json) -> list[Json]:
            pinned, where = (found.get("spec") or {}).get("pin"), change.pointer("spec", "pin")
            if pinned == generation:
                return []
            return [{"op": "remove", "path": where}] if generation is None else [
                {"op": "add", "path": where, "value": generation}
            ]  # fmt: skip

        change.apply(self.kubectl, [VIEWS, self.view], of)

    # --- the steps ----------------------------------------------------------------------------------------------

    def steps(self, record: Record) -> Record:
        """Does what is left to do; the record at the end. Raises MigrateError, CliError, KubectlError; NotTheSame where
        the copy gives another generation: then the source is what it was."""
        while True:
            seen = self.seen(record)
            step = migrate_record.decide(seen)
            if step == "done":
                if record.back and record.why:
                    said = f"{record.why}\nsource {record.source} is what it was, and users saw no other files"
                    raise NotTheSame(said, "takenBack")
                return record
            record = self.step(step, seen)

    def step(self, step: migrate_record.Step, seen: Seen) -> Record:
        """One step."""
        record = seen.record
        match step:
            case "copy":
                self.copy(record)
                return self.note(record, copied=True)
            case "add":
                target = {**record.next, "name": record.copy}
                self.write(lambda sources: sources if named(sources, record.copy) else [*sources, target])
                users_act.tell(f"source {record.copy} is in the view beside the others; no user sees it")
                self.sleep(ROUND_SECONDS)
            case "reach":
                self.wait(record, lambda s: s.reached(record.copy), f"every node reaches {record.copy}", record.copy)
            case "verify":
                return self.verify(record)
            case "hold":
                record = self.note(record, held=True)
                self.pin(record.generation)
                users_act.tell(f"view {self.view} is held at {short(record.generation)} meanwhile")
            case "swap":
                self.write(lambda sources: migrate_record.swapped(sources, record))
                users_act.tell(f"source {record.source} is {words(record.wanted)} now")
            case "drop":
                self.write(lambda sources: [each for each in sources if each.get("name") != record.copy])
            case "follow":
                return self.follow(record)
            case "survey":
                return self.survey(record)
            case _:
                if record.held:
                    self.pin(None)
                    record = self.note(record, held=False)
                    users_act.tell(f"view {self.view} follows releases again")
                return self.note(record, done=True)
        return record

    def copy(self, record: Record) -> None:
        """Runs the commands that copy. Raises CliError."""
        if self.commands is None or not self.commands.here:
            raise MigrateError(f"source {record.source} is not copied yet: run the commands, then say --copied")
        for line, text in zip(self.commands.lines, self.commands.text, strict=True):
            users_act.tell(text)
            run(line)

    def verify(self, record: Record) -> Record:
        """Compares the copy, and surveys it beside. Raises NotTheSame, CliError, KubectlError."""
        self.wait(record, lambda s: self.reads(record), f"the surveyor reads {record.copy}", record.copy)
        answer = self.asked(record)
        self.compared = answer
        if answer.get("equal") is True and answer.get("rehearsed") == record.generation:
            users_act.tell(f"{answer['files']} files are the same, and the copy gives {short(record.generation)}")
            return self.note(record, verified=True)
        self.write(lambda sources: [each for each in sources if each.get("name") != record.copy])
        self.note(record, copied=False)
        said = ["the copy is not the source that users see; nothing was swapped", *why(answer, record.generation)]
        raise NotTheSame("\n".join(said), "refused")

    def reads(self, record: Record) -> bool:
        """Whether the surveyor has been made for the copy: of a bucket it has the keys, and a way to it."""
        namespace, name = archive.surveyor(self.kubectl, self.view, self.namespace)
        found = self.kubectl.get("deployments.apps", name, "-n", namespace)
        status, keys = found.get("status") or {}, (record.next.get("s3") or {}).get("secretRef")
        current = status.get("observedGeneration") == found["metadata"].get("generation")
        counts = {status.get(each) for each in ("replicas", "updatedReplicas", "availableReplicas")}
        return current and counts == {1} and (not keys or f"/{record.copy}" in json.dumps(found.get("spec")))

    def asked(self, record: Record) -> Json:
        """The answer of the surveyor. Raises CliError, KubectlError."""
        namespace, name = archive.surveyor(self.kubectl, self.view, self.namespace)
        line = [
            *("python3", "-m", "pdshub.surveyor.copied", "--source", record.source, "--copy", record.copy),
            *("--generation", record.generation, *(["--quick"] if self.quick else [])),
        ]
        end = self.clock() + REACH_SECONDS
        while True:
            try:
                text = self.kubectl.execute(namespace, f"deployment/{name}", "surveyor", line, users_act.tell)
                break
            except KubectlError as error:
                if NOT_TOLD not in str(error) or self.clock() >= end:  # the operator tells it in a moment
                    raise
            self.sleep(archive.POLL_SECONDS)
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict) or not isinstance(answer.get("files"), int):
            raise CliError(f"the surveyor's answer is not understood: {text[:200]!r}")
        return answer

    def follow(self, record: Record) -> Record:
        """Waits until every node has the source; takes the swap back where one does not get it."""
        try:
            self.wait(record, lambda s: s.followed(), f"every node reaches {record.source}", record.source)
        except MigrateError as error:
            if record.back:
                raise
            users_act.tell(f"{error}: the swap is taken back")
            return self.note(record, back=True, why=str(error))
        return record

    def survey(self, record: Record) -> Record:
        """A survey of the source as it is now: its generation has to be the one of before."""
        if not record.asked:
            record = self.note(record, asked=time.strftime("%Y%m%dT%H%M%SZ-", time.gmtime()) + secrets.token_hex(3))
        notes = {REFRESH: record.asked}
        change.apply(self.kubectl, [VIEWS, self.view], lambda found: change.noted(found, notes))
        users_act.tell("surveying the source where it is now")

        def ended(seen: Seen) -> bool:
            survey = seen.status.get("survey") or {}
            return survey.get("request") == record.asked and survey.get("state") not in ("running", None)

        seen = self.wait(record, ended, "the survey ends", record.source, self.patience)
        survey, newest = seen.status.get("survey") or {}, next(iter(choose.kept(seen.view)), "")
        if record.back:
            return self.note(record, surveyed=True)
        if survey.get("state") == "failed":
            return self.note(record, back=True, asked="", why=f"the survey failed: {survey.get('message')}")
        if newest != record.generation:
            said = f"the survey gives {short(newest)} and not {short(record.generation)}"
            return self.note(record, back=True, asked="", why=said)
        return self.note(record, surveyed=True)

    def wait(
        self, record: Record, until: Callable[[Seen], bool], what: str, source: str, seconds: float | None = None
    ) -> Seen:
        """Waits for the cluster. Raises MigrateError where it takes too long."""
        began = told = self.clock()
        most = REACH_SECONDS if seconds is None else seconds
        while True:
            seen = self.seen(record)
            if until(seen):
                return seen
            now = self.clock()
            status: Json = next((s for s in seen.status.get("sources") or [] if s.get("name") == source), {})
            said = str(status.get("message") or (seen.status.get("survey") or {}).get("message") or "")
            if now - began >= most:
                raise MigrateError(f"not yet: {what}" + (f": {said}" if said else ""))
            if now - told >= TOLD_SECONDS:
                told = now
                users_act.tell(f"until {what}" + (f": {said}" if said else ""))
            self.sleep(archive.POLL_SECONDS)
