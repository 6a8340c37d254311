"""Is a source the right one? Beside the mount's probe (does it answer, which directories are there) this asks for
the file system's identity and for the marker file, in a process that can be killed."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from pdshub import rfc3339
from pdshub.files import read_json, write_json
from pdshub.node.mount import worker
from pdshub.node.spec import Source

log = logging.getLogger(__name__)

EVERY = 30.0
"""Seconds between two looks at a source that is right; one that is wrong is looked at whenever it is probed."""
TIMEOUT = 8.0


class IdentityCheck:
    """Looks after one source. `look` answers why the source must not be used, or an empty text."""

    def __init__(self, source: Source, folder: Path) -> None:
        """`folder`: where the identity is remembered over restarts, in a file by the source's digest."""
        self.source = source
        self.identity = ""
        self.changed = ""
        """When another file system appeared in the source's place (RFC 3339); empty if none has."""
        self.changes = 0
        self.seconds = 0.0
        self._note = folder / f"{source.digest}.json"
        self._flight = worker.SingleFlight("pdshub.node.source.identity_main")
        self._wrong = ""
        self._next = 0.0
        self._layers: dict[str, str | None] | None = None
        kept = read_json(self._note) or {}
        self.identity, self.changed = str(kept.get("identity", "")), str(kept.get("changed", ""))

    async def look(self, point: str, layers: dict[str, str | None]) -> str:
        """`layers`: the mount's, as it has just found them: if they differ, it looks before they are used.

        Raises OSError, TimeoutError.
        """
        if layers == self._layers and not self._wrong and time.monotonic() < self._next:
            return ""
        source = self.source
        found = await self._flight.once(
            "source", TIMEOUT, point=point, marker=list(source.marker) if source.marker else None,
            run_as=list(source.run_as),
        )  # fmt: skip
        self.seconds = float(found["seconds"])
        self._next = time.monotonic() + EVERY
        self._wrong = f"{source.device_name} is not the right export: {found['wrong']}" if found["wrong"] else ""
        if not self._wrong:
            self._layers = layers
            self._compare(str(found["identity"]))
        return self._wrong

    def _compare(self, identity: str) -> None:
        """Remember which file system it is, over restarts too: another one is news, though it may be meant so."""
        if identity == self.identity:
            return
        if self.identity:
            self.changed, self.changes = rfc3339.now(), self.changes + 1
            log.warning("source %s: another file system than before (%s, was %s)",
                        self.source.device_name, identity, self.identity)  # fmt: skip
        self.identity = identity
        try:
            self._note.parent.mkdir(parents=True, exist_ok=True)
            # not forced to the disk: what is lost costs one comparison
            write_json(self._note, {"identity": identity, "changed": self.changed}, durable=False)
        except OSError as error:
            log.warning("%s: %s", self._note, error)
