"""The node's health beyond "mounted": runs watch and proof over what is published, and says what they found."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from pdshub import rfc3339
from pdshub.node.health.integrity import CHANGING, INTACT, Prover
from pdshub.node.health.published import Subject
from pdshub.node.health.sample import Known, read
from pdshub.node.health.staleness import Watcher
from pdshub.node.mount import mountinfo, volume_root
from pdshub.node.reconcile.reconciler import Reconciler
from pdshub.node.reconcile.view_health import Showing
from pdshub.node.spec import View
from pdshub.node.store.generations import PROOF

log = logging.getLogger(__name__)

TICK = 2.0  # seconds


def published(reconciler: Reconciler) -> list[Subject]:
    """The views that targets show, from the mount table and what the reconciler knows of it."""
    mounts, found = mountinfo.read(), []
    by_view: dict[str, dict[str, tuple[str, ...]]] = {}
    for target, name in sorted(volume_root.targets(mounts, reconciler.layout).items()):
        inside = {m.point.removeprefix(target + "/") for m in mounts if m.point.startswith(target + "/")}
        by_view.setdefault(name, {})[target] = tuple(sorted(inside))
    for name, targets in by_view.items():
        view, showing = reconciler.view_of(name), reconciler.showing.get(name, Showing())
        current = showing.current if showing.current.startswith("sha256:") else ""
        states = reconciler.sources.states(view).values() if view else ()
        found.append(
            Subject(
                name, view.folder if view else "", targets, current,
                _sample(reconciler.cache.store.path(current)) if current else (),
                all(state.ready for state in states),
                frozenset(target for target, of in showing.targets.items() if of == current) if current else None,
                {s.name: (str(reconciler.layout.source(s.digest)), s.run_as) for s in view.sources} if view else {},
                *(view or View(name)).survey_seconds,
            )
        )  # fmt: skip
    return found


@functools.lru_cache(maxsize=64)
def _read(path: Path, stamp: int) -> tuple[Known, ...]:
    try:
        return read(path)
    except (OSError, ValueError) as error:
        log.warning("sample %s: %s", path, error)
        return ()


def _sample(folder: Path) -> tuple[Known, ...]:
    """A generation's sample; it may come after the generation."""
    path = folder / PROOF
    try:
        return _read(path, path.stat().st_mtime_ns)
    except OSError:
        return ()


class Findings:
    """What proofs and looks at samples have found so far, by view."""

    def __init__(self, proof_seconds: float) -> None:
        """`proof_seconds`: between two proofs of a view."""
        self.prover, self.watcher = Prover(proof_seconds), Watcher()

    def of(self, view: str) -> dict[str, Any]:
        """What health.json says of a view beyond the reconciler's words; empty before the first look."""
        found: dict[str, Any] = {}
        if proof := self.prover.results.get(view):
            found["proof"] = proof.document()
        watch = self.watcher.watches.get(view)
        if watch and watch.checked:
            found["canary"] = watch.document()
        return found


class Health:
    """Looks after what the reconciler has published, and notes it in `findings`."""

    def __init__(self, reconciler: Reconciler, findings: Findings, canary_seconds: float) -> None:
        """`canary_seconds`: between two looks at a view's sample."""
        self.findings, self._reconciler, self._every = findings, reconciler, canary_seconds

    async def run(self) -> None:
        """For ever. Each view has its own process for each purpose; one that hangs is killed within a bound."""
        await asyncio.gather(self._turn(self._prove, TICK), self._turn(self._watch, self._every))

    async def _turn(self, look: Callable[[Subject], Awaitable[None]], seconds: float) -> None:
        while True:
            try:
                subjects = published(self._reconciler)
                self.findings.prover.forget({subject.view for subject in subjects})
                self.findings.watcher.forget({subject.view for subject in subjects})
                for problem in await asyncio.gather(*map(look, subjects), return_exceptions=True):
                    if problem:
                        log.error("health: %r", problem)
            except Exception:
                log.exception("health")
            await asyncio.sleep(seconds)

    async def _prove(self, subject: Subject) -> None:
        if await self.findings.prover.look(subject, time.monotonic()):
            proof = self.findings.prover.results[subject.view]
            log.log(
                logging.INFO if proof.result in (INTACT, CHANGING) else logging.WARNING,
                "proof of %s: %s: %s", subject.view, proof.result, proof.message,
            )  # fmt: skip
            self._reconciler.wake()

    async def _watch(self, subject: Subject) -> None:
        try:
            if await self.findings.watcher.look(subject, time.time(), rfc3339.now()):
                self._reconciler.renew(subject.view)
        except OSError as error:
            log.warning("sample of %s: %s", subject.view, error)
