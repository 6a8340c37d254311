"""What one machine can't do of what a PDSHub says, in words for its administrator. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pdshub.api.base import parse_quantity
from pdshub.api.hub import PDSHubSpec
from pdshub.api.hub_tls import HAS_DOOR, mode_of
from pdshub.compose import hub_config
from pdshub.compose.machine import Front, Machine
from pdshub.compose.source import Hub
from pdshub.compose.text import line
from pdshub.render import server


@dataclass(frozen=True)
class Loss:
    """Something that is not held here."""

    field: str
    """The field of the spec; empty for what holds for every export."""
    words: str

    def text(self) -> str:
        """On one line."""
        return line(f"{self.field}: {self.words}" if self.field else self.words)


ALWAYS = (
    "The hub may do what Docker may, so whoever takes over the hub has this machine. In a cluster it has a namespace.",
    "Servers of users share a network: they reach each other's ports, and those of hub and proxy.",
    "One machine: when it is down, everybody is; servers get no room by moving elsewhere.",
    "Nothing repairs what somebody changes, keeps an audit log, counts metrics, proves the archive every hour, or"
    " upgrades: that is the operator's work.",
)


def always() -> list[str]:
    """What holds for every export."""
    return list(ALWAYS)


def found(hub: Hub, machine: Machine) -> list[Loss]:
    """What of this PDSHub is not held, field by field."""
    spec = hub.spec
    return [
        *_sizes(spec), *_network(spec), *_sign_in(hub, machine), *_archive(hub), *_rest(spec),
        *(Loss(f"spec.values.{key}", "values of a Helm chart: write what it does into jupyterhub_config.py")
          for key in sorted(spec.values)),
    ]  # fmt: skip


def _sizes(spec: PDSHubSpec) -> Iterator[Loss]:
    yield Loss(
        "spec.server.home", f"homes are volumes of Docker without a size: {spec.server.home.size} is held by nothing"
    )
    _, resources = hub_config.chosen(spec)
    if resources.ephemeral_storage and resources.ephemeral_storage.limit:
        yield Loss("spec.server.resources.ephemeralStorage", "what a server writes beside its home has no bound")
    for name in ("memory", "cpu"):
        bounds = getattr(resources, name)
        if bounds and bounds.guarantee and parse_quantity(bounds.guarantee) > 0:
            yield Loss(f"spec.server.resources.{name}.guarantee", "nothing is kept free for a server")
    if resources.memory and resources.memory.limit:
        yield Loss(
            "spec.server.resources.memory.limit", "where the machine has swap, a server may have as much of it again"
        )
    other = [
        profile.name
        for profile in spec.server.profiles
        if server.effective(spec.server.resources, profile.resources) != resources
    ]
    if other:
        yield Loss(
            "spec.server.profiles",
            f"people choose an image, and no sizes: {', '.join(other)} have those of the default profile",
        )
    elif spec.server.profiles:
        yield Loss("spec.server.profiles", "people choose an image by its name, without the profile's description")
    if spec.quota:
        for name, value in spec.quota.wire().items():
            if name != "servers":
                yield Loss(f"spec.quota.{name}", f"{value} for all servers together is held by nothing")


def _network(spec: PDSHubSpec) -> Iterator[Loss]:
    if spec.network.egress == "internet":
        yield Loss(
            "spec.network.egress",
            "servers reach the internet, and also this machine and its private networks: close these in its firewall"
            " (chain DOCKER-USER)",
        )
    if spec.network.egress == "cidrs":
        yield Loss("spec.network.cidrs", "Docker has no list of ranges: servers reach nothing outside")


def _sign_in(hub: Hub, machine: Machine) -> Iterator[Loss]:
    spec, mode = hub.spec, mode_of(hub.spec.tls)
    if spec.sign_in and spec.sign_in.development:
        yield Loss("spec.signIn.development", "one password for everybody: for trying things, in no network of others")
    if machine.front is Front.NONE and mode in ("", "None"):
        yield Loss("spec.tls", f"plain HTTP at {machine.publish}: passwords and cookies are read by whoever listens")
    elif mode in HAS_DOOR and machine.front is not Front.CADDY:
        yield Loss("spec.tls", f"certificates are the work of {machine.front} on this machine, and not of the spec")
    elif mode not in ("", "None", *HAS_DOOR):
        yield Loss("spec.tls", "what ends TLS in the cluster is not here")
    if spec.isolation == "Path":
        yield Loss("spec.isolation", "all servers share one address: a page of one user may act as another")
    if spec.users.from_:
        yield Loss("spec.users.from", "lists are files in people/ and do not follow ConfigMaps and Secrets any more")
    if spec.users.shrink_limit < 100:
        yield Loss("spec.users.shrinkLimit", "a list that lost many is in effect at once")


def _archive(hub: Hub) -> Iterator[Loss]:
    if hub.view is None or hub.spec.archive is None:
        return
    view = hub.view.spec
    if hub.spec.archive.updates == "live":
        yield Loss("spec.archive.maxHoldSeconds", "a server that works in an older generation keeps it until it stops")
    if view.pin or view.approved or view.rejected:
        yield Loss("ArchiveView: pin, approved, rejected", "are decisions about the cluster's generations")
    if any(source.marker for source in view.sources):
        yield Loss("ArchiveView: sources.marker", "nobody looks whether an export is the right one")
    if any(source.run_as for source in view.sources):
        yield Loss("ArchiveView: sources.runAs", "users read as these, surveys read as nobody")
    if view.survey.stamp_file:
        yield Loss("ArchiveView: survey.stampFile", "surveys come by time alone")
    if view.cataloged:
        yield Loss("ArchiveView: survey.restatHours", "files written in place are found by a survey by hand alone")
        yield Loss("ArchiveView", "a source that is away makes reads fail after 15 s: no cover is laid over it")


def _rest(spec: PDSHubSpec) -> Iterator[Loss]:
    if spec.backup:
        yield Loss("spec.backup", "nothing is saved: save volumes pdshub-…-home-… and pdshub-…-data with the machine's")
    if spec.bootstrap:
        yield Loss("spec.bootstrap", "the hub begins empty")
    if spec.service.type != "ClusterIP":
        yield Loss("spec.service", "the proxy is at the address of the Compose file")
    if spec.suspend:
        yield Loss("spec.suspend", "is not taken over: what is started here runs")
    chosen = {name for name, value in spec.deletion_policy.wire().items() if value == "Delete"}
    if chosen:
        yield Loss("spec.deletionPolicy", "volumes stay until somebody removes them (docker volume rm)")
    if spec.server.home.storage_class_name:
        yield Loss("spec.server.home.storageClassName", "volumes are Docker's own, on this machine")
