"""PDSHub: one JupyterHub for an archive node."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from pdshub.api import hub_isolation
from pdshub.api.base import (
    DNS_LABEL,
    AbsolutePath,
    Model,
    Name,
    Quantity,
    SecretKey,
    StatusModel,
    rules,
)
from pdshub.api.hub_backup import Backup
from pdshub.api.hub_bootstrap import IMMUTABLE, Bootstrap, RecoveryStatus
from pdshub.api.hub_chart import Chart
from pdshub.api.hub_limits import Bounds, Resources, ServerResources
from pdshub.api.hub_network import Network
from pdshub.api.hub_tls import Tls, is_public_name
from pdshub.api.hub_upgrade import Upgrade, UpgradeStatus
from pdshub.api.hub_users import Users
from pdshub.api.quota import Quota, shortage
from pdshub.api.status import CertificateStatus, Condition
from pdshub.api.view import InlineArchive

Line = Annotated[str, Field(max_length=200)]
Image = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[a-z0-9][A-Za-z0-9._/:@-]*$")]


class DevelopmentSignIn(Model):
    """One shared password, for development: refused outside a namespace labelled pdshub.dev/environment=development."""

    password_secret_ref: SecretKey | None = Field(
        default=None,
        description="Where the shared password is; by default the operator makes one in Secret <name>-sign-in.",
    )


class GoogleSignIn(Model):
    """Google accounts by OAuth 2."""

    client_id: str = Field(min_length=1, max_length=512, description="OAuth client id from the Google Cloud console.")
    client_secret_ref: SecretKey = Field(description="Where the OAuth client secret is kept.")
    hosted_domains: list[Annotated[str, Field(max_length=253)]] = Field(
        default_factory=list,
        max_length=32,
        description="Only accounts of these Google Workspace domains may try.",
    )
    callback_url: str | None = Field(
        default=None,
        max_length=1024,
        pattern=r"^https?://",
        description="Default: https://<hostname>/hub/oauth_callback.",
    )


class SignIn(Model):
    """How people prove who they are: exactly one method."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "has(self.development) != has(self.google)",
                "choose exactly one sign-in method: google (or development in a development namespace)",
            ),
        )
    )
    development: DevelopmentSignIn | None = Field(default=None, description="A shared password; development only.")
    google: GoogleSignIn | None = Field(default=None, description="Google accounts.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.development is None) == (self.google is None):
            raise ValueError("choose exactly one sign-in method: google or development")
        return self


class HubArchive(Model):
    """The archive that user pods see: written here or kept in an ArchiveView."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "has(self.viewRef) != has(self.inline)",
                "choose exactly one: viewRef (an ArchiveView) or inline",
            ),
            (
                "self.mountPath != '/' && !self.mountPath.startsWith('/home')",
                "mountPath must be a directory of its own outside /home: use /archive",
            ),
        )
    )
    mount_path: AbsolutePath = Field(default="/archive", description="Where user pods see the archive.")
    view_ref: Name | None = Field(default=None, description="Name of an ArchiveView of the cluster.")
    inline: InlineArchive | None = Field(default=None, description="The view itself, for the simple case of one file.")
    updates: Literal["live", "nextServer"] = Field(
        default="live",
        description="When users see a new generation: live, in running servers; nextServer, in servers started later.",
    )
    max_hold_seconds: int = Field(
        default=3600,
        ge=0,
        le=86400,
        description="With updates live: a server that works in the old generation keeps it at most this long.",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.view_ref is None) == (self.inline is None):
            raise ValueError("archive: choose exactly one: viewRef or inline")
        return self


class Profile(Model):
    """A choice on the spawn page."""

    name: Name = Field(description="Short name, unique in this hub.")
    display_name: str = Field(min_length=1, max_length=128, description="What users read.")
    description: str = Field(default="", max_length=1024, description="A sentence about what it is for.")
    image: Image | None = Field(default=None, description="Container image; default: spec.server.image.")
    resources: Resources = Field(
        default_factory=Resources, description="Overrides spec.server.resources field by field."
    )


class Home(Model):
    """Every user's home: a volume that outlives servers, the hub and the PDSHub."""

    size: Quantity = Field(default="10Gi", description="Size of each home, where the storage enforces it.")
    storage_class_name: str | None = Field(
        default=None,
        max_length=253,
        description="StorageClass of homes; default: the cluster's default class.",
    )


def _limit(bounds: Bounds | None) -> str | None:
    return bounds.limit if bounds else None


def _named(profiles: list[Profile]) -> list[tuple[str, Resources]]:
    return [(f"the limit of profile {profile.name}", profile.resources) for profile in profiles]


_DEFAULT_RESOURCES = ServerResources(
    cpu=Bounds(limit="2", guarantee="50m"), memory=Bounds(limit="4Gi", guarantee="256Mi")
)


class Server(Model):
    """User servers."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.defaultProfile) || "
                "(has(self.profiles) && self.profiles.exists(p, p.name == self.defaultProfile))",
                "defaultProfile is not among profiles: name one of them",
            ),
        )
    )
    image: Image | None = Field(default=None, description="Container image; default: the installation's user image.")
    home: Home = Field(default_factory=Home, description="Homes.")
    resources: ServerResources = Field(default=_DEFAULT_RESOURCES, description="What a server may use.")
    profiles: list[Profile] = Field(
        default_factory=list,
        max_length=16,
        description="Choices on the spawn page; none: everybody gets spec.server.",
        json_schema_extra=rules(
            (
                "self.all(a, self.exists_one(b, b.name == a.name))",
                "two profiles have the same name: give each its own",
            )
        ),
    )
    default_profile: Name | None = Field(default=None, description="Profile chosen beforehand; default: the first.")
    start_timeout_seconds: int = Field(
        default=300, ge=10, le=3600, description="A server that takes longer has failed."
    )

    @model_validator(mode="after")
    def _known_default(self) -> Self:
        names = [p.name for p in self.profiles]
        if self.default_profile and self.default_profile not in names:
            raise ValueError(
                f"defaultProfile {self.default_profile!r} is not among profiles ({', '.join(names) or 'none'})"
            )
        if len(set(names)) != len(names):
            raise ValueError("profiles: two profiles have the same name")
        return self


class Culling(Model):
    """Stopping idle servers. Homes stay."""

    enabled: bool = Field(default=True, description="Stop servers that nobody uses.")
    idle_seconds: int = Field(default=3600, ge=60, description="Idle for this long means unused.")
    every_seconds: int = Field(default=600, ge=10, description="How often to look.")
    max_age_seconds: int = Field(default=0, ge=0, description="Stop servers older than this; 0: never.")


class Service(Model):
    """How the hub's proxy is reached."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.nodePort) || self.type == 'NodePort'",
                "nodePort needs type NodePort: set the type or drop nodePort",
            ),
        )
    )
    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = Field(
        default="ClusterIP", description="Kubernetes Service type."
    )
    node_port: int | None = Field(default=None, ge=1, le=65535, description="Port on every node, for type NodePort.")


class DeletionPolicy(Model):
    """What deleting the PDSHub does to data."""

    homes: Literal["Retain", "Delete"] = Field(default="Retain", description="Users' homes.")
    database: Literal["Retain", "Delete"] = Field(
        default="Retain", description="The hub's database of users and tokens, and its keys."
    )
    certificates: Literal["Retain", "Delete"] = Field(
        default="Retain", description="The ACME account and the certificates of the hub's door: a CA counts new ones."
    )


class PDSHubSpec(Model):
    """What the hub should be."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "has(self.signIn)",
                "signIn is missing: add signIn.google (or signIn.development in a development namespace)",
            ),
            *hub_isolation.RULES,
            (
                "!has(self.tls) || has(self.tls.none) || has(self.hostname)",
                "hostname is missing: tls needs the public name, as hub.example.org",
            ),
            IMMUTABLE,
        )
    )
    hostname: str | None = Field(
        default=None,
        max_length=253,
        pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$",
        description="Public host name, for example hub.example.org.",
    )
    isolation: hub_isolation.Isolation = Field(
        default="Path",
        description="Subdomain: each user's server has a host name of its own below hostname, which keeps pages of one "
        "user from acting as another; needs *.hostname in DNS and in the certificate. Path: all share one host name.",
    )
    title: Line = Field(default="", description="The node's name, as the hub's pages show it.")
    contact: Line = Field(
        default="",
        description="Whom users write to: an e-mail address, an https:// address, or words. Every page shows it.",
    )
    message: str = Field(
        default="",
        max_length=2000,
        description="Message of the day, plain text, on every page of the hub. A change restarts nothing.",
    )
    sign_in: SignIn | None = Field(default=None, description="How people sign in: exactly one method.")
    users: Users = Field(default_factory=Users, description="Who may sign in.")
    archive: HubArchive | None = Field(default=None, description="The archive in user pods.")
    server: Server = Field(default_factory=Server, description="User servers: image, sizes, choices.")
    quota: Quota | None = Field(default=None, description="What all servers together may use; none: no bound.")
    culling: Culling = Field(default_factory=Culling, description="Stopping idle servers.")
    service: Service = Field(default_factory=Service, description="How the hub is reached.")
    network: Network = Field(default_factory=Network, description="What user servers reach.")
    tls: Tls | None = Field(default=None, description="Who ends TLS; nothing: plain HTTP, and nobody is asked.")
    backup: Backup | None = Field(
        default=None, description="Copies of homes, database and keys; none: nothing is saved."
    )
    bootstrap: Bootstrap | None = Field(
        default=None, description="How the hub begins, once: from a backup; none: empty, or with what it left here."
    )
    chart: Chart = Field(default_factory=Chart, description="Helm chart of the hub.")
    upgrade: Upgrade = Field(
        default_factory=Upgrade, description="The database before another chart or hub image, and the way back."
    )
    values: dict[str, Any] = Field(
        default_factory=dict,
        description="Helm values over what PDSHub renders, by Helm's rules: maps merge, lists replace, null deletes.",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )
    drift: Literal["Repair", "Report"] = Field(
        default="Repair",
        description="Objects of the hub that somebody changed or deleted: put back as installed, or only reported.",
    )
    suspend: bool = Field(default=False, description="Leave everything as it is: no install, upgrade or repair.")
    deletion_policy: DeletionPolicy = Field(default_factory=DeletionPolicy, description="What deletion does to data.")

    @model_validator(mode="after")
    def _sign_in(self) -> Self:
        if self.sign_in is None:
            raise ValueError("signIn is missing: add signIn.google (or signIn.development in a development namespace)")
        return self

    @model_validator(mode="after")
    def _isolated(self) -> Self:
        if trouble := hub_isolation.trouble(self.isolation, self.hostname):
            raise ValueError(trouble)
        return self

    @model_validator(mode="after")
    def _public_name(self) -> Self:
        if self.tls and self.tls.none is None and not is_public_name(self.hostname or ""):
            said = f"hostname {self.hostname!r} is none of the public names" if self.hostname else "hostname is missing"
            raise ValueError(f"{said} that tls needs: set it to the name that people use, as hub.example.org")
        return self

    @model_validator(mode="after")
    def _room_for_one(self) -> Self:
        """A quota that no server fits into would only be found out by whoever starts one."""
        for field, name in (("cpu", "cpu"), ("memory", "memory"), ("ephemeral_storage", "ephemeralStorage")):
            known = [(f"server.resources.{name}.limit", self.server.resources), *_named(self.server.profiles)]
            limits = [(where, _limit(getattr(resources, field))) for where, resources in known]
            if self.quota and (trouble := shortage(name, getattr(self.quota, field), limits)):
                raise ValueError(trouble)
        return self


class PDSHubStatus(StatusModel):
    """What the operator found and did."""

    observed_generation: int = 0
    address: str = Field(default="", description="Where the hub answers.")
    users: int = Field(default=0, description="Users that may sign in.")
    version: str = Field(default="", description="Chart and version that is installed.")
    revision: int = Field(default=0, description="Revision of the Helm release.")
    archive: str = Field(default="", description="The view, and whether it is ready.")
    front_door: str = Field(default="", description="Who ends TLS: the mode whose objects the operator made last.")
    certificate: CertificateStatus | None = Field(default=None, description="The certificate that people are shown.")
    failures: int = Field(default=0, description="Failed attempts at the present chart, values and generation.")
    attempted_digest: str = Field(default="", description="Digest of chart and values that was attempted last.")
    releasing: int = Field(default=0, description="Revision that helm makes or made last; 0 once it is sealed.")
    sealed_by: str = Field(default="", description="Name of the key with which the release was sealed last.")
    upgrade: UpgradeStatus | None = Field(default=None, description="Copies of the database, and how far a return is.")
    recovery: RecoveryStatus | None = Field(default=None, description="How far spec.bootstrap.recovery is.")
    conditions: list[Condition] = Field(default_factory=list)


class PDSHub(Model):
    """A JupyterHub with sign-in, an allow list, lasting homes and a read-only archive."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            # Helm names a release with at most 53 characters, and the name becomes a label
            (
                "self.metadata.name.matches('^[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?$')",
                "metadata.name must have at most 48 lower case letters, digits and dashes: choose a shorter name",
            ),
        )
    )
    spec: PDSHubSpec
    status: PDSHubStatus = Field(default_factory=PDSHubStatus)


def _condition(kind: str) -> str:
    return f'.status.conditions[?(@.type=="{kind}")].status'


PRINTER_COLUMNS: list[dict[str, Any]] = [
    {"name": "Ready", "type": "string", "jsonPath": _condition("Ready")},
    {"name": "Address", "type": "string", "jsonPath": ".status.address"},
    {"name": "Version", "type": "string", "jsonPath": ".status.version"},
    {"name": "Users", "type": "integer", "jsonPath": ".status.users"},
    {"name": "Archive", "type": "string", "jsonPath": ".status.archive"},
    {
        "name": "Status",
        "type": "string",
        "jsonPath": '.status.conditions[?(@.type=="Ready")].message',
        "priority": 1,
    },
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
]

__all__ = ["DNS_LABEL", "PRINTER_COLUMNS", "PDSHub", "PDSHubSpec", "PDSHubStatus"]
