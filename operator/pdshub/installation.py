"""What the installation decides for every hub: defaults, and what node plugins may mount.

Written by the chart ``charts/pdshub`` into a ConfigMap; read by the operator and the node plugin.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import yaml
from pydantic import Field

from pdshub.api.base import Model, Quantity, parse_quantity
from pdshub.api.view import Source
from pdshub.mount_rules import LOCAL_PREFIXES, SERVERS, refusing_setting
from pdshub.wellknown import GROUP

DEFAULT_PATH = Path("/etc/pdshub/installation/installation.yaml")


class ChartDefaults(Model):
    """The hub chart where a PDSHub does not name one."""

    source: Literal["Repository", "Airgap"] = "Repository"
    repository: str = "https://hub.jupyter.org/helm-chart/"
    version: str = "4.4.0"
    allowed_repositories: list[str] = Field(default_factory=list)
    """Those that a PDSHub may name beside ``repository``: a chart is installed with the rights of the hub's account."""


class ImageDefaults(Model):
    """Images as name:tag; an empty one leaves the chart's own."""

    hub: str = ""
    proxy: str = ""
    user: str = ""


class Defaults(Model):
    """What a PDSHub need not say."""

    chart: ChartDefaults = Field(default_factory=ChartDefaults)
    images: ImageDefaults = Field(default_factory=ImageDefaults)
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    enforces_home_size: bool | None = Field(
        default=None,
        description="Whether the home storage enforces sizes; unknown: judged by its provisioner.",
    )


class Allowed(Model):
    """What node plugins may mount; nothing unless named here."""

    allowed_servers: list[str] = Field(default_factory=list)
    allowed_local_prefixes: list[str] = Field(default_factory=list)


class Surveyor(Model):
    """The pods that survey archive views."""

    namespace: str = "pdshub-surveyors"
    """Where they live, alone: not the installation's own namespace, which lets privileged pods in."""
    image: str = ""
    """As name:tag; without one no view is surveyed."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: list[dict[str, Any]] = Field(default_factory=list)
    resources: dict[str, Any] = Field(default_factory=dict)
    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: list[dict[str, Any]] = Field(default_factory=list)
    affinity: dict[str, Any] = Field(default_factory=dict)
    max_storage: Quantity = "100Gi"
    """The largest store that a view may ask for: whoever may write a PDSHub may write a view inside of it."""


class NamespaceSelector(Model):
    """Labels that a namespace must have, all of them; without any, every namespace is selected."""

    match_labels: dict[str, str] = Field(default_factory=lambda: {f"{GROUP}/hubs": "allowed"})


class Hubs(Model):
    """Which namespaces may hold hubs: those that the selector selects, and those of the list."""

    namespace_selector: NamespaceSelector = Field(default_factory=NamespaceSelector)
    namespaces: list[str] = Field(default_factory=list)


class Installation(Model):
    """The whole of installation.yaml."""

    defaults: Defaults = Field(default_factory=Defaults)
    archive: Allowed = Field(default_factory=Allowed)
    surveyor: Surveyor = Field(default_factory=Surveyor)
    hubs: Hubs = Field(default_factory=Hubs)


def load(path: Path = DEFAULT_PATH) -> Installation:
    """Read the installation's settings; a missing file means defaults, which allow no mounts.

    Raises pydantic.ValidationError when the file is no valid installation.
    """
    if not path.exists():
        return Installation()
    return Installation.model_validate(yaml.safe_load(path.read_text()) or {})


def refusal(source: Source, allowed: Allowed) -> str:
    """Why this installation does not allow a source; empty when it does."""
    setting = refusing_setting(
        server=source.nfs.server if source.nfs else "",
        local=source.local.path if source.local else "",
        servers=allowed.allowed_servers,
        local_prefixes=allowed.allowed_local_prefixes,
    )
    if source.nfs and setting == SERVERS:
        return (
            f"source {source.name}: NFS server {source.nfs.server} is not allowed by this installation: "
            f"add it to {setting} of the pdshub chart"
        )
    if source.local and setting == LOCAL_PREFIXES:
        return (
            f"source {source.name}: local path {PurePosixPath(source.local.path)} is not allowed by this installation: "
            f"add a prefix of it to {setting} of the pdshub chart"
        )
    return ""


def storage_refusal(storage: str, surveyor: Surveyor, field: str = "spec.survey.storage") -> str:
    """Why this installation does not allow a store of that size; empty when it does. ``field``: where it is asked."""
    if parse_quantity(storage) <= parse_quantity(surveyor.max_storage):
        return ""
    return (
        f"{field}: {storage} is more than this installation allows, {surveyor.max_storage}: "
        f"ask for less, or raise surveyor.maxStorage of the pdshub chart"
    )


NEVER = ("default", "kube-node-lease", "kube-public", "kube-system")
"""Namespaces that never hold hubs, beside the installation's own: the cluster's parts are in them."""


def namespace_refusal(namespace: str, labels: Mapping[str, str], hubs: Hubs, own: Collection[str]) -> str:
    """Why a namespace may not hold hubs; empty when it may.

    ``labels`` are the namespace's, ``own`` the installation's namespaces.
    """
    if namespace in own or namespace in NEVER:
        return f"namespace {namespace} never holds hubs: give the PDSHub a namespace of its own"
    wanted = hubs.namespace_selector.match_labels
    if namespace in hubs.namespaces or all(labels.get(key) == value for key, value in wanted.items()):
        return ""
    pairs = " ".join(f"{key}={value}" for key, value in sorted(wanted.items()))
    return (
        f"this installation allows no hubs in namespace {namespace}: an administrator of the cluster allows them by "
        f"kubectl label namespace {namespace} {pairs}, or adds it to hubs.namespaces of the pdshub chart"
    )
