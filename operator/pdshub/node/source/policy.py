"""What this installation lets the node mount: decided by whoever installs PDSHub, not by views.

Source: `archive` of /etc/pdshub/installation/installation.yaml (the Helm value `archive.*` of charts/pdshub).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdshub.mount_rules import LOCAL_PREFIXES, SERVERS, prefix_of, refusing_setting
from pdshub.node.spec import Source


@dataclass(frozen=True)
class Policy:
    """Without a rule nothing may be mounted."""

    servers: tuple[str, ...] = ()
    local_prefixes: tuple[str, ...] = ()

    @classmethod
    def parse(cls, document: Any) -> Policy:
        """The policy of an installation file's content; without `archive` nothing is allowed.

        Raises AttributeError or TypeError for what is no installation file.
        """
        archive = (document or {}).get("archive") or {}
        return cls(
            tuple(str(item) for item in archive.get("allowedServers") or ()),
            tuple(str(item) for item in archive.get("allowedLocalPrefixes") or ()),
        )

    def prefix_for(self, path: str) -> str | None:
        """The allowed prefix that `path` lies in; links are looked at when the path is opened."""
        return prefix_of(path, self.local_prefixes)

    def refusal(self, source: Source) -> str:
        """Why the source may not be mounted; empty if it may."""
        setting = refusing_setting(
            server=source.server, local=source.local, servers=self.servers, local_prefixes=self.local_prefixes
        )
        if setting == LOCAL_PREFIXES:
            known = ", ".join(self.local_prefixes) or "none set"
            return f"local path {source.local} is in none of the installation's {setting} ({known})"
        if setting == SERVERS:
            known = ", ".join(self.servers) or "none set"
            return f"NFS server {source.server} is not among the installation's {setting} ({known})"
        return ""


class PolicyFile:
    """The policy in a file that may change while running (a ConfigMap); a broken file refuses everything."""

    def __init__(self, path: Path) -> None:
        """`path`: the file, which need not exist yet."""
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._policy = Policy()

    def current(self) -> Policy:
        """The policy of now. Without a file, or with a broken one, nothing is allowed."""
        try:
            stat = self._path.stat()
        except OSError:
            return Policy()
        if (stat.st_mtime_ns, stat.st_ino) != self._seen:
            import yaml

            try:
                self._policy = Policy.parse(yaml.safe_load(self._path.read_text()))
            except (yaml.YAMLError, AttributeError, TypeError, OSError):
                self._policy = Policy()
            self._seen = (stat.st_mtime_ns, stat.st_ino)
        return self._policy
