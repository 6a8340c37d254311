"""Names of volumes and checkpoints: digests, so that nothing from outside becomes a path, an option or an LV's name."""

from __future__ import annotations

import hashlib
import re

_VOLUME = re.compile(r"[0-9a-f]{32}")
_CHECKPOINT = re.compile(r"[0-9a-f]{32}-[0-9a-f]{16}")
_LABEL = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,62}")


def _digest(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:digits]


def volume_id(name: str) -> str:
    """The id of the volume that somebody calls ``name``: the same name always gives the same volume."""
    return _digest(name, 32)


def checkpoint_mark(name: str) -> str:
    """What ids of checkpoints called ``name`` end with, whatever volume they are of."""
    return _digest(name, 16)


def checkpoint_id(volume: str, name: str) -> str:
    """The id of the checkpoint of a volume (its id) that is called ``name``."""
    return f"{volume}-{checkpoint_mark(name)}"


def is_volume(text: str) -> bool:
    """Whether a text from outside can be the id of a volume."""
    return _VOLUME.fullmatch(text) is not None


def is_checkpoint(text: str) -> bool:
    """Whether a text from outside can be the id of a checkpoint."""
    return _CHECKPOINT.fullmatch(text) is not None


def volume_of(checkpoint: str) -> str:
    """The id of the volume that a checkpoint (its id) is of."""
    return checkpoint.partition("-")[0]


def label(name: str) -> str:
    """The name as people may see it beside the id; empty where it has signs that no name of Kubernetes has."""
    return name if _LABEL.fullmatch(name) else ""
