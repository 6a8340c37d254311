"""Where a hub's backups are kept: the repository as restic names it, what tells two apart, and what may not be one."""

from __future__ import annotations

import ipaddress
import posixpath
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from pdshub import network_rules
from pdshub.api.backup_job import REPOSITORY
from pdshub.api.backup_repository import Repository, RepositoryKind
from pdshub.api.hub_acme import CaBundle
from pdshub.api.hub_backup import Backup
from pdshub.installation import Installation
from pdshub.mount_rules import ALLOWED, clean, prefix_of
from pdshub.render.backup_volume import share_of
from pdshub.render.names import Names
from pdshub.wellknown import BACKUP_KEY_SUFFIX

KEY = "key"
"""Key of the Secret that the operator makes."""
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Place:
    """A repository."""

    kind: RepositoryKind
    location: str
    """As restic takes it."""
    identity: str
    """Equal for two hubs that have the same one, whatever they call it."""
    host: str = ""
    """Whom Jobs speak to; empty for what is mounted."""
    port: int = 0
    region: str = ""
    append_only: bool = False
    secret: str = ""
    """Secret with what opens the way there."""
    secret_keys: tuple[str, ...] = ()
    ca: CaBundle | None = None
    claim: str = ""
    """PersistentVolumeClaim that is mounted at REPOSITORY."""


def _url(text: str) -> SplitResult:
    """A URL in parts. Raises ValueError where its port is none."""
    found = urlsplit(text)
    _ = found.port
    return found


def _plain(url: SplitResult) -> str:
    """Scheme, host and port, each as they compare; ports that go without saying are left out."""
    host = (url.hostname or "").lower().rstrip(".")
    shown = f"[{host}]" if ":" in host else host
    port = f":{url.port}" if url.port and url.port != _PORTS.get(url.scheme) else ""
    return f"{url.scheme}://{shown}{port}"


def _folder(url: SplitResult) -> str:
    """A URL's path as servers read it, however it is written; empty for the top."""
    return posixpath.normpath("/" + unquote(url.path).lstrip("/")).rstrip("/")


def place(repository: Repository, names: Names) -> Place:
    """The repository of a hub. Raises ValueError for a URL with a port that is none."""
    if (s3 := repository.s3) is not None:
        url = _url(s3.endpoint)
        below = f"{s3.bucket}/{s3.prefix or f'{names.namespace}/{names.name}'}"
        where = f"s3:{_plain(url)}{url.path.rstrip('/')}/{below}"
        same = f"s3:{_plain(url)}{_folder(url)}/{below}"
        secret = ("access-key-id", "secret-access-key")
        port = url.port or _PORTS[url.scheme]
        return Place(
            "s3", where, same, url.hostname or "", port, s3.region or "", False, s3.secret_ref, secret, s3.ca_bundle
        )
    if (rest := repository.rest) is not None:
        url = _url(rest.url)
        where = f"rest:{_plain(url)}{url.path.rstrip('/')}/"
        same = f"rest:{_plain(url)}{_folder(url)}"
        port = url.port or _PORTS[url.scheme]
        keys = ("username", "password") if rest.secret_ref else ()
        return Place(
            "rest", where, same, url.hostname or "", port, "", rest.append_only, rest.secret_ref or "", keys,
            rest.ca_bundle,
        )  # fmt: skip
    if (sftp := repository.sftp) is not None:
        path = clean(sftp.path) or sftp.path
        where = f"sftp:{sftp.user}@{sftp.host}:{path}"
        same = f"sftp:{sftp.host.lower().rstrip('.')}:{sftp.port}{path}"  # whoever signs in there
        keys = ("ssh-privatekey", "known_hosts")
        return Place("sftp", where, same, sftp.host, sftp.port, "", False, sftp.secret_ref, keys)
    if (nfs := repository.nfs) is not None:
        share = share_of(nfs)
        return Place("nfs", REPOSITORY, f"nfs:{share}", claim=names.repository(share))
    assert repository.claim is not None  # noqa: S101 - Repository refuses such a spec
    claim, prefix = repository.claim.name, repository.claim.prefix or ""
    where = f"{REPOSITORY}/{prefix}" if prefix else REPOSITORY
    return Place("claim", where, f"claim:{names.namespace}/{claim}/{prefix}", claim=claim)


def endpoint(repository: Repository) -> tuple[str, int]:
    """Host and port that Jobs speak to; an empty host for what is mounted, and for a URL that is none."""
    if sftp := repository.sftp:
        return sftp.host, sftp.port
    try:
        url = _url(_url_of(repository))
        return url.hostname or "", url.port or _PORTS.get(url.scheme, 0)
    except ValueError:
        return "", 0


def key_of(backup: Backup, names: Names) -> tuple[str, str]:
    """Secret and key of what encrypts the repository."""
    given = backup.key.secret_ref
    return (given.name, given.key) if given else (names.backup_key, KEY)


def _url_of(repository: Repository) -> str:
    return repository.s3.endpoint if repository.s3 else repository.rest.url if repository.rest else ""


def refusal(backup: Backup, names: Names, installation: Installation, development: bool) -> tuple[str, str]:
    """Reason and words of why backups may not be made so here; both empty where they may.

    ``development``: whether the namespace is one for development.
    """
    repository, settings = backup.repository, installation.backup
    if not settings.image:
        return "NoImage", "the installation names no image for backups: set image of the pdshub chart"
    if _url_of(repository).startswith("http://") and not development:
        return "PlainHttp", (
            "spec.backup.repository: plain http:// sends the keys of the repository's service in the clear: use "
            "https://, with caBundle for a private CA; http:// is for namespaces for development"
        )
    key, _ = key_of(backup, names)
    if not key.endswith(BACKUP_KEY_SUFFIX):
        return "KeyNotGuarded", (
            f"spec.backup.key.secretRef: Secret {key}: its name has to end with {BACKUP_KEY_SUFFIX}, by which an "
            f"admission policy keeps it from the pods of users"
        )
    try:
        where = place(repository, names)
    except ValueError as error:
        return "InvalidUrl", f"spec.backup.repository: {error}"
    if repository.nfs and (said := _share_refusal(repository.nfs.server, repository.nfs.path, installation)):
        return "NotAllowed", said
    if where.host and (said := _closed(where.host, installation)):
        return "AddressClosed", said
    return "", ""


def _share_refusal(server: str, path: str, installation: Installation) -> str:
    wanted = clean(path) or ""
    for share in installation.backup.allowed:
        if share.server.lower() == server.lower() and prefix_of(wanted, map(_directory, share.paths)) is not None:
            return ""
    return (
        f"spec.backup.repository.nfs: {path} of NFS server {server} is not allowed by this installation: add it to "
        f"backup.allowed of the pdshub chart, which is apart from {ALLOWED}, as backups are written"
    )


def _directory(path: str) -> str:
    return clean(path) or path


def literal(host: str) -> str:
    """The range of an address that a host is written as; empty for a name."""
    try:
        return str(ipaddress.ip_network(host.strip("[]")))
    except ValueError:
        return ""


def _closed(host: str, installation: Installation) -> str:
    cidr = literal(host)
    ranges = installation.backup.ranges
    if not cidr or not (met := network_rules.closed_by(cidr, installation.private_ranges, ranges)):
        return ""
    return (
        f"spec.backup.repository: {host} meets {met}, which is closed to hubs: add its range to backup.ranges of the "
        f"pdshub chart, or name a public address"
    )
