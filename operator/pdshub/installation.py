"""What the installation decides for every hub: defaults, and what node plugins may mount.

Written by the chart ``charts/pdshub`` into a ConfigMap; read by the operator and the node plugin.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import SplitResult, urlsplit

import yaml
from pydantic import Field, StrictBool, StrictInt, model_validator

from pdshub import bucket_rules, network_rules
from pdshub.api.base import Cidr, Model, Quantity, parse_quantity
from pdshub.api.hub_chart import CHART_DIGEST, CHART_VERSION
from pdshub.api.s3_source import AMAZON
from pdshub.api.view import Source
from pdshub.bucket_rules import BucketRule
from pdshub.mount_rules import NOBODY, MountRules, ServerRule, clean
from pdshub.wellknown import DRIVER, GROUP, HOMES_DRIVER

DEFAULT_PATH = Path("/etc/pdshub/installation/installation.yaml")


class ChartDefaults(Model):
    """The hub chart where a PDSHub does not name one."""

    source: Literal["Repository", "Airgap"] = "Repository"
    repository: str = "https://hub.jupyter.org/helm-chart/"
    version: str = Field(default="4.4.0", pattern=CHART_VERSION)
    digest: str = Field(default="", pattern=rf"{CHART_DIGEST}|^$")
    """sha256:… of the packaged chart of ``repository`` and ``version``; empty: whatever the repository serves."""
    allowed_repositories: list[str] = Field(default_factory=list)
    """Those that a PDSHub may name beside ``repository``: a chart is installed with the rights of the hub's account."""


class ImageDefaults(Model):
    """Images as name:tag; an empty one leaves the chart's own."""

    hub: str = ""
    proxy: str = ""
    user: str = ""
    door: str = ""
    """What ends TLS for hubs with tls.acme or tls.secret; no chart has one of its own."""


class Defaults(Model):
    """What a PDSHub need not say."""

    chart: ChartDefaults = Field(default_factory=ChartDefaults)
    images: ImageDefaults = Field(default_factory=ImageDefaults)
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    enforces_home_size: bool | None = Field(
        default=None,
        description="Whether the home storage enforces sizes; unknown: judged by its provisioner.",
    )


class AllowedServer(Model):
    """What may be mounted from an NFS server, and read as whom."""

    server: str
    """A name, ``*.suffix``, an address or a CIDR range."""
    exports: list[str]
    """Directories of the server: they, and what lies below them."""
    run_as: list[StrictInt | str] = Field(default_factory=list)
    """Who may be named in a source's runAs, beside the default (mount_rules.Identities.parse, mount_rules.USERS)."""

    @model_validator(mode="after")
    def _is_a_rule(self) -> Self:
        ServerRule.parse(self.wire())
        return self


class AllowedBucket(Model):
    """A bucket of an S3 service that views may show, and with whose keys."""

    endpoint: str = AMAZON
    bucket: str
    prefixes: list[str] = Field(default_factory=list)
    """Folders of it: they, and what lies below them. Default: all of it."""
    secrets: list[str] = Field(default_factory=list)
    """Secrets in the surveyors' namespace that may be named: keys, and certificates of a private CA."""
    pod_identity: StrictBool = False
    """Whether the identity of the project's own pods may read it (EKS Pod Identity)."""
    ranges: list[Cidr] = Field(default_factory=list)
    """Its addresses, where they are private: surveyors reach them. Default: the internet."""

    @model_validator(mode="after")
    def _is_a_rule(self) -> Self:
        BucketRule.parse(self.wire())
        return self


class DefaultRunAs(Model):
    """Who reads a source whose view names nobody: never root."""

    uid: int = Field(default=NOBODY[0], ge=1, le=2**31 - 1)
    gid: int = Field(default=NOBODY[1], ge=1, le=2**31 - 1)


class Allowed(Model):
    """What node plugins may mount; nothing unless named here."""

    allowed: list[AllowedServer] = Field(default_factory=list)
    default_run_as: DefaultRunAs = Field(default_factory=DefaultRunAs)
    allowed_local_prefixes: list[str] = Field(default_factory=list)
    buckets: list[AllowedBucket] = Field(default_factory=list)

    @property
    def rules(self) -> MountRules:
        """The same as the rules that the nodes obey."""
        return MountRules.parse(self.wire())


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


class AllowedShare(Model):
    """Directories of an NFS server in which hubs may keep backups. No patterns: an admission policy holds it too."""

    server: str = Field(min_length=1, max_length=253)
    """A name or an address, exactly as PDSHubs write it."""
    paths: list[str]
    """Directories of the server: they, and what lies below them."""

    @model_validator(mode="after")
    def _is_a_rule(self) -> Self:
        if not self.paths or any(clean(path) in (None, "/") for path in self.paths):
            raise ValueError(f"backup.allowed: {self.server}: paths is a list of directories, none of them all of it")
        return self


class SnapshotClass(Model):
    """How homes of a CSI driver are saved from VolumeSnapshots."""

    driver: str = Field(min_length=1, max_length=63)
    name: str = Field(min_length=1, max_length=253)
    """The VolumeSnapshotClass; its deletionPolicy has to be Delete."""
    storage_class_name: str = Field(default="", max_length=253)
    """The StorageClass of the volumes that Jobs read; empty: the home's. Its reclaimPolicy has to be Delete."""
    wait_seconds: int = Field(default=600, ge=30, le=3600)
    """How long a home waits for its snapshot before it is saved as it is."""

    @model_validator(mode="after")
    def _is_another_driver(self) -> Self:
        if self.driver in (HOMES_DRIVER, DRIVER):
            raise ValueError(f"backup.snapshotClasses: no backup is made from VolumeSnapshots of {self.driver}")
        return self


class Backup(Model):
    """The pods that make and restore backups of hubs, and where backups may be kept."""

    image: str = ""
    """As name:tag; without one nothing is saved."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: list[dict[str, Any]] = Field(default_factory=list)
    resources: dict[str, Any] = Field(
        default_factory=lambda: {
            "requests": {"cpu": "1m", "memory": "128Mi"},
            "limits": {"cpu": "1", "memory": "1Gi"},
        }
    )
    scratch: Quantity = "2Gi"
    """Size of the folder in which restic keeps a copy of the repository's index while a Job runs."""
    tolerations: list[dict[str, Any]] = Field(default_factory=list)
    allowed: list[AllowedShare] = Field(default_factory=list)
    """NFS directories that hubs may keep backups in; apart from archive.allowed, as they are written to."""
    ranges: list[Cidr] = Field(default_factory=list)
    """Closed addresses (see network_rules) of repositories that hubs may name."""
    snapshot_classes: list[SnapshotClass] = Field(default_factory=list)
    """VolumeSnapshotClasses by CSI driver; homes of any other one are saved as they are."""

    @model_validator(mode="after")
    def _has_one_class_for_a_driver(self) -> Self:
        drivers = [each.driver for each in self.snapshot_classes]
        if len(set(drivers)) < len(drivers):
            raise ValueError(f"backup.snapshotClasses: one for each driver, and not {', '.join(drivers)}")
        return self


class Dns(Model):
    """The cluster's name service, as pods reach it."""

    namespace: str = "kube-system"
    labels: dict[str, str] = Field(default_factory=lambda: {"k8s-app": "kube-dns"})
    ports: list[int] = Field(default_factory=lambda: [53])
    """Ports on which its pods listen, UDP and TCP."""
    addresses: list[Cidr] = Field(default_factory=list)
    """Of a name service that is no pod of the cluster's network, like a cache on each node."""


class Network(Model):
    """What hubs may reach, and where what they need is."""

    private_ranges: list[Cidr] = Field(default_factory=list)
    """Addresses of the institution and the cluster that are closed beside the private ones."""
    allowed_ranges: list[Cidr] = Field(default_factory=list)
    """Closed addresses that a PDSHub may name in spec.network.cidrs all the same."""
    acme_ranges: list[Cidr] = Field(default_factory=list)
    """Closed addresses of private ACME directories, and of name servers that doors update (RFC 2136)."""
    api_server: Literal["found", "any"] | list[Cidr] = "found"
    """Where hubs reach the API server: as Service kubernetes says, at any address, or in these ranges."""
    dns: Dns = Field(default_factory=Dns)
    ip_families: Literal["found"] | list[Literal["IPv4", "IPv6"]] = "found"
    """Families of pods' addresses: as the operator's own pod has them, or these."""

    def versions(self) -> frozenset[int]:
        """4, 6, or both, where nobody knows.

        Policies name addresses of these alone: engines of one family fail at a rule of the other, and then open every
        pod of the cluster (kube-router 2.11 without IPv6).
        """
        if self.ip_families == "found":
            return frozenset((4, 6))
        return frozenset(int(family.removeprefix("IPv")) for family in self.ip_families)

    def found_families(self, pod_ips: str) -> Self:
        """The same, with the families of a pod's addresses where it names none. ``pod_ips``: joined by commas."""
        if self.ip_families != "found" or not pod_ips:
            return self
        versions = {ip_address(address.strip()).version for address in pod_ips.split(",")}
        return self.model_copy(update={"ip_families": [f"IPv{version}" for version in sorted(versions)]})


class GoogleProvider(Model):
    """Where a service that speaks as Google does is, for hubs with signIn.google: by default Google itself."""

    authorize_url: str = ""
    """Where people's browsers go."""
    token_url: str = ""
    """Where hubs trade the code of a sign-in for a token."""
    userdata_url: str = ""
    """Where hubs ask who signed in: claims ``email``, and ``verified_email`` or ``email_verified``, and ``hd``."""
    ranges: list[Cidr] = Field(default_factory=list)
    """Its addresses, where they are closed to hubs (see network_rules)."""
    allow_http: bool = False
    """Whether the URLs may be plain HTTP, where anybody on the way signs in as anybody: for development alone."""

    @model_validator(mode="after")
    def _is_a_provider(self) -> Self:
        urls = {"authorizeUrl": self.authorize_url, "tokenUrl": self.token_url, "userdataUrl": self.userdata_url}
        given = {name: urlsplit(url) for name, url in urls.items() if url}
        if given and len(given) < len(urls):
            raise ValueError(f"signIn.google: all of {', '.join(urls)} are of one provider: name all, or none")
        for name, url in given.items():
            if url.scheme not in (("https", "http") if self.allow_http else ("https",)):
                raise ValueError(f"signIn.google.{name} has to begin with https:// (allowHttp is for development)")
            if not url.hostname or url.username or url.password or url.query or url.fragment or not self._port(url):
                raise ValueError(f"signIn.google.{name} has to be https://HOST[:PORT]/PATH and no more")
        return self

    @staticmethod
    def _port(url: SplitResult) -> int:
        """The port of a URL; 0 where it has none that is valid."""
        try:
            return url.port or {"https": 443, "http": 80}.get(url.scheme, 0)
        except ValueError:
            return 0

    @property
    def traits(self) -> dict[str, str]:
        """Traits of OAuthenticator; none for Google itself."""
        given = (self.authorize_url, self.token_url, self.userdata_url)
        return dict(zip(("authorize_url", "token_url", "userdata_url"), given, strict=True)) if all(given) else {}

    @property
    def ports(self) -> list[int]:
        """Ports at which hubs ask it, in order."""
        urls = [url for url in (self.token_url, self.userdata_url) if url]
        return sorted({self._port(urlsplit(url)) for url in urls}) or [443]


class SignInProviders(Model):
    """Who proves who people are."""

    google: GoogleProvider = Field(default_factory=GoogleProvider)


class Drills(Model):
    """Restores for practice."""

    namespace: str = ""
    """Where; empty where there are none."""


class Installation(Model):
    """The whole of installation.yaml."""

    defaults: Defaults = Field(default_factory=Defaults)
    archive: Allowed = Field(default_factory=Allowed)
    surveyor: Surveyor = Field(default_factory=Surveyor)
    hubs: Hubs = Field(default_factory=Hubs)
    network: Network = Field(default_factory=Network)
    sign_in: SignInProviders = Field(default_factory=SignInProviders)
    backup: Backup = Field(default_factory=Backup)
    drill: Drills = Field(default_factory=Drills)

    @property
    def private_ranges(self) -> list[str]:
        """What is closed beside the addresses that always are: the installation's ranges, NFS servers, and buckets'."""
        ranges = [cidr for bucket in self.archive.buckets for cidr in bucket.ranges]
        servers = [*(r.server for r in self.archive.allowed), *(r.server for r in self.backup.allowed)]
        return [*self.network.private_ranges, *network_rules.addresses([*servers, *ranges])]


def load(path: Path = DEFAULT_PATH, pod_ips: str = "") -> Installation:
    """Read the installation's settings; a missing file means defaults, which allow no mounts.

    ``pod_ips``: addresses of the program's own pod, joined by commas, where they are known (Kubernetes, downward API,
    status.podIPs). Raises pydantic.ValidationError when the file is no valid installation, ValueError for an address
    that is none.
    """
    text = path.read_text() if path.exists() else ""
    found = Installation.model_validate(yaml.safe_load(text) or {})
    return found.model_copy(update={"network": found.network.found_families(pod_ips)})


def refusal(source: Source, allowed: Allowed) -> str:
    """Why this installation does not allow a source; empty when it does."""
    if s3 := source.s3:
        ca = s3.ca_bundle.secret.name if s3.ca_bundle and s3.ca_bundle.secret else ""
        said = bucket_rules.refusal(
            allowed.rules.buckets,
            endpoint=s3.endpoint,
            bucket=s3.bucket,
            prefix=s3.prefix or "",
            secret=s3.secret_ref or "",
            ca_secret=ca,
        )
        return said and f"source {source.name}: {said}"
    said = allowed.rules.refusal(
        server=source.nfs.server if source.nfs else "",
        export=source.nfs.export if source.nfs else "",
        local=source.local.path if source.local else "",
        run_as=(source.run_as.uid, source.run_as.gid) if source.run_as else None,
    )
    return said and f"source {source.name}: {said}"


def egress_refusal(cidrs: Iterable[str], installation: Installation) -> str:
    """Why this installation does not let a hub's servers reach these ranges; empty where it does."""
    versions = installation.network.versions()
    for cidr in cidrs:
        if (version := ip_network(cidr, strict=False).version) not in versions:
            other = "IPv6" if version == 4 else "IPv4"
            return (
                f"spec.network.cidrs: {cidr} is an IPv{version} range, and pods of this cluster have {other} addresses "
                f"only: leave it out (network.ipFamilies of the pdshub chart says which families they have)"
            )
        if met := network_rules.closed_by(cidr, installation.private_ranges, installation.network.allowed_ranges):
            return (
                f"spec.network.cidrs: {cidr} meets {met}, which is closed to servers: name public addresses, or "
                f"add the range to network.allowedRanges of the pdshub chart"
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
