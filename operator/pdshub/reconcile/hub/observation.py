"""What one look read of a PDSHub and of what was made for it, without any judgement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pdshub.api.hub import PDSHubSpec
from pdshub.hub_api import SignInAttempt
from pdshub.kube import Object
from pdshub.reconcile.common.objects import Workload
from pdshub.reconcile.hub.certificate import CertificateSeen
from pdshub.reconcile.hub.drift import Drift
from pdshub.reconcile.hub.front_door import FrontDoorSeen
from pdshub.reconcile.hub.guard import Guard
from pdshub.reconcile.hub.release import Release, UnreadableRelease
from pdshub.reconcile.hub.trust import Trust
from pdshub.render.network import ApiServer


def terminating(namespace: Object | None) -> bool:
    """Whether a namespace is being deleted."""
    return ((namespace or {}).get("status") or {}).get("phase") == "Terminating"


@dataclass(frozen=True)
class Attempt:
    """Failed runs of helm at one digest. ``key`` names generation, chart and values; another key starts anew."""

    key: str = ""
    failures: int = 0
    reason: str = ""
    message: str = ""
    wait: float = 0.0
    """Seconds until the next try is due."""


@dataclass(frozen=True)
class ReleaseRead:
    """What the Secrets of the hub's Helm release hold."""

    newest: Release | None = None
    """The newest revision; None when there is none, or when it cannot be read."""
    unreadable: UnreadableRelease | None = None
    """The newest revision, when it cannot be read."""
    older: Release | None = None
    """While deleting: the newest revision that can be read, where the very newest cannot. Helm goes by it, too."""
    broken: tuple[str, ...] = ()
    """While deleting: names of the Secrets whose revision cannot be read, or is not the operator's work."""
    trust: Trust = Trust.NONE
    """Whose work the newest revision is."""
    seal_key: str = ""
    """Name of the key of seals."""


@dataclass(frozen=True)
class Observation:
    """The objects as the API server returned them; None and empty where there are none.

    What only matters for a hub that is to run is not read while it is being deleted, and the other way round.
    """

    hub: Object
    neighbours: tuple[Object, ...] = ()
    """The other PDSHubs of the namespace."""
    spec: PDSHubSpec | None = None
    """The spec, where it is valid."""
    invalid: str = ""
    """Why the spec is refused, field by field."""
    namespace: Object | None = None
    granted: bool = True
    """Whether the namespace's account may act in it; without that nothing else of the namespace was read."""
    release: ReleaseRead = field(default_factory=ReleaseRead)
    guard: Guard = field(default_factory=Guard)
    """Whether the namespace keeps privileged pods out."""
    quotas: tuple[Object, ...] = ()
    """ResourceQuotas with the hub's marks."""
    limit_ranges: tuple[Object, ...] = ()
    """LimitRanges with the hub's marks."""
    view: Object | None = None
    """The ArchiveView that the spec asks for."""
    own_view: Object | None = None
    """The ArchiveView of an inline archive, where the spec does not ask for it (any more)."""
    own_view_shown: bool = False
    """A PDSHub refers to that view by its name."""
    claims: tuple[Object, ...] = ()
    """Claims with the hub's marks that show a view."""
    volumes: tuple[Object, ...] = ()
    """Volumes with the hub's marks that show a view."""
    named_claim: Object | None = None
    """The claim that has the name that the hub needs, whatever its marks."""
    named_volume: Object | None = None
    """The volume that has the name that the hub needs, whatever its marks."""
    notice: Object | None = None
    """The ConfigMap with what the hub's pages say."""
    policies: tuple[Object, ...] = ()
    """NetworkPolicies with the hub's marks."""
    probes: Object | None = None
    """The installation's ConfigMap with what probes of the network found."""
    api_server: ApiServer = field(default_factory=ApiServer)
    """Where hubs reach the API server."""
    front_door: FrontDoorSeen = field(default_factory=FrontDoorSeen)
    certificate: CertificateSeen = field(default_factory=CertificateSeen)
    keys_secret: Object | None = None
    """The Secret with the hub's keys without its content."""
    sign_in_secret: Object | None = None
    """The Secret of the sign-in method without its content: whether a value is filled is all that remains of it."""
    database_claim: Object | None = None
    database_volume: Object | None = None
    """The volume that the database's claim names."""
    storage_classes: tuple[Object, ...] = ()
    nodes: tuple[Object, ...] = ()
    hub_workload: Workload = field(default_factory=Workload)
    proxy_workload: Workload = field(default_factory=Workload)
    hub_pods: tuple[Object, ...] = ()
    service: Object | None = None
    """The Service in front of the proxy."""
    health: str | None = None
    """What the hub answered when asked for its health: empty when it is well, None when it was not asked."""
    sign_in_attempt: SignInAttempt | None = None
    """How a name that nobody allowed fared at the sign-in of the present revision; None: it was not tried."""
    attempt: Attempt = field(default_factory=Attempt)
    """Failed runs of helm that this process remembers."""
    resumed: bool = False
    """The hub was suspended, and helm has not run since."""
    drift: Drift | None = None
    """How the release's objects differ from what was installed; None where that is not known."""
    left: Mapping[str, tuple[Object, ...]] = field(default_factory=dict)
    """While deleting: what was made for the hub beside its release, by kind (see dependents)."""
