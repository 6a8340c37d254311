"""HubBackups and HubRestores as their objects say it. Pure; nothing in a status is trusted to be what it should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

Json = Mapping[str, Any]
COMPLETED, PARTIAL, FAILED = "Completed", "PartiallyCompleted", "Failed"
ENDED = (COMPLETED, PARTIAL, FAILED)
PENDING, RUNNING = "Pending", "Running"
HOME = "home/"
"""What the item of a home begins with; the user's name follows."""
MOST_ITEMS, LONGEST = 20_000, 1024


@dataclass(frozen=True)
class Item:
    """One item of a run: a home, the database, the keys, the objects."""

    item: str
    phase: str = PENDING
    snapshot: str = ""
    how: str = ""
    size_bytes: int = 0
    files: int = 0
    added_bytes: int = 0
    seconds: float = 0.0
    unread_count: int = 0
    unread: tuple[tuple[str, str], ...] = ()
    """Path and why, the first of them."""
    message: str = ""

    @property
    def user(self) -> str:
        """Whose home it is; "" for what is no home."""
        return self.item.removeprefix(HOME) if self.item.startswith(HOME) else ""

    @property
    def saved(self) -> bool:
        """Whether there is a snapshot of it."""
        return self.phase in (COMPLETED, PARTIAL) and bool(self.snapshot)


@dataclass(frozen=True)
class Run:
    """One HubBackup."""

    namespace: str
    name: str
    hub: str
    trigger: str
    keep: bool
    users: tuple[str, ...]
    created: str
    phase: str
    message: str
    started: str
    ended: str
    seconds: int
    snapshots: int
    size_bytes: int
    added_bytes: int
    files: int
    items: tuple[Item, ...]

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.phase in ENDED

    @property
    def at(self) -> str:
        """When it began; before that, when it was asked for."""
        return self.started or self.created

    def item(self, name: str) -> Item | None:
        """One of its items."""
        return next((item for item in self.items if item.item == name), None)

    def wire(self) -> dict[str, Any]:
        """The same for programs, with the names of the API. Keys are always the same."""
        return dict(_camel(asdict(self)))


@dataclass(frozen=True)
class Restored:
    """One HubRestore."""

    namespace: str
    name: str
    hub: str
    user: str
    path: str
    in_place: bool
    phase: str
    message: str
    snapshot: str
    taken_at: str
    place: str
    replaced: str
    files: int
    size_bytes: int

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.phase in ENDED

    @property
    def where(self) -> str:
        """Path in the home of what was restored: what goes beside lies in a folder, under its name."""
        whole = self.in_place or self.path == "." or not self.place
        return self.place if whole else f"{self.place}/{self.path.rpartition('/')[2]}"

    @property
    def before(self) -> str:
        """Path in the home of what was there before: in a folder, under the path that it had."""
        return self.replaced if self.path == "." or not self.replaced else f"{self.replaced}/{self.path}"

    def wire(self) -> dict[str, Any]:
        """The same for programs, with the names of the API. Keys are always the same."""
        return dict(_camel({**asdict(self), "where": self.where, "before": self.before}))


def run(found: Json) -> Run:
    """What a HubBackup says."""
    meta, spec, status = (_object(found.get(key)) for key in ("metadata", "spec", "status"))
    return Run(
        namespace=text(meta, "namespace"),
        name=text(meta, "name"),
        hub=text(spec, "hub"),
        trigger=text(spec, "trigger") or "Manual",
        keep=spec.get("keep") is True,
        users=tuple(user for user in _list(spec.get("users")) if isinstance(user, str)),
        created=text(meta, "creationTimestamp"),
        phase=text(status, "phase") or PENDING,
        message=text(status, "message"),
        started=text(status, "started"),
        ended=text(status, "ended"),
        seconds=number(status, "seconds"),
        snapshots=number(status, "snapshots"),
        size_bytes=number(status, "sizeBytes"),
        added_bytes=number(status, "addedBytes"),
        files=number(status, "files"),
        items=tuple(_item(item) for item in _list(status.get("items"))[:MOST_ITEMS] if text(_object(item), "item")),
    )


def _item(found: Any) -> Item:
    item = _object(found)
    unread = [_object(each) for each in _list(item.get("unread"))]
    return Item(
        item=text(item, "item"),
        phase=text(item, "phase") or PENDING,
        snapshot=text(item, "snapshot"),
        how=text(item, "how"),
        size_bytes=number(item, "sizeBytes"),
        files=number(item, "files"),
        added_bytes=number(item, "addedBytes"),
        seconds=_seconds(item.get("seconds")),
        unread_count=number(item, "unreadCount"),
        unread=tuple((text(each, "path"), text(each, "why")) for each in unread),
        message=text(item, "message"),
    )


def restored(found: Json) -> Restored:
    """What a HubRestore says."""
    meta, spec, status = (_object(found.get(key)) for key in ("metadata", "spec", "status"))
    return Restored(
        namespace=text(meta, "namespace"),
        name=text(meta, "name"),
        hub=text(spec, "hub"),
        user=text(spec, "user"),
        path=text(spec, "path") or ".",
        in_place=spec.get("inPlace") is True,
        phase=text(status, "phase") or PENDING,
        message=text(status, "message"),
        snapshot=text(status, "snapshot"),
        taken_at=text(status, "takenAt"),
        place=text(status, "place"),
        replaced=text(status, "replaced"),
        files=number(status, "files"),
        size_bytes=number(status, "sizeBytes"),
    )


def text(found: Json, key: str) -> str:
    """A text of an object, bounded; "" for what is none."""
    value = found.get(key)
    return value[:LONGEST] if isinstance(value, str) else ""


def number(found: Json, key: str) -> int:
    """A number of an object that counts something; 0 for what is none."""
    value = found.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _seconds(value: Any) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9
    return float(value) if good else 0.0


def _object(value: Any) -> Json:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []


def _camel(found: Any) -> Any:
    if isinstance(found, Mapping):
        return {_named(str(key)): _unread(held) if key == "unread" else _camel(held) for key, held in found.items()}
    if isinstance(found, list | tuple):
        return [_camel(held) for held in found]
    return found


def _unread(pairs: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    return [{"path": path, "why": why} for path, why in pairs]


def _named(field: str) -> str:
    head, *rest = field.split("_")
    return head + "".join(part.capitalize() for part in rest)
