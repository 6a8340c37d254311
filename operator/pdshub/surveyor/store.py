"""Where generations are kept: a directory that a crash at any moment leaves usable.

    lock                       one surveyor at a time
    spec.json, state.json      what the operator asked for; how far the surveyor is
    generations/<hex>/         manifest.json, plan.json, survey.jsonl.gz, held.jsonl.gz, findings.txt, proof.json,
                               facts.json
                               content.json: which files travel with it (archive/content)
    images/<hex>.zst           catalog images by the digest of what they hold; generations share them
    content.db, packs/         what was read of files that travel, and their bytes (surveyor/content.py)
    work/                      whatever is being made; emptied at start

A generation is there when its directory is. Its facts.json says what belongs to this surveyor and not to the
content: its place in the order (``sequence``), when it became the newest, the guard's verdict, what changed.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdshub.archive import manifest, plan, record
from pdshub.archive.content import document
from pdshub.archive.content.collect import SUFFIX
from pdshub.archive.content.document import Content, DocumentError
from pdshub.archive.content.shelf import FILE as CONTENT
from pdshub.files import read_json, sync, write_json
from pdshub.generation_id import digits, named

FACTS, PROOF, FINDINGS, AUDIT = "facts.json", "proof.json", "findings.txt", "audit.json"
PACKS = "packs"
_HEX = re.compile(r"[0-9a-f]{64}")
_RENEWED = (plan.FILE, record.FILE, record.HELD, FINDINGS)


class StoreError(Exception):
    """The store can not be used; the text says why."""


@dataclass(frozen=True)
class Entry:
    """One kept generation."""

    name: str  # sha256:…
    directory: Path
    manifest: dict[str, Any]
    facts: dict[str, Any]
    audited: dict[str, int]  # findings of the audit by severity; empty before it
    content: Content | None = None  # which files travel with it; None while none do

    @property
    def findings(self) -> dict[str, int]:
        """Number of findings of survey and audit by severity."""
        both = Counter({k: int(v) for k, v in self.manifest.get("findings", {}).items()}) + Counter(self.audited)
        return dict(sorted(both.items()))

    @property
    def sequence(self) -> int:
        """Its place in the order of generations: the newest has the greatest."""
        return int(self.facts["sequence"])

    @property
    def as_of(self) -> str:
        """When its survey began, RFC 3339."""
        return str(self.facts.get("asOf") or self.manifest.get("surveyedAt", ""))

    @property
    def accepted(self) -> bool:
        """Whether the guard let it pass: it did not lose too many files (archive/guard.py)."""
        return bool((self.facts.get("guard") or {}).get("accepted"))

    @property
    def images(self) -> list[str]:
        """Digests of its images, hexadecimal."""
        return [digits(image["digest"]) for image in self.manifest["images"]]

    @property
    def further_images(self) -> list[str]:
        """Digests of the catalogs that point to what travels, hexadecimal."""
        return [digits(image.digest) for image in self.content.images] if self.content else []


class Store:
    """The store's directory. Everything but ``read`` needs ``open`` first: one writer at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.generations, self.images, self.work = path / "generations", path / "images", path / "work"
        self.packs = path / PACKS
        self._lock: int | None = None

    def open(self) -> None:
        """Makes the directories, takes the lock, removes what a crash left. Raises StoreError."""
        try:
            for directory in (self.generations, self.images, self.work):
                directory.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._tidy()
        except BlockingIOError:
            raise StoreError(f"{self.path}: another surveyor uses it") from None
        except OSError as error:
            raise StoreError(f"{self.path}: {error.strerror}") from error

    def close(self) -> None:
        """Lets go of the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _tidy(self) -> None:
        for left in self.work.iterdir():
            _remove(left)
        whole = {entry.directory for entry in self.read()}
        for directory in self.generations.iterdir():
            if directory not in whole:
                _remove(directory)
                continue
            for partial in directory.glob("*.partial"):
                _remove(partial)
        self._drop_images()

    def read(self) -> list[Entry]:
        """The generations, newest first. Half ones do not count."""
        found = []
        directories = self.generations.iterdir() if self.generations.is_dir() else ()
        for directory in directories:
            entry = _entry(directory)
            if entry and all((self.images / f"{image}.zst").is_file() for image in entry.images):
                found.append(entry)
        return sorted(found, key=lambda entry: -entry.sequence)

    def find(self, reference: str) -> Entry | None:
        """The generation that a name or the beginning of one means; "" is the newest."""
        for entry in self.read():
            if not reference or named(reference, entry.name):
                return entry
        return None

    @contextmanager
    def workplace(self) -> Iterator[Path]:
        """An empty directory on the store's own file system; it goes away with all that is in it."""
        directory = Path(tempfile.mkdtemp(prefix="survey-", dir=self.work))
        directory.chmod(0o770)
        try:
            yield directory
        finally:
            _remove(directory)

    def commit(self, made: Path, facts: dict[str, Any]) -> Entry:
        """Takes over the generation in ``made`` (its images: ``made/images/<hex>.zst``) as the newest one.

        One of the same name keeps its manifest's time and its proof: only what the survey knows of the sources
        is renewed. ``facts`` need no sequence.
        """
        said = manifest.read(made)
        name, before = str(said["generation"]), self.read()
        target = self.generations / digits(name)
        numbered = {**facts, "sequence": before[0].sequence + 1 if before else 1}
        for image in sorted((made / "images").glob("*.zst")):
            sync(image)
            image.replace(self.images / image.name)
        sync(self.images)
        if any(entry.name == name for entry in before):
            self._renew(target, made, said)
            newest = before[0].name == name
            write_json(target / FACTS, before[0].facts if newest else numbered, durable=True)
        else:
            _remove(made / "images")
            write_json(made / FACTS, numbered, durable=True)
            for file in made.iterdir():
                sync(file)
            sync(made)
            _remove(target)
            made.rename(target)
            made.mkdir()
        sync(self.generations)
        entry = _entry(target)
        if entry is None:
            raise StoreError(f"{target}: is not what was written")
        return entry

    def take_content(self, entry: Entry, made: Path) -> None:
        """Takes over content.json and its catalogs (``made/images/<hex>.zst``). Raises OSError, StoreError."""
        for image in sorted((made / "images").glob("*.zst")):
            sync(image)
            image.replace(self.images / image.name)
        sync(self.images)
        if not entry.directory.is_dir():
            raise StoreError(f"{entry.name} was dropped meanwhile")
        sync(made / document.FILE)
        (made / document.FILE).replace(entry.directory / document.FILE)
        sync(entry.directory)
        self._drop_images()

    def forget_content(self) -> None:
        """Removes what travels with every generation, and all that was read for it. Raises OSError."""
        for entry in self.read():
            (entry.directory / document.FILE).unlink(missing_ok=True)
        for path in (self.packs, *self.path.glob(f"{CONTENT}*")):
            _remove(path)
        self._drop_images()

    def _renew(self, target: Path, made: Path, said: dict[str, Any]) -> None:
        old = manifest.read(target)
        for file in (made / name for name in _RENEWED):
            sync(file)
            file.replace(target / file.name)
        kept = {key: old[key] for key in ("surveyedAt", "tool", "proof") if key in old}
        write_json(target / manifest.FILE, {**said, **kept}, durable=True)

    def drop(self, names: Collection[str]) -> None:
        """Removes generations, then the images that no other one needs."""
        for name in names:
            directory = self.generations / digits(name)
            if directory.is_dir():  # renamed first: what is half removed is not taken for a generation
                aside = Path(tempfile.mkdtemp(dir=self.work))
                directory.rename(aside / directory.name)
                _remove(aside)
        self._drop_images()

    def _drop_images(self) -> None:
        needed = {f"{image}.zst" for entry in self.read() for image in (*entry.images, *entry.further_images)}
        for image in self.images.iterdir():
            if image.name not in needed:
                _remove(image)

    def image(self, digest: str) -> Path | None:
        """The compressed image whose content has this digest (hexadecimal)."""
        path = self.images / f"{digest}.zst"
        return path if _HEX.fullmatch(digest) and path.is_file() else None

    def pack(self, digest: str) -> Path | None:
        """The compressed pack of this digest (hexadecimal)."""
        path = self.packs / f"{digest}{SUFFIX}"
        return path if _HEX.fullmatch(digest) and path.is_file() else None

    def stored_bytes(self, entry: Entry) -> int:
        """What a generation takes: its files and its images as stored. What is being dropped takes nothing."""
        total = 0
        with suppress(FileNotFoundError):
            images = (self.images / f"{image}.zst" for image in (*entry.images, *entry.further_images))
            for path in (*entry.directory.iterdir(), *images):
                with suppress(FileNotFoundError):
                    total += path.stat().st_size
        return total


def _entry(directory: Path) -> Entry | None:
    facts = read_json(directory / FACTS)
    try:
        said = manifest.read(directory)
        name = str(said["generation"])
        if facts is None or digits(name) != directory.name or not (directory / plan.FILE).is_file():
            return None
        audited = (read_json(directory / AUDIT) or {}).get("counts") or {}
        counts = {k: int(v) for k, v in audited.items()}
        entry = Entry(name, directory, said, facts, counts, content_of(directory))
        return entry if entry.sequence >= 0 and all(_HEX.fullmatch(image) for image in entry.images) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def content_of(generation: Path) -> Content | None:
    """The content of a generation's directory; None where there is none, or nothing that can be used."""
    try:
        with (generation / document.FILE).open("rb") as file:
            return document.parse(file.read(document.MAX_BYTES + 1))
    except (OSError, DocumentError):
        return None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
