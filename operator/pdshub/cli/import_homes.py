"""Copies homes of an old hub into claims of the new one: planned, resumable, twice, compared by digest at the end."""

from __future__ import annotations

import inspect
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pdshub.cli import import_plan, import_pod, import_receiver, import_stream, import_tree
from pdshub.cli.archive import CliError
from pdshub.cli.import_sources import Source, claim_size
from pdshub.cli.import_tree import Entry
from pdshub.cli.kubectl import Kubectl, KubectlError
from pdshub.dockerspawner.binds import Home
from pdshub.wellknown import HOME_OF, USERNAME

Json = dict[str, Any]
BATCH_BYTES, BATCH_FILES, TOGETHER, TRIES = 256 << 20, 5000, 8, 3
"""What is sent at once, how many claims a pod has, and how often a part is sent that does not arrive."""
MOUNTED = "/homes"


@dataclass
class Outcome:
    """What came of one home."""

    user: str
    claim: str
    files: int = 0
    bytes: int = 0
    sent: int = 0
    sent_bytes: int = 0
    removed: int = 0
    stubs: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    owners: dict[int, int] = field(default_factory=dict)
    error: str = ""

    @property
    def equal(self) -> bool:
        """Whether every file has the same digest at both places."""
        return not (self.error or self.different or self.refused)

    def wire(self) -> Json:
        """For programs."""
        found = {key: value for key, value in vars(self).items() if key not in ("owners", "sent_bytes", "left_out")}
        owners = {str(uid): count for uid, count in self.owners.items()}
        return {**found, "sentBytes": self.sent_bytes, "leftOut": self.left_out, "owners": owners, "equal": self.equal}


class Copier:
    """Copies homes into the cluster."""

    def __init__(
        self, kubectl: Kubectl, pods: import_pod.Pods, home: Home, hub: str, journal: Path, told: Callable[[str], None]
    ) -> None:
        self.kubectl, self.pods, self.home, self.hub = kubectl, pods, home, hub
        self.journal, self.told = journal, told
        self.program = inspect.getsource(import_receiver)

    def claims(
        self, homes: Sequence[Source], trees: Mapping[str, import_tree.Tree], size: str, of_class: str
    ) -> list[str]:
        """Makes the claims that are missing; returns what was done. Raises CliError, KubectlError."""
        there = {
            str(found["metadata"]["name"]): found
            for found in self.kubectl.items("persistentvolumeclaims", "-n", self.pods.namespace)
        }
        said = []
        for source in homes:
            wanted = claim_size(trees[source.user].bytes, size)
            found = there.get(source.claim)
            if found is None:
                body = import_pod.claim(source.claim, self.pods.namespace, self.hub, source.user, wanted, of_class)
                import_pod.create(self.kubectl, body)
                larger = f", larger than {size}: that much is in it" if wanted != size else ""
                said.append(f"claim {source.claim} of {wanted} made for {source.user}{larger}")
                continue
            notes = found["metadata"].get("annotations") or {}
            whose = str(notes.get(HOME_OF) or notes.get(USERNAME) or "")
            if whose != source.user:
                raise CliError(
                    f"claim {source.claim} is that of {whose or 'nobody, as it says'}, and not of {source.user}:"
                    " nothing was copied"
                )
        return said

    def copy(self, homes: Sequence[Source], trees: Mapping[str, import_tree.Tree], compare: bool) -> list[Outcome]:
        """Copies homes, several in one pod; where these can not be in one, each in its own."""
        outcomes: list[Outcome] = []
        for at in range(0, len(homes), TOGETHER):
            part = list(homes[at : at + TOGETHER])
            try:
                outcomes += self._in_one(part, trees, compare)
            except (CliError, KubectlError) as error:
                if len(part) == 1:
                    outcomes.append(Outcome(part[0].user, part[0].claim, error=str(error)))
                    continue
                self.told(f"{len(part)} homes can not be in one pod ({error}): one after the other")
                for source in part:
                    try:
                        outcomes += self._in_one([source], trees, compare)
                    except (CliError, KubectlError) as again:
                        outcomes.append(Outcome(source.user, source.claim, error=str(again)))
        return outcomes

    def _in_one(self, part: Sequence[Source], trees: Mapping[str, import_tree.Tree], compare: bool) -> list[Outcome]:
        name = f"pdshub-import-{secrets.token_hex(4)}"
        mounts = {source.claim: f"{MOUNTED}/{number}" for number, source in enumerate(part)}
        try:
            self.pods.run(name, mounts)
            made = []
            for source in part:
                outcome = Outcome(source.user, source.claim)
                try:
                    self._one(name, mounts[source.claim], source, trees[source.user], outcome, compare)
                except (OSError, KubectlError, CliError) as error:
                    outcome.error = str(error)
                made.append(outcome)
            return made
        finally:
            self.pods.remove(name)

    def _one(
        self, pod: str, mounted: str, source: Source, tree: import_tree.Tree, outcome: Outcome, compare: bool
    ) -> None:
        top = [mounted, self.home.inner]
        written = self._written(source.user)
        plan = import_plan.make(tree.entries, self._there(pod, top), written)
        outcome.files, outcome.bytes, outcome.owners = len(tree.entries), tree.bytes, tree.owners()
        outcome.stubs, outcome.hidden, outcome.left_out = list(tree.stubs), list(tree.hidden), list(tree.left_out)
        outcome.kept = plan.kept
        self.told(f"{source.user}: {len(plan.send)} of {len(tree.entries)} to send, {plan.bytes >> 20} MiB")
        for batch in import_plan.batches(plan.send, BATCH_BYTES, BATCH_FILES):
            answer, changed = self._sent(pod, top, source, batch)
            refused = {str(path): str(why) for path, why in answer.get("refused") or []}
            outcome.refused += [f"{path}: {why}" for path, why in refused.items()]
            for entry in batch:
                if entry.path not in refused and entry.path not in changed:
                    written[entry.path] = [entry.size, entry.mtime_ns]
                    outcome.sent += 1
                    outcome.sent_bytes += entry.size
            self._remember(source.user, written)
        if plan.remove:
            said = self._asked(pod, "remove", top, json.dumps(plan.remove))
            answer = json.loads(said.strip().splitlines()[-1])
            gone = set(plan.remove) - {str(path) for path, _ in answer["refused"]}
            outcome.removed = len(gone)
            outcome.refused += [f"{path}: {why}" for path, why in answer["refused"]]
            self._remember(source.user, {path: mark for path, mark in written.items() if path not in gone})
        if compare:
            old = import_tree.digests(source.root, source.home, tree.entries)
            new = dict(json.loads(line) for line in self._asked(pod, "digest", top).splitlines())
            outcome.different = import_plan.differences(tree.entries, old, new, plan.kept)

    def _sent(self, pod: str, top: Sequence[str], source: Source, batch: Sequence[Entry]) -> tuple[Json, list[str]]:
        """Sends a part, again where the connection breaks. Raises KubectlError."""
        command = ["python3", "-c", self.program, "receive", *top]
        where = (self.pods.namespace, pod, import_pod.CONTAINER)
        for attempt in range(1, TRIES + 1):
            try:
                said, changed = import_stream.send(self.kubectl, where, command, source.root, source.home, batch)
                return json.loads(said.strip().splitlines()[-1]), changed
            except (KubectlError, ValueError, IndexError) as error:
                if attempt == TRIES:
                    raise KubectlError(f"{source.user}: a part did not arrive: {error}") from None
                self.told(f"{source.user}: a part did not arrive, once more: {error}")
        raise AssertionError  # the last attempt returned or raised

    def _asked(self, pod: str, what: str, top: Sequence[str], stdin: str | None = None) -> str:
        command = ["python3", "-c", self.program, what, *top]
        return self.kubectl.execute(self.pods.namespace, pod, import_pod.CONTAINER, command, self.told, stdin)

    def _there(self, pod: str, top: Sequence[str]) -> dict[str, Entry]:
        found = {}
        for line in self._asked(pod, "list", top).splitlines():
            path, kind, size, mtime_ns, mode, target = json.loads(line)
            found[path] = Entry(path, kind, size, mtime_ns, mode, target)
        return found

    def _file(self, user: str) -> Path:
        return self.journal / f"{quote(user, safe='@')}.json"

    def _written(self, user: str) -> dict[str, list[int]]:
        try:
            found = json.loads(self._file(user).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return dict(found) if isinstance(found, dict) else {}

    def _remember(self, user: str, written: Mapping[str, Sequence[int]]) -> None:
        self.journal.mkdir(parents=True, exist_ok=True)
        part = self._file(user).with_suffix(".part")
        part.write_text(json.dumps(written), encoding="utf-8")
        part.replace(self._file(user))
