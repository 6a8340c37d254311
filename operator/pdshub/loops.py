"""The operator's loops: who looks at what because of a change, what is looked at anyway, how all begin and end.

Each object has a loop of its own (reconcile/common/workqueue.py), and everything is looked at again every minute, so
that a change that was missed costs only time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pdshub import installation
from pdshub.audit_log import trail
from pdshub.audit_log.log import AuditLog
from pdshub.cached_kube import CachedKube, Informers
from pdshub.helm import Helm
from pdshub.kube import ARCHIVE_VIEW, CONFIG_MAP, PDSHUB, POD, ROLE_BINDING, Kube, KubeError, Object, Resource
from pdshub.metrics import Exporter, program_version
from pdshub.object_cache import Changed, Scope
from pdshub.reconcile.common import events, triggers, watched
from pdshub.reconcile.common.context import BundledChart
from pdshub.reconcile.common.healthz import serve
from pdshub.reconcile.common.node_reports import NodeReport, Reports
from pdshub.reconcile.common.tls import Tls
from pdshub.reconcile.common.triggers import HubKey, asked_of, told_to_hubs
from pdshub.reconcile.common.workqueue import WorkQueue
from pdshub.reconcile.hub import reconcile as hub
from pdshub.reconcile.hub.backup import reconcile as backup
from pdshub.reconcile.hub.backup.loop import BackupLoop, LookAtBackups
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.drill import reconcile as drill
from pdshub.reconcile.hub.drill.loop import DrillLoop, LookAtDrills
from pdshub.reconcile.hub.drill.reading import reads as drill_reads
from pdshub.reconcile.hub.earlier import reconcile as earlier
from pdshub.reconcile.hub.earlier.loop import EarlierLoop, LookAtEarlier
from pdshub.reconcile.hub.homes_protection import HomesProtection, is_home
from pdshub.reconcile.hub.people import reconcile as people
from pdshub.reconcile.hub.people.loop import LookAtPeople, PeopleLoop
from pdshub.reconcile.hub.recovery import reconcile as recovery
from pdshub.reconcile.hub.recovery.loop import LookAtRecovery, RecoveryLoop
from pdshub.reconcile.hub.recovery.reading import reads as recovery_reads
from pdshub.reconcile.view import reconcile as view
from pdshub.reconcile.view.context import ViewContext
from pdshub.render.names import HUB_LABEL, VIEW_LABEL
from pdshub.render.surveyor import SurveyorNames
from pdshub.survey_api import SurveyApi
from pdshub.tenant import EVENTS

log = logging.getLogger("pdshub")

RESYNC = 60.0
"""Seconds between two lists of everything: what a watch missed is found then."""
EARLY = 1.0
"""The same before kopf's first list was heard; doubled each time."""
STUCK = 900.0
"""A single look that takes longer than this (seconds) has hung; helm's own bound is 300."""
HELM_GRACE = 100.0
"""Seconds that a run of helm gets to end when the operator is told to stop."""
_VIEW_GRACE = 5.0
"""The same for a look at a view."""

LookAtHub = Callable[[HubContext, str, str], Awaitable[float | None]]
LookAtView = Callable[[ViewContext, str, dict[str, NodeReport], bool], Awaitable[float | None]]


@dataclass(frozen=True)
class Surroundings:
    """What an operator is made with, beside the door to the API server."""

    helm: Helm
    installation: installation.Installation
    chart: BundledChart
    system: str
    """Namespace of the installation."""
    surveys: SurveyApi = field(default_factory=SurveyApi)
    audit_log: AuditLog | None = None


class Operator:
    """The running operator. ``look_at_hub``, ``look_at_view`` and the others are the seven reconcile()."""

    def __init__(
        self,
        kube: Kube,
        around: Surroundings,
        look_at_hub: LookAtHub = hub.reconcile,
        look_at_view: LookAtView = view.reconcile,
        look_at_people: LookAtPeople = people.reconcile,
        look_at_backups: LookAtBackups = backup.reconcile,
        look_at_earlier: LookAtEarlier = earlier.reconcile,
        look_at_drills: LookAtDrills = drill.reconcile,
        look_at_recoveries: LookAtRecovery = recovery.reconcile,
    ) -> None:
        self.index = triggers.ViewIndex()
        fed = [(watched.HUBS, self.on_hub), (watched.VIEWS, self.on_view)]
        self.informers = Informers(
            kube, self._always(around.system, around.installation.surveyor.namespace), self._of_hub, fed
        )
        self.kube = CachedKube(kube, self.informers)
        self.audit = trail.Trail(
            self.kube, around.system, self._followed_hubs, self._publish, around.audit_log, events_of_cluster=EVENTS
        )
        tls = Tls(self.kube, around.system)
        shared = (self.kube, around.helm, around.installation, around.chart, around.system, tls)
        self.hub_context = HubContext(*shared, audit=self.audit.recorder)
        self.view_context = ViewContext(*shared, surveys=around.surveys)
        self.people = PeopleLoop(self.hub_context, look_at_people)
        self.backups = BackupLoop(self.hub_context, look_at_backups)
        self.earlier = EarlierLoop(self.hub_context, look_at_earlier, self.backups.queue.enqueue)
        self.drills = DrillLoop(self.hub_context, look_at_drills, around.installation.drill.namespace)
        self.recoveries = RecoveryLoop(self.hub_context, look_at_recoveries, self.on_recovered)
        self.backups.context.readers = drill_reads, recovery_reads
        for beside in (self.drills.context.backups, self.recoveries.context.backups):
            beside.turn = self.backups.context.turn  # one look at a time, whoever wants the repository
        self.hubs: WorkQueue[HubKey] = WorkQueue(lambda key: look_at_hub(self.hub_context, *key))
        self.views: WorkQueue[str] = WorkQueue(
            lambda name: look_at_view(self.view_context, name, self.reports.nodes, self.reports.asked)
        )
        self.reports = Reports(self.kube, around.system, self.views.enqueue_all, tls)
        self._metrics = Exporter(
            self.kube, program_version(), self.unhealthy_reason, self.longest_busy, lambda: self.reports.nodes,
            self.audit.figures, lambda: dict(self.backups.context.failures),
        )  # fmt: skip
        self._beat = time.monotonic()
        self._tasks: list[asyncio.Task[Any]] = []
        self.homes = HomesProtection(self.kube)

    async def start(self, port: int) -> None:
        """Begin to watch, to look, and to answer on ``port``."""
        self.informers.start()
        self._tasks = [
            asyncio.create_task(self.reports.run(), name="reports"),
            asyncio.create_task(self._resync(), name="resync"),
            asyncio.create_task(serve(port, self.unhealthy_reason, self._metrics), name="healthz"),
            *self.audit.start(),
        ]

    async def stop(self) -> None:
        """Finish what is under way and end."""
        for task in self._tasks:
            task.cancel()
        closing = (
            loop.close(_VIEW_GRACE) for loop in (self.views, self.people, self.backups, self.drills, self.recoveries)
        )
        # who waits at a hub waits for nothing that has to end
        await asyncio.gather(self.hubs.close(HELM_GRACE), self.earlier.close(0.0), *closing)
        await asyncio.gather(*self._tasks, self.homes.close(), self.audit.close(), return_exceptions=True)
        await self.informers.close()
        await self.kube.close()

    def longest_busy(self) -> float:
        """Seconds that the longest present look at a hub, its people, backups, drills, recovery or a view has taken."""
        people, backups, drills, recoveries = self.people, self.backups, self.drills, self.recoveries
        queues = (self.hubs, self.views, people.queue, backups.queue, drills.queue, recoveries.queue)
        return max(queue.longest_busy() for queue in queues)

    def unhealthy_reason(self) -> str:
        """Why the operator should be restarted; empty while its loops turn."""
        silence = time.monotonic() - self._beat
        if silence > 3 * RESYNC + 60:
            return f"the last resync was {silence:.0f} s ago"
        busy = {
            "a hub": self.hubs.longest_busy(),
            "a view": self.views.longest_busy(),
            "the people of a hub": self.people.queue.longest_busy(),
            "the backups of a hub": self.backups.queue.longest_busy(),
            "the drills of a hub": self.drills.queue.longest_busy(),
            "the recovery of a hub": self.recoveries.queue.longest_busy(),
        }
        for what, seconds in busy.items():
            if seconds > STUCK:
                return f"one look at {what} has taken {seconds:.0f} s"
        dead = [task.get_name() for task in self._tasks if task.done()]
        return f"ended: {', '.join(dead)}" if dead else ""

    # --- everything again, in case something was missed

    async def _resync(self) -> None:
        early = EARLY
        while True:
            try:
                await self.resync()
                pause, early = next_resync(self.informers.agreed, early)
            except KubeError as error:
                log.warning("the resync failed: %s", error)
                pause = 5.0
            # an API server that is away is no reason to restart: the loop did turn
            self._beat = time.monotonic()
            await asyncio.sleep(pause)

    async def resync(self) -> None:
        """Look at every hub, view and home that the API server lists. Raises KubeError when it does not answer."""
        hubs, views = await self.compare()
        for item in hubs:
            self.hubs.enqueue(triggers.hub_key(item))
        for item in views:
            self.views.enqueue(item["metadata"]["name"])
        self.people.all()
        self.backups.all()
        self.earlier.all()
        self.drills.all()
        self.recoveries.all()
        await self.homes.all(self._open())

    async def compare(self) -> list[list[Object]]:
        """List hubs and views (metadata), and compare what is known of them with it. Raises KubeError."""
        listed, late = [], []
        try:
            for resource in (PDSHUB, ARCHIVE_VIEW):
                found, version = await self.kube.live.snapshot(resource, "", labels="", metadata_only=True)
                late += [resource.plural] if self.informers.behind(resource, found) else []
                self.informers.compare(resource, found, version)
                listed.append(found)
            if late:
                log.warning("watches of %s went silent: everything is listed again", ", ".join(late))
                self.informers.restart()
                await self.informers.refill()
        except KubeError:
            self.informers.doubt()
            raise
        return listed

    # --- changes

    def hear(self, resource: Resource, kind: str | None, item: Object) -> None:
        """An event of kopf's watch of hubs or views: its type, None for an object of the first list, and the object."""
        self.informers.feed(resource, kind, item)

    def _always(self, system: str, surveyors: str) -> list[tuple[Scope, Changed]]:
        heard = [(watched.BINDINGS, self.on_binding), (watched.claims_of_surveyors(surveyors), self.on_claim)]
        heard += [(scope, self.on_asked) for scope in watched.ASKED]
        silent = (*watched.CLUSTER, *watched.of_installation(system), *watched.of_surveyors(surveyors))
        return [*heard, *((scope, _unheard) for scope in silent)]

    def _of_hub(self, namespace: str) -> Sequence[tuple[Scope, Changed]]:
        """What is watched in the namespace of a hub alone."""
        heard: list[tuple[Scope, Changed]] = [(watched.claims_of_hub(namespace), self.on_claim)]
        heard += [(scope, self.on_part) for scope in watched.parts_of_hub(namespace)]
        kinds: tuple[Literal["Secret", "ConfigMap"], ...] = ("Secret", "ConfigMap")
        sources = zip(watched.sources_of(namespace), kinds, strict=True)
        heard += [(scope, self.people.on_object(kind)) for scope, kind in sources]
        told = {CONFIG_MAP: self.audit.on_config_map, POD: self.on_pod}
        return [*heard, *((scope, told.get(scope.resource, _unheard)) for scope in watched.of_hub(namespace))]

    def _open(self) -> set[str]:
        """Namespaces that have a hub, and in which the operator may act: in others it can watch nothing."""
        bound = {str(item["metadata"]["namespace"]) for item in self.informers.objects(ROLE_BINDING)}
        return self.index.namespaces & bound

    def _followed_hubs(self) -> list[Object]:
        """Hubs whose namespaces are open: the operator can ask them what happened."""
        there = self._open()
        return [item for item in self.informers.objects(PDSHUB) if item["metadata"]["namespace"] in there]

    async def _publish(self, about: Object, warning: bool, reason: str, message: str, namespace: str) -> None:
        await events.publish(self.kube, about, [events.EventRecord(warning, reason, message)], namespace)

    def on_binding(self, old: Object | None, new: Object | None, own: bool) -> None:
        """A namespace was opened for its hub, or closed."""
        self.informers.follow(self._open())
        for key in self.index.of(str((new or old or {})["metadata"]["namespace"])):
            self.people.queue.enqueue(key)
            self.backups.on_opened(key)
            if not own:
                self.hubs.enqueue(key)

    def on_pod(self, old: Object | None, new: Object | None, own: bool) -> None:
        """A pod of hub or proxy came or went: a new one may have to be told of the list."""
        if old is None or new is None:
            for key in self.index.of(str((new or old or {})["metadata"]["namespace"])):
                self.people.queue.enqueue(key)

    def on_hub(self, old: Object | None, new: Object | None, own: bool) -> None:
        """A hub changed. Its neighbours may have to wait for it; its view says how it takes up a generation.

        What a look at the hub wrote itself (``own``) is known to it.
        """
        key = triggers.hub_key(new or old or {})
        self.index.put(key, new)
        self.people.put(key, new)
        self.backups.put(key, old, new)
        self.earlier.put(key, old, new)
        self.drills.put(key, old, new)
        self.recoveries.put(key, old, new)
        self.informers.follow(self._open())
        asked = asked_of(old) != asked_of(new)
        if asked or not own:
            self.hubs.enqueue(key)
        if asked:
            self.people.queue.enqueue(key)
        if asked:
            for other in self.index.neighbours(key):
                self.hubs.enqueue(other)
            for name in {triggers.shown_view(old), triggers.shown_view(new)} - {""}:
                self.views.enqueue(name)

    def on_recovered(self, key: HubKey) -> None:
        """The recovery of a hub has come to another phase: the hub may be installed, or saved."""
        self.hubs.enqueue(key)
        self.backups.queue.enqueue(key)

    def on_asked(self, old: Object | None, new: Object | None, own: bool) -> None:
        """A run or a restore of a backup was asked for, or got on."""
        self.backups.on_asked(old, new, own)

    def on_part(self, old: Object | None, new: Object | None, own: bool) -> None:
        """An object of a hub's release or a policy of a hub changed: it may have to be put back."""
        for key in () if own else self.index.of_part(old, new):
            self.hubs.enqueue(key)

    def on_view(self, old: Object | None, new: Object | None, own: bool) -> None:
        """A view changed. Its hubs look only when something changed that hubs take from it."""
        name = str((new or old or {})["metadata"]["name"])
        if not own or asked_of(old) != asked_of(new):
            self.views.enqueue(name)
        if told_to_hubs(old) != told_to_hubs(new):
            for key in self.index.hubs(name, old, new):
                self.hubs.enqueue(key)

    def on_claim(self, old: Object | None, new: Object | None, own: bool) -> None:
        """A claim changed: a home that is bound is protected, who waits for the archive's looks again."""
        meta = (new or old or {})["metadata"]
        labels = meta.get("labels") or {}
        if new is not None and is_home(new):
            self.homes.begin(new)
            if not own:
                self.people.queue.enqueue((str(meta["namespace"]), str(labels[HUB_LABEL])))
        elif own or VIEW_LABEL not in labels:
            return
        elif HUB_LABEL in labels:
            self.hubs.enqueue((str(meta["namespace"]), str(labels[HUB_LABEL])))
        else:  # a surveyor's
            for name in self.views.keys:
                if SurveyorNames(str(meta["namespace"]), name).labels[VIEW_LABEL] == labels[VIEW_LABEL]:
                    self.views.enqueue(name)


def next_resync(agreed: bool, early: float) -> tuple[float, float]:
    """Seconds until the next resync, and what ``early`` is then: before kopf's first list agreed it comes sooner."""
    return (RESYNC, EARLY) if agreed else (early, min(RESYNC, 2 * early))


def _unheard(old: Object | None, new: Object | None, own: bool) -> None:
    """What is only read: nobody looks because of it."""
