"""The machine that files are written for: where they lie, its images, its networks, and who ends TLS. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from enum import StrEnum

from pdshub.api.hub import PDSHubSpec
from pdshub.api.hub_tls import HAS_DOOR, mode_of
from pdshub.compose.text import ExportError, path
from pdshub.front_door.site import SiteError, Upstream
from pdshub.installation import GoogleProvider

IMAGE = re.compile(r"[a-z0-9][A-Za-z0-9._/:@-]{0,511}")
NETWORK = "10.199.0.0/16"
PUBLISH = "127.0.0.1:8000"
PROGRAM = "/usr/local/bin/pdshub-compose"
WIDEST, NARROWEST = 12, 20
"""Prefixes of the range that the networks are cut from."""


class Front(StrEnum):
    """What stands before the hub's proxy on this machine."""

    APACHE = "apache"
    """Apache httpd of the machine, with the files of ``kubectl pdshub proxy render apache``."""
    CADDY = "caddy"
    """Caddy in a container, of the image of hubs' doors."""
    NONE = "none"
    """Nothing: plain HTTP at ``publish``."""


def front_of(spec: PDSHubSpec) -> Front:
    """The front that is most like what the spec says of TLS."""
    mode = mode_of(spec.tls)
    if mode in HAS_DOOR:
        return Front.CADDY
    return Front.NONE if mode in ("", "None") else Front.APACHE


@dataclass(frozen=True)
class Images:
    """The project's images, by name:tag."""

    hub: str = ""
    proxy: str = ""
    user: str = ""
    door: str = ""

    def of(self, name: str) -> str:
        """An image. Raises ExportError where it is not named, or is no name of an image."""
        found: str = getattr(self, name)
        if not found:
            raise ExportError(f"the {name} image is not known: name it with --{name}-image, or --installation FILE")
        if not IMAGE.fullmatch(found):
            raise ExportError(f"--{name}-image {found!r} is no name of an image")
        return found


@dataclass(frozen=True)
class Machine:
    """One machine with Docker."""

    name: str
    """The hub's name: of the Compose project, its volumes and its units."""
    images: Images
    front: Front = Front.NONE
    folder: str = ""
    """Where the files will lie; default /srv/pdshub/NAME."""
    network: str = NETWORK
    publish: str = PUBLISH
    """Where the proxy answers on the machine, HOST:PORT; with Caddy nowhere."""
    program: str = PROGRAM
    """Where ``pdshub-compose`` is on the machine."""
    provider: GoogleProvider = field(default_factory=GoogleProvider)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", path(self.folder or f"/srv/pdshub/{self.name}", "--folder"))
        path(self.program, "--program")
        try:
            found = ipaddress.IPv4Network(self.network)
            upstream = Upstream.parse(self.publish)
            ipaddress.IPv4Address(upstream.host)
        except (ValueError, SiteError) as error:
            raise ExportError(f"--network and --publish take a range and ADDRESS:PORT: {error}") from None
        if not WIDEST <= found.prefixlen <= NARROWEST:
            raise ExportError(f"--network {self.network}: from /{WIDEST} to /{NARROWEST}, as {NETWORK}")

    @property
    def project(self) -> str:
        """Name of the Compose project; everything of it begins so."""
        return f"pdshub-{self.name}"

    @property
    def front_range(self) -> str:
        """The network of the proxy and what is before it: its addresses say who clients are."""
        return str(self._quarter(0))

    @property
    def core_range(self) -> str:
        """The network of hub and proxy, by which the hub reaches the world."""
        return str(self._quarter(1))

    @property
    def servers_range(self) -> str:
        """The network that users' servers are in."""
        return str(list(ipaddress.IPv4Network(self.network).subnets(1))[1])

    def _quarter(self, number: int) -> ipaddress.IPv4Network:
        return next(
            each for at, each in enumerate(ipaddress.IPv4Network(self.network).subnets(new_prefix=24)) if at == number
        )

    @property
    def servers_network(self) -> str:
        """Its name, which the spawner knows."""
        return f"{self.project}-servers"

    @property
    def home(self) -> str:
        """The volume of somebody's home, as DockerSpawner writes names."""
        return f"{self.project}-home-{{username}}"

    @property
    def archive(self) -> str:
        """The folder of the machine below which the archive is mounted."""
        return f"{self.folder}/mnt/archive"

    @property
    def sources(self) -> str:
        """The folder below which sources are mounted."""
        return f"{self.folder}/mnt/sources"


def gateway(subnet: str) -> str:
    """The machine's own address in a network of Docker's."""
    return str(next(ipaddress.IPv4Network(subnet).hosts()))


def is_tls(spec: PDSHubSpec, machine: Machine) -> bool:
    """Whether people come by https."""
    return machine.front is not Front.NONE or mode_of(spec.tls) not in ("", "None")


def public_url(spec: PDSHubSpec, machine: Machine) -> str:
    """The hub's address for people."""
    if is_tls(spec, machine):
        return f"https://{spec.hostname}"
    return f"http://{machine.publish}"


def trusted(spec: PDSHubSpec, machine: Machine) -> str:
    """Ranges whose word about clients the proxy believes, as PROXY_TRUSTED; nobody's where nothing is before it."""
    if machine.front is Front.CADDY:
        return machine.front_range
    if machine.front is Front.APACHE:
        # what Docker passes on from a port of the machine comes from a bridge's own address, which no container has
        return ",".join(f"{gateway(each)}/32" for each in (machine.core_range, machine.servers_range))
    return ",".join(spec.tls.trusted) if spec.tls else ""
