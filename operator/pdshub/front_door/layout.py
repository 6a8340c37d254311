"""Where the files lie on Debian and Ubuntu. Their packages read most of these folders."""

from __future__ import annotations

from dataclasses import dataclass

from pdshub.front_door.site import Certificates, HubSite, Machine, OtherSite


@dataclass(frozen=True)
class File:
    """A file to place unchanged: path, text, and mode. All belong to root."""

    path: str
    text: str
    mode: int = 0o644


@dataclass(frozen=True)
class Layout:
    """Paths for a machine."""

    machine: Machine

    def at(self, path: str) -> str:
        """A path of ours, below the machine's root."""
        return f"{self.machine.root}{path}"

    @property
    def pages(self) -> str:
        """Folder of the pages that Apache answers with by itself."""
        return self.at("/var/www/pdshub-door")

    @property
    def challenges(self) -> str:
        """Folder into which certbot writes answers for the authority (HTTP-01)."""
        return self.at("/var/lib/pdshub-door/acme")

    @property
    def stamp(self) -> str:
        """File that is there between a renewal by certbot and the reload."""
        return self.at("/run/pdshub-door-renewed")

    @property
    def md_store(self) -> str:
        """Where mod_md keeps keys and certificates."""
        return self.at("/var/lib/pdshub-door/md")

    @property
    def dns_key(self) -> str:
        """TSIG key for dynamic updates; nobody renders it."""
        return self.at("/etc/pdshub-door/rfc2136.key")

    def logs(self, name: str) -> str:
        """Log file of a site."""
        return self.at(f"/var/log/apache2/{name}.log")

    def certificate(self, site: HubSite | OtherSite) -> tuple[str, str]:
        """Certificate with its chain, and key, of a site."""
        where = "/etc/letsencrypt/live" if self.machine.certificates is Certificates.CERTBOT else "/etc/pdshub-door"
        return self.at(f"{where}/{site.name}/fullchain.pem"), self.at(f"{where}/{site.name}/privkey.pem")
