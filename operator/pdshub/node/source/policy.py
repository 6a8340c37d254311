"""What this installation lets the node mount: decided by whoever installs PDSHub, not by views.

Source: `archive` of /etc/pdshub/installation/installation.yaml (the Helm value `archive.*` of charts/pdshub).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pdshub import bucket_rules
from pdshub.mount_rules import Identity, MountRules, prefix_of
from pdshub.node.spec import Source

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Policy:
    """Without a rule nothing may be mounted."""

    rules: MountRules = field(default_factory=MountRules)

    @classmethod
    def parse(cls, document: Any) -> Policy:
        """The policy of an installation file's content; without `archive` nothing is allowed.

        Raises AttributeError, TypeError or ValueError for what is no installation file.
        """
        return cls(MountRules.parse((document or {}).get("archive") or {}))

    @property
    def default_run_as(self) -> Identity:
        """Who reads a source whose view names nobody."""
        return self.rules.default

    def prefix_for(self, path: str) -> str | None:
        """The allowed prefix that `path` lies in; links are looked at when the path is opened."""
        return prefix_of(path, self.rules.local_prefixes)

    def refusal(self, source: Source) -> str:
        """Why the source may not be mounted; empty if it may."""
        if s3 := source.s3:
            ca = s3.ca_bundle.secret.name if s3.ca_bundle and s3.ca_bundle.secret else ""
            return bucket_rules.refusal(
                self.rules.buckets, endpoint=s3.endpoint, bucket=s3.bucket, prefix=s3.prefix or "",
                secret=s3.secret_ref or "", ca_secret=ca,
            )  # fmt: skip
        return self.rules.refusal(server=source.server, export=source.export, local=source.local, run_as=source.run_as)

    def read_by_users(self, source: Source) -> bool:
        """Whether users' own processes may read an NFS export as themselves."""
        return source.nfs and self.rules.read_by_users(server=source.server, export=source.export)


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
            except (yaml.YAMLError, AttributeError, TypeError, ValueError, OSError) as error:
                log.warning("%s: nothing may be mounted: %s", self._path, error)
                self._policy = Policy()
            self._seen = (stat.st_mtime_ns, stat.st_ino)
        return self._policy
