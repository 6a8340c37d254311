"""Files by which the node plugin asks the user-space NFS helper for a source, and the helper answers.

helper/<digest>.json is the request, helper/<digest>.status the answer, helper/alive is touched by a living
helper every two seconds. All are written whole (rename).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdshub.files import read_json, write_json
from pdshub.node.layout import Layout

if TYPE_CHECKING:  # the helper has a process for each source: none of them carries the API's models
    from pdshub.node.spec import Source

DEFAULT_REGION = "us-east-1"
"""What a region is called where the view names none (pdshub.s3.bucket)."""
ALIVE_SECONDS = 15.0
FUSE_TYPE = "fuse.pdshub-nfs"
"""What the mount table calls a mount of the helper."""
S3_TYPE = "fuse.pdshub-s3"
"""And one that rclone serves."""
FUSE_TYPES = (FUSE_TYPE, S3_TYPE)


def write(path: Path, document: dict[str, Any]) -> None:
    """Both sides begin anew with the machine: nothing is forced to the disk. Raises OSError."""
    write_json(path, document, durable=False)


def request(source: Source, layout: Layout) -> dict[str, Any]:
    """The request for a source, as the helper reads it. Keys are not in it: it says where they are."""
    if s3 := source.s3:
        return {
            "digest": source.digest,
            "s3": {
                "url": s3.url,
                "bucket": s3.bucket,
                "prefix": s3.prefix or "",
                "region": s3.region or DEFAULT_REGION,
                "inPath": s3.in_path,
                "amazon": s3.amazon,
                "secret": s3.secret_ref or "",
                "authority": s3.ca_bundle is not None,
            },
            "keys": str(layout.keys_of(source.digest)),
            "version": version(layout.keys_of(source.digest)),
            "device": source.device_name,
            "point": str(layout.source(source.digest)),
        }
    return {
        "digest": source.digest,
        "server": source.server,
        "export": source.export,
        "port": source.port,
        "runAs": list(source.run_as),
        "device": source.device_name,
        "point": str(layout.source(source.digest)),
    }


def version(folder: Path) -> int:
    """When a source's keys were written: with others the source is mounted anew. It tells nothing of them."""
    try:
        return (folder / "written").stat().st_mtime_ns
    except OSError:
        return 0


class HelperRequests:
    """The plugin's side."""

    def __init__(self, layout: Layout) -> None:
        """`layout`: where the files are."""
        self._layout = layout

    def ask(self, source: Source) -> None:
        """Ask for the source, unless that is asked for already. Raises OSError."""
        path, wanted = self._layout.helper / f"{source.digest}.json", request(source, self._layout)
        if read_json(path) != wanted:
            write(path, wanted)

    def answer(self, source: Source) -> str:
        """Why the source is not mounted yet."""
        try:
            age = time.time() - (self._layout.helper / "alive").stat().st_mtime
        except OSError:
            age = ALIVE_SECONDS + 1
        if age > ALIVE_SECONDS:
            helper = "the user-space helper (DaemonSet pdshub-nfs-helper)"
            if source.s3:
                return f"{source.device_name} is read by {helper}, which does not run on this node"
            return f"this kernel has no NFS client, and {helper} does not run on this node"
        status = read_json(self._layout.helper / f"{source.digest}.status") or {}
        return str(status.get("message") or f"the user-space helper is connecting to {source.device_name}")

    def tried(self, source: Source) -> bool:
        """Whether the helper has tried to mount the source and could not."""
        status = read_json(self._layout.helper / f"{source.digest}.status") or {}
        return status.get("ready") is False

    def forget(self, source_digest: str) -> None:
        """Take back the request; the helper then unmounts the source."""
        for suffix in ("json", "status"):
            (self._layout.helper / f"{source_digest}.{suffix}").unlink(missing_ok=True)
