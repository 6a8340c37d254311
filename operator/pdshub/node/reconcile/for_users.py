"""Words for users about sources: by the names that a view gives them, never by server, export, path on a node or id.

Made of what is known, not of messages: those of the kernel and of NFS name anything. Whoever may read a view's status
finds all of it there. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from pdshub.node.source.source_mount import Lack, State

REFUSED_VIEW = "the archive's description is refused on this machine"
UNMOUNTABLE = "it could not be mounted"
FAILED = "looking after it failed on this machine"
_LACKS: Mapping[Lack, str] = {
    Lack.REFUSED: "is not allowed by this installation",
    Lack.SILENT: "does not answer",
    Lack.WRONG: "is not the right export",
    Lack.UNREACHED: "is not reached",
}


def source_state(state: State) -> str:
    """How a source is reached, in words; empty where it is ready."""
    if state.ready:
        return ""
    if state.pending or state == State():
        return "is being connected"
    return _LACKS[Lack.SILENT if state.away else state.lack]


def source_words(name: str, state: State) -> str:
    """The same with the source's name, as a sentence of its own."""
    said = source_state(state)
    return f"source {name} {said}" if said else ""


def no_directory(name: str, path: str) -> str:
    """A layer that is not there."""
    return f"source {name} has no directory {path}"
