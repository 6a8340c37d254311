"""What a proxy machine serves: hubs and other sites on one address. Everything in it was written by others.

Each value that gets into a configuration file is of a form that no directive can break out of; what is free text
(titles, contacts) gets into HTML only.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_OBJECT = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_FOLDER = re.compile(r"(?:/[A-Za-z0-9][A-Za-z0-9._-]*)+")
_MAIL = re.compile(r"[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_URL = re.compile(r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/-]*)?")
LONGEST_HOST = 253


class SiteError(ValueError):
    """A value that can not stand in a configuration file; the text names it and what is meant."""


class Certificates(StrEnum):
    """Who gets a site's certificate."""

    CERTBOT = "certbot"
    """certbot, from Let's Encrypt or another ACME directory."""
    MD = "md"
    """Apache's own mod_md, which asks the authority when to renew (ARI)."""
    FILES = "files"
    """Somebody else: the files are there, and whoever replaces them reloads Apache."""


def host(text: str) -> str:
    """A DNS name in lower case. Raises SiteError.

    Source: RFC 1123, section 2.1; at most 253 characters.
    """
    found = text.strip().lower()
    if len(found) > LONGEST_HOST or not _HOST.fullmatch(found):
        raise SiteError(f"{text!r} is no host name: write one like hub.example.org")
    return found


def _port(text: str, of: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) < 65536):
        raise SiteError(f"{of!r}: {text!r} is no port")
    return int(text)


def mail(text: str) -> str:
    """An e-mail address for the certificate authority; empty stays empty. Raises SiteError."""
    if text and not _MAIL.fullmatch(text):
        raise SiteError(f"{text!r} is no e-mail address")
    return text


def url(text: str) -> str:
    """An https:// address of an ACME directory; empty stays empty. Raises SiteError."""
    if text and not _URL.fullmatch(text):
        raise SiteError(f"{text!r} is no https:// address")
    return text


def folder(text: str) -> str:
    """An absolute path of plain names. Raises SiteError."""
    if not _FOLDER.fullmatch(text) or ".." in text:
        raise SiteError(f"{text!r} is no absolute path of letters, digits, dots, dashes and underscores")
    return text


def network(text: str) -> str:
    """A network or an address, as CIDR. Raises SiteError."""
    try:
        return str(ipaddress.ip_network(text.strip()))
    except ValueError:
        raise SiteError(f"{text!r} is no network: write one like 192.0.2.0/24") from None


@dataclass(frozen=True)
class Upstream:
    """Where a site's plain HTTP is answered."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """From HOST:PORT; an IPv6 address stands in brackets. Raises SiteError."""
        name, colon, port = text.rpartition(":")
        if not colon:
            raise SiteError(f"{text!r}: write HOST:PORT, like 10.0.0.5:30080")
        if name.startswith("[") and name.endswith("]"):
            try:
                address = ipaddress.IPv6Address(name[1:-1])
            except ValueError as error:
                raise SiteError(f"{text!r}: {error}") from None
            if address.scope_id is not None:
                raise SiteError(f"{text!r}: an address that means another machine on each network")
            return cls(f"[{address}]", _port(port, text))
        return cls(host(name), _port(port, text))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class HubSite:
    """A hub. ``key``: NAMESPACE/NAME of the PDSHub, for comments."""

    name: str
    upstream: Upstream
    key: str = ""
    subdomains: bool = False
    """Every user under a name of their own below ``name``: a wildcard certificate is needed."""
    users: int = 50
    """How many people may have JupyterLab open at a time."""
    title: str = ""
    contact: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", host(self.name))
        if self.key and not (self.key.count("/") == 1 and all(map(_OBJECT.fullmatch, self.key.split("/")))):
            raise SiteError(f"{self.key!r} is not NAMESPACE/NAME")
        if self.users < 1:
            raise SiteError(f"{self.name}: {self.users} users: at least one")

    @property
    def names(self) -> tuple[str, ...]:
        """The names in its certificate."""
        return (self.name, f"*.{self.name}") if self.subdomains else (self.name,)


@dataclass(frozen=True)
class OtherSite:
    """A site beside the hubs: files of a folder, or another program's HTTP."""

    name: str
    root: str = ""
    upstream: Upstream | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", host(self.name))
        if bool(self.root) == (self.upstream is not None):
            raise SiteError(f"{self.name}: a folder or http://HOST:PORT")
        if self.root:
            folder(self.root)

    @property
    def names(self) -> tuple[str, ...]:
        """The names in its certificate."""
        return (self.name,)

    @classmethod
    def parse(cls, text: str) -> Self:
        """From NAME=/FOLDER or NAME=http://HOST:PORT. Raises SiteError."""
        name, _, target = text.partition("=")
        if target.startswith("http://"):
            return cls(name, upstream=Upstream.parse(target.removeprefix("http://").rstrip("/")))
        return cls(name, root=target or "/")


@dataclass(frozen=True)
class Machine:
    """The proxy machine: its sites, and what they have in common."""

    hubs: tuple[HubSite, ...]
    others: tuple[OtherSite, ...] = ()
    certificates: Certificates = Certificates.CERTBOT
    email: str = ""
    """Whom the certificate authority writes to."""
    directory: str = ""
    """ACME directory; empty: Let's Encrypt."""
    behind: tuple[str, ...] = ()
    """Networks of a load balancer before this machine, whose X-Forwarded-For is believed."""
    sockets_per_user: int = 6
    reloads: int = 4
    """Generations of processes that may live beside each other: each reload leaves one until its sockets are closed."""
    largest_body: int = 4 << 30
    """Bytes of the largest request to a user's server; JupyterLab uploads in pieces, other programs do not."""
    http_port: int = 80
    https_port: int = 443
    root: str = ""
    """Where the files lie, if not at / (tests)."""
    dns_server: str = ""
    """Name server that takes dynamic updates (RFC 2136), for wildcards."""
    slow: float = field(default=20.0)
    """Seconds in which the header of a request has to be there."""

    def __post_init__(self) -> None:
        mail(self.email)
        url(self.directory)
        object.__setattr__(self, "behind", tuple(network(one) for one in self.behind))
        if self.dns_server:
            host(self.dns_server)
        if not self.hubs:
            raise SiteError("no hub")
        names = [site.name for site in self.sites]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise SiteError(f"two sites are called {', '.join(twice)}")
        if self.root:
            folder(self.root)

    @property
    def sites(self) -> tuple[HubSite | OtherSite, ...]:
        """Hubs, then the others."""
        return (*self.hubs, *self.others)
