"""A question about earlier versions of files, whether it may be asked, and in which words it is refused. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

LONGEST = 512
"""Characters of a path: as many as a HubRestore takes."""
HOMES = ("/home/jovyan/", "~/")
"""How a home is written inside of a server."""


class What(StrEnum):
    """What is asked for. The values are an interface: the operator reads them."""

    LIST = "list"
    BROWSE = "browse"
    RESTORE = "restore"


@dataclass(frozen=True)
class Ask:
    """A question. ``user`` is who was signed in, and comes from nowhere else."""

    id: str
    number: int
    """Grows with each question of this run of the hub."""
    user: str
    what: What
    version: str = ""
    """As the page names it: the snapshot, or a day."""
    snapshot: str = ""
    as_of: str = ""
    """RFC 3339; the newest snapshot not after it, where no snapshot is named."""
    path: str = "."

    def wire(self) -> dict[str, str | int]:
        """As the operator gets it."""
        return {
            "id": self.id, "number": self.number, "user": self.user, "what": self.what.value,
            "snapshot": self.snapshot, "asOf": self.as_of, "path": self.path,
        }  # fmt: skip

    @property
    def words(self) -> str:
        """What is being waited for."""
        return {
            What.LIST: "The list of earlier versions is being made.",
            What.BROWSE: "The backup is being looked into. This takes some seconds.",
            What.RESTORE: "It is being brought back. You can go on working meanwhile.",
        }[self.what]


class Why(StrEnum):
    """Why a question is refused, or was given up."""

    AWAY = "away"
    BUSY = "busy"
    CROWDED = "crowded"
    TOO_OFTEN = "too-often"
    NOT_FOUND = "not-found"
    BAD_PATH = "bad-path"
    BAD_VERSION = "bad-version"
    UNANSWERED = "unanswered"

    @property
    def words(self) -> str:
        """The same for whoever asked."""
        return _WORDS[self][1]

    @property
    def status(self) -> HTTPStatus:
        """Of the answer to the request."""
        return _WORDS[self][0]


_WORDS = {
    Why.AWAY: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "This hub keeps no earlier versions, or they cannot be reached at present.",
    ),
    Why.BUSY: (HTTPStatus.CONFLICT, "What you asked for before is still being done. Wait until it is."),
    Why.CROWDED: (HTTPStatus.SERVICE_UNAVAILABLE, "Many people ask at the moment. Try again in a few minutes."),
    Why.TOO_OFTEN: (HTTPStatus.TOO_MANY_REQUESTS, "You have asked often within the last hour. Try again later."),
    Why.NOT_FOUND: (HTTPStatus.NOT_FOUND, "There is no such earlier version of your files."),
    Why.BAD_PATH: (
        HTTPStatus.BAD_REQUEST,
        "That is no path in your home: write it as the file browser shows it, for example notebooks/x.ipynb.",
    ),
    Why.BAD_VERSION: (HTTPStatus.BAD_REQUEST, "That is no day: write it as 2026-01-31."),
    Why.UNANSWERED: (HTTPStatus.GATEWAY_TIMEOUT, "There was no answer. Try again in a few minutes."),
}


class Refused(Exception):
    """A question that is not asked."""

    def __init__(self, why: Why) -> None:
        super().__init__(why.words)
        self.why = why


@dataclass(frozen=True)
class Said:
    """Words about a question. ``good``: whether they are of something that goes well."""

    good: bool
    text: str
    reason: str = ""


def beneath(written: str) -> str:
    """A path below the home from what somebody wrote, also one as servers show it; '.' is all of it. Raises Refused.

    Nothing of it can lead out of the home: no part is empty or ``..``, none holds a control character. The operator
    and the Job that reads the backup look for themselves.
    """
    path = next((written.removeprefix(home) for home in HOMES if written.startswith(home)), written)
    if path in ("", "~", "/home/jovyan", "/home/jovyan/"):
        return "."
    path = path.removeprefix("./").rstrip("/") if path != "/" else path
    parts = path.split("/")
    if len(path) > LONGEST or any(part in ("", "..") for part in parts):
        raise Refused(Why.BAD_PATH)
    if any(ord(character) < 32 or 127 <= ord(character) < 160 for character in path):
        raise Refused(Why.BAD_PATH)
    return "/".join(part for part in parts if part != ".") or "."


def below(folder: str, name: str) -> str:
    """The path of something in a folder."""
    return name if folder == "." else f"{folder}/{name}"


def crumbs(path: str) -> list[tuple[str, str]]:
    """Name and path of each folder on the way to a path, the home first."""
    parts = [] if path == "." else path.split("/")
    return [("your home", "."), *((part, "/".join(parts[: n + 1])) for n, part in enumerate(parts))]
