"""The operator as kopf runs it: start and end, the login of its watches, and its events of hubs and views.

Only kopf's raw events are used. Its change handlers and timers would write annotations, progress and a second
finalizer into the object, and a timer whose status patch is rejected once never runs again; the loops are our own
(reconcile/common/workqueue.py), so that a missed event costs only time.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import kopf

from pdshub.kube import ARCHIVE_VIEW, PDSHUB, Object, Resource
from pdshub.tenant_kubeconfig import api_server
from pdshub.wellknown import GROUP, VERSION

WATCH_SECONDS = 300
"""Seconds after which a watch is asked for anew: the bound for one that went silent without an error."""


class Hosted(Protocol):
    """What kopf starts, tells of events, and ends."""

    def hear(self, resource: Resource, kind: str | None, item: Object) -> None:
        """An event: its type, None for an object of kopf's first list, and the object."""

    async def stop(self) -> None:
        """Finish what is under way and end."""


def by_address(info: kopf.ConnectionInfo | None, environ: Mapping[str, str]) -> kopf.ConnectionInfo | None:
    """The service account's login with the API server's address for its name.

    kopf goes to kubernetes.default.svc: a cluster whose DNS is down, or not up yet, would have no operator.
    """
    if info is None or not environ.get("KUBERNETES_SERVICE_HOST"):
        return info
    return dataclasses.replace(info, server=api_server(environ))


def registry(make: Callable[[], Awaitable[Hosted]], grace: float) -> kopf.OperatorRegistry:
    """What kopf calls. ``make`` starts what it runs, which gets so many seconds (``grace``) to end."""
    found = kopf.OperatorRegistry()
    hosted: list[Hosted] = []

    @kopf.on.startup(registry=found)
    async def startup(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.posting.enabled = False  # events are our own: one for each thing that happened
        settings.scanning.disabled = True
        settings.peering.standalone = True  # one replica, Recreate: peering is no lease
        # kopf takes away its own finalizer where no handler of its own needs one: it must not be ours
        settings.persistence.finalizer = f"{GROUP}/kopf"
        settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
        settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
        settings.queueing.exit_timeout = grace
        settings.watching.server_timeout = WATCH_SECONDS
        settings.watching.client_timeout = WATCH_SECONDS + 30
        hosted.append(await make())

    @kopf.on.cleanup(registry=found)
    async def cleanup(**_: Any) -> None:
        for each in hosted:
            await each.stop()

    @kopf.on.login(registry=found)
    async def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        mine = by_address(kopf.login_with_service_account(**kwargs), os.environ)
        return mine or kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.event(GROUP, VERSION, PDSHUB.plural, registry=found)
    async def hub_event(event: kopf.RawEvent, **_: Any) -> None:
        hosted[0].hear(PDSHUB, event["type"], dict(event["object"]))

    @kopf.on.event(GROUP, VERSION, ARCHIVE_VIEW.plural, registry=found)
    async def view_event(event: kopf.RawEvent, **_: Any) -> None:
        hosted[0].hear(ARCHIVE_VIEW, event["type"], dict(event["object"]))

    return found
