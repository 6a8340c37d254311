"""What can hinder the start of a server, in words for whoever started it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What hinders a start."""

    QUOTA = "Quota"
    HOMES_FULL = "HomesFull"
    NO_ROOM = "NoRoom"
    UNSCHEDULABLE = "Unschedulable"
    HOME_PENDING = "HomePending"
    HOME_AWAY = "HomeAway"
    HOME_BUSY = "HomeBusy"
    HOME_RETURNS = "HomeReturns"
    HOME_NOT_MOUNTED = "HomeNotMounted"
    ARCHIVE_NOT_MOUNTED = "ArchiveNotMounted"
    IMAGE = "Image"
    MEMORY = "Memory"
    EVICTED = "Evicted"
    CRASHED = "Crashed"
    CONTAINER = "Container"
    NODE = "Node"
    REFUSED = "Refused"
    DELETED = "Deleted"
    SILENT = "Silent"
    SLOW = "Slow"
    KUBERNETES = "Kubernetes"
    UNKNOWN = "Unknown"


_LATER = "Try again in a few minutes."
_ADMINS = "The hub's administrators have to see to this; nothing that you do here helps."
WORDS: Mapping[Kind, tuple[str, str]] = {
    Kind.QUOTA: (
        "All that servers of this hub may use together is in use.",
        "Choose a smaller server, stop one that you no longer need, or try again when others have stopped theirs.",
    ),
    Kind.HOMES_FULL: ("There is no room for another home.", _ADMINS),
    Kind.NO_ROOM: (
        "No computer of the cluster has as much free as this server asks for.",
        "Choose a smaller server where there is a choice, or try again in a few minutes.",
    ),
    Kind.UNSCHEDULABLE: ("No computer of the cluster takes this server.", _ADMINS),
    Kind.HOME_PENDING: (
        "Your home, the volume with your files, is not there yet.",
        f"{_LATER} If it lasts, its storage has a fault.",
    ),
    Kind.HOME_AWAY: (
        "The computer on which your home lies takes no servers at the moment.",
        "Your files are safe. Try again later, or ask the hub's administrators when it is back.",
    ),
    Kind.HOME_BUSY: (
        "Your home is still in use by a server that is ending.",
        "Wait a minute and start again. Your files are safe.",
    ),
    Kind.HOME_RETURNS: (
        "Your home, the volume with your files, is being brought back from the backup.",
        f"{_LATER} Your server starts as soon as all of your files are there.",
    ),
    Kind.HOME_NOT_MOUNTED: (
        "Your home, the volume with your files, could not be mounted.",
        f"{_LATER} If it lasts, its storage has a fault.",
    ),
    Kind.ARCHIVE_NOT_MOUNTED: (
        "The archive could not be mounted.",
        f"{_LATER} Your home is not affected.",
    ),
    Kind.IMAGE: (
        "The software of this server, its container image, could not be fetched.",
        "Choose another kind of server where there is a choice. Otherwise the administrators have to see to it.",
    ),
    Kind.MEMORY: (
        "The server needed more memory than it may have, and was ended.",
        "Choose a server with more memory where there is a choice.",
    ),
    Kind.EVICTED: (
        "The computer on which the server started ran short and ended it.",
        f"{_LATER} Files that you need belong into your home, not into /tmp.",
    ),
    Kind.CRASHED: (
        "The server's program ended right after it began.",
        "Start again. If you have just installed or configured something in your home, that may be why.",
    ),
    Kind.CONTAINER: ("The server's container could not be made.", _ADMINS),
    Kind.NODE: ("The computer that was to run the server has a fault.", _LATER),
    Kind.REFUSED: ("Kubernetes refused to make the server.", _ADMINS),
    Kind.DELETED: ("The server was taken away while it started.", "Start again."),
    Kind.SILENT: (
        "The server runs, but does not answer.",
        "Start again. If you have just installed or configured something in your home, that may be why.",
    ),
    Kind.SLOW: ("The server did not start in time.", _LATER),
    Kind.KUBERNETES: ("The hub does not reach Kubernetes, which starts servers.", _LATER),
    Kind.UNKNOWN: ("The server could not be started.", _LATER),
}
"""Kind -> what happened, and what to do."""


@dataclass(frozen=True)
class Trouble:
    """Why a start failed. ``detail``: Kubernetes' own words, for whoever has to see to it."""

    kind: Kind
    detail: str = ""

    @property
    def why(self) -> str:
        """A sentence that says what happened."""
        return WORDS[self.kind][0]

    @property
    def todo(self) -> str:
        """What to do about it."""
        return WORDS[self.kind][1]

    @property
    def text(self) -> str:
        """All of it in one line, for the API and for the log."""
        return " ".join(part for part in (self.why, self.todo, self.detail and f"({self.detail})") if part)


def logged(user: str, trouble: Trouble) -> str:
    """The line of the hub's log about a start that failed; an administrator reads it there, and ``found`` does."""
    return f"the server of {user} did not start: {trouble.kind}: {trouble.text}"


_LOGGED = re.compile(
    r"\[E (?P<at>[\d-]{10} [\d:]{8})[\d.,]* JupyterHub [^\]\[]{1,80}\] "
    r"the server of (?P<user>\S{1,254}) did not start: (?P<kind>[A-Za-z]{1,40}): (?P<text>.*)"
)
"""JupyterHub's log format (jupyterhub.log.CoroutineLogFormatter): level, time of the hub's clock, name, place."""


def found(line: str) -> tuple[str, str, Trouble] | None:
    """(time, user, trouble) of a line of the hub's log; None where it is another line, or speaks of no known kind.

    The line has to begin so: what a program or a person wrote stands behind the prefix of the hub's own.
    """
    match = _LOGGED.match(line)
    if match is None or match["kind"] not in set(Kind):
        return None
    kind, text = Kind(match["kind"]), match["text"]
    detail = text.removeprefix(Trouble(kind).text).strip()
    return match["at"], match["user"], Trouble(kind, detail.removeprefix("(").removesuffix(")"))
