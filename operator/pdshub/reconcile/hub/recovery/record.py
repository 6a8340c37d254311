"""What is remembered of a recovery: a ConfigMap of the hub's namespace, by which an operator that begins anew goes on.

It says what was chosen and what each Job did. Whether something is back says the world: the mark of a claim
(RECOVERING), the Secret of the keys. Pure.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, ValidationError

from pdshub.api.base import StatusModel
from pdshub.kube import Object
from pdshub.reconcile.hub.people.document import config_map
from pdshub.render.backup_request import DATABASE, KEYS, user_of
from pdshub.render.names import Names

FILE = "recovery.json.gz"
LARGEST = 16 << 20
"""Bytes of what is unpacked."""
PLAN = "plan"
"""The row of the choice itself."""
Phase = Literal["Pending", "Running", "Completed", "Failed", "Missing", "Kept"]
"""Missing: the backup has nothing of it. Kept: it was here already, and was left as it is."""
UNFINISHED = ("Pending", "Running")


class Row(StatusModel):
    """One item, and the Job that is about it."""

    item: str
    claim: str = ""
    snapshot: str = ""
    taken_at: str = ""
    size_bytes: int = 0
    files: int = 0
    phase: Phase = "Pending"
    there: bool = False
    """Whether its claim was made."""
    job: str = ""
    attempt: int = 0
    """Of the newest Job; each has a name of its own."""
    interrupted: int = 0
    """Jobs that were interrupted one after the other."""
    not_before: str = ""
    """When it is tried again, RFC 3339."""
    reason: str = ""
    message: str = Field(default="", max_length=512)

    @property
    def unfinished(self) -> bool:
        """Whether it is still to be done."""
        return self.phase in UNFINISHED

    @property
    def user(self) -> str:
        """Whose home it is; empty for another item."""
        return user_of(self.item)


class Record(StatusModel):
    """The memory of a recovery."""

    started: str
    ended: str = ""
    again: str = ""
    """The wish to try again that was fulfilled last."""
    plan: Row = Row(item=PLAN)
    after: str = ""
    """The last item that was listed."""
    listed: bool = False
    rows: list[Row] = Field(default_factory=list)

    def row(self, item: str) -> Row:
        """The row of an item; one that is Missing where there is none."""
        if item == PLAN:
            return self.plan
        return next((row for row in self.rows if row.item == item), Row(item=item, phase="Missing"))

    def with_row(self, new: Row) -> Record:
        """The same with another row of an item."""
        if new.item == PLAN:
            return self.model_copy(update={"plan": new})
        return self.model_copy(update={"rows": [new if row.item == new.item else row for row in self.rows]})

    @property
    def homes(self) -> Iterator[Row]:
        """Rows of homes."""
        return (row for row in self.rows if row.user)

    @property
    def hub_rows(self) -> list[Row]:
        """Database and keys: without them there is no hub."""
        return [self.row(DATABASE), self.row(KEYS)]

    @property
    def jobs(self) -> set[str]:
        """Jobs that somebody waits for."""
        return {row.job for row in (self.plan, *self.rows) if row.job}


def read(found: Object | None) -> Record | None:
    """What is remembered; None where nothing can be read: it is chosen anew then."""
    packed = ((found or {}).get("binaryData") or {}).get(FILE)
    try:
        unpacked = zlib.decompressobj(31).decompress(base64.b64decode(packed or ""), LARGEST)
        return Record.model_validate_json(unpacked)
    except (binascii.Error, zlib.error, TypeError, ValueError, ValidationError, RecursionError):
        return None


def written(names: Names, uid: str, record: Record) -> dict[str, Any]:
    """The ConfigMap. ``uid`` is the PDSHub's: it goes with it. 10,000 homes fit (some 60 bytes each, packed)."""
    text = json.dumps(record.model_dump(mode="json", by_alias=True, exclude_defaults=True), separators=(",", ":"))
    packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    return {**config_map(names, uid, names.recovery), "binaryData": {FILE: packed}}
