"""What a move of a home remembers, in an annotation of the home's former volume. Pure.

Claims are deleted and made again on the way; volumes stay, and nobody writes them who rules a hub's namespace only. So
what is done next follows from what is found and from this, whoever was killed, and no claim names a stranger's volume.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pdshub.wellknown import GROUP

Json = Mapping[str, Any]
MOVE = f"{GROUP}/move"
"""Label of volumes and claims of a move, with its id; annotation of the former volume, with the record."""
MOVED_OF = f"{GROUP}/moved-home-of"
"""Annotation of the two claims beside the home's: whose home it is a copy of, or was."""
LARGEST = 200_000
"""Bytes. Source: Kubernetes, validation of objects: annotations have 256 KiB at most, together."""
_SERVERS = ("pv.kubernetes.io/", "volume.kubernetes.io/", "volume.beta.kubernetes.io/", "kubectl.kubernetes.io/")
"""How annotations of a claim begin that say something of its binding or its writing: the next claim gets its own."""


@dataclass(frozen=True)
class Record:
    """A move. ``former`` and ``next``: volumes; next is empty until all of the home is in it."""

    namespace: str
    hub: str
    user: str
    claim: str
    former: str
    size: str
    storage_class: str
    fenced: bool
    """Whether the move keeps the user out, and so lets them in again."""
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    modes: tuple[str, ...]
    take_over: bool = False
    next: str = ""
    digest: str = ""
    back: bool = False
    """Whether the former volume shall be the home again."""
    done: bool = False

    @property
    def id(self) -> str:
        """What the objects of the move are called by."""
        return move_id(self.namespace, self.hub, self.user)

    @property
    def copy(self) -> str:
        """The claim into which is copied."""
        return f"move-{self.id}"

    @property
    def kept(self) -> str:
        """The claim of the volume that is the home no more."""
        return f"before-move-{self.id}"

    @property
    def pod(self) -> str:
        """The pod that copies. There is one of that name only, and so one that copies."""
        return f"pdshub-move-{self.id}"

    @property
    def home_volume(self) -> str:
        """Which volume shall be the home in the end."""
        return self.former if self.back else self.next

    @property
    def kept_volume(self) -> str:
        """Which is kept beside it."""
        return self.next if self.back else self.former

    def text(self) -> str:
        """As it is written down. Raises ValueError where it is too much."""
        written = json.dumps({"version": 1, **asdict(self)}, sort_keys=True)
        if len(written) > LARGEST:
            raise ValueError("labels and annotations of the home's claim are too large to be remembered")
        return written


def move_id(namespace: str, hub: str, user: str) -> str:
    """One word for whose home of which hub it is."""
    return hashlib.sha256(f"{namespace}/{hub}/{user}".encode()).hexdigest()[:16]


def kept_annotations(found: Mapping[str, Any]) -> dict[str, str]:
    """The annotations of a claim that the next claim of that name shall have."""
    return {str(name): str(value) for name, value in found.items() if not str(name).startswith(_SERVERS)}


def read(volume: Json) -> Record | None:
    """The record that a volume carries; None where it carries none, or what is none."""
    meta = volume.get("metadata") or {}
    text = (meta.get("annotations") or {}).get(MOVE)
    if not isinstance(text, str) or len(text) > LARGEST:
        return None
    try:
        found = json.loads(text)
        version = found.pop("version")
        record = Record(**{**found, "modes": tuple(found["modes"])})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    texts = (record.namespace, record.hub, record.user, record.claim, record.former, record.size, record.storage_class,
             record.next, record.digest)  # fmt: skip
    good = version == 1 and all(isinstance(text, str) for text in texts) and record.former == meta.get("name")
    return record if good and isinstance(record.labels, dict) and isinstance(record.annotations, dict) else None
