"""Who is on a hub's list, and by which line of which source. Pure, but for the ConfigMaps that it is given.

The list is ``spec.users``: names in it, names in ConfigMaps and Secrets that it names, and domains. What a Secret holds
is not read here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pdshub.cli import name_file
from pdshub.cli.hub_choice import is_object_name

Json = Mapping[str, Any]
ALLOWED, ADMINS, SUSPENDED = "allowed", "admins", "suspended"


@dataclass(frozen=True)
class Source:
    """An entry of ``spec.users.from``: a key of a ConfigMap or of a Secret."""

    number: int
    kind: str
    """``configMap`` or ``secret``."""
    name: str
    key: str
    role: str
    """``allowed`` or ``admins``."""
    text: str | None = None
    """What it holds; None where that is not known."""
    trouble: str = ""

    @cached_property
    def names(self) -> Collection[str]:
        """The names in it, as far as that is known."""
        return dict.fromkeys(name_file.names(self.text or ""))

    @property
    def words(self) -> str:
        """How people call it."""
        return f"{self.kind} {self.name}/{self.key}"

    @property
    def field(self) -> str:
        """Where the hub names it."""
        return f"spec.users.from[{self.number}]"


@dataclass(frozen=True)
class Roll:
    """The whole list of a hub, as far as it can be read here."""

    written: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Field of ``spec.users`` -> its names in normal form, in their order."""
    sources: list[Source] = field(default_factory=list)
    domains: list[str] = field(default_factory=list)

    def places(self, name: str) -> list[tuple[str, str, Source | None]]:
        """(role, words, source) of each entry that lets somebody in; no source: it is in ``spec.users`` itself."""
        found: list[tuple[str, str, Source | None]] = [
            (role, f"spec.users.{role}", None) for role in (ALLOWED, ADMINS) if name in self.written.get(role, ())
        ]
        for source in self.sources:
            if name in source.names:
                found.append((source.role, source.words, source))
        return found

    def domain(self, name: str) -> str:
        """The domain of ``spec.users.domains`` that lets a name in; "" if none does."""
        _, at, domain = name.rpartition("@")
        return domain if at and domain in self.domains else ""

    def suspended(self, name: str) -> bool:
        """Whether somebody is kept out whatever else the list says."""
        return name in self.written.get(SUSPENDED, ())

    def admin(self, name: str) -> bool:
        """Whether a source that is read here makes somebody an admin."""
        return any(role == ADMINS for role, _, _ in self.places(name))

    @property
    def closed(self) -> list[Source]:
        """Sources whose names are not known here: Secrets, and what can not be read."""
        return [source for source in self.sources if source.text is None]

    def said(self) -> dict[str, list[str]]:
        """Name -> the words of every place that it stands at."""
        found: dict[str, list[str]] = {}
        for role in (ALLOWED, ADMINS, SUSPENDED):
            for name in self.written.get(role, ()):
                found.setdefault(name, []).append(f"spec.users.{role}")
        for source in self.sources:
            for name in source.names:
                found.setdefault(name, []).append(source.words)
        return found


def users(hub: Json) -> Json:
    """``spec.users`` of a hub, {} where it has none."""
    found = (hub.get("spec") or {}).get("users")
    return found if isinstance(found, Mapping) else {}


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _sources(hub: Json, read: Callable[[str, str], str]) -> Iterable[Source]:
    entries = users(hub).get("from")
    for number, entry in enumerate(entries if isinstance(entries, list) else []):
        if not isinstance(entry, Mapping):
            continue
        kind = "configMap" if isinstance(entry.get("configMap"), Mapping) else "secret"
        place = entry.get(kind) if isinstance(entry.get(kind), Mapping) else {}
        name, key = str((place or {}).get("name") or ""), str((place or {}).get("key") or "")
        role = ADMINS if entry.get("as") == ADMINS else ALLOWED
        found = Source(number, kind, name, key, role)
        if kind == "configMap" and is_object_name(name):
            try:
                found = Source(number, kind, name, key, role, read(name, key))
            except LookupError as error:
                found = Source(number, kind, name, key, role, None, str(error.args[0] if error.args else error))
        yield found


def of(hub: Json, read: Callable[[str, str], str]) -> Roll:
    """The list of a hub. ``read``: the text of a ConfigMap's key; raises LookupError with the reason."""
    spec = users(hub)
    written: dict[str, Collection[str]] = {
        role: dict.fromkeys(map(name_file.lenient, _texts(spec.get(role)))) for role in (ALLOWED, ADMINS, SUSPENDED)
    }
    domains = [domain.strip().lower().removeprefix("*@").removeprefix("@") for domain in _texts(spec.get("domains"))]
    return Roll(written, list(_sources(hub, read)), domains)
