"""Sources in S3, as a survey reads them: listed with their keys from files, counted, and opened for labels."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from pdshub.api.view import ArchiveViewSpec
from pdshub.archive import keys, listed
from pdshub.archive.file_system import FileSystem, LocalFileSystem
from pdshub.archive.findings import Findings
from pdshub.archive.object_files import ObjectFiles, Routed
from pdshub.archive.walk import Scan, SourceError
from pdshub.s3.bucket import Bucket, S3Error
from pdshub.s3.client import Client, Count
from pdshub.s3.page import Object

Json = dict[str, Any]


@dataclass
class ObjectSource:
    """One source in S3 during one survey."""

    name: str
    client: Client
    files: ObjectFiles

    @property
    def count(self) -> Count:
        """Requests so far."""
        return self.client.count

    def scan(
        self,
        tops: Collection[str],
        previous: Scan | None,
        exclude: Collection[str],
        findings: Findings,
        progress: Callable[[int], None],
    ) -> Scan:
        """Lists the directories ``tops``. Raises SourceError."""
        folders = list(listed.shared(tops))
        try:
            objects = chain.from_iterable(self._below(folder) for folder in folders)
            found = listed.listed(
                self.name, objects, self.client.bucket.top,
                tops=folders, previous=previous, exclude=exclude, now_ns=time.time_ns(), progress=progress,
            )  # fmt: skip
        except S3Error as error:
            raise SourceError(f"source {self.name}: {error}") from error
        if not found.scan.counters.entries_read and not found.odd.count:
            raise SourceError(f"source {self.name}: {self.client.bucket.place} holds nothing: is its prefix right?")
        self.files.take(found)
        for reason, count in sorted(found.odd.count.items()):
            places = [f"{self.name}:{key}" for key in found.odd.examples[reason]]
            findings.add("warning", "odd-key", f"{self.name}: {keys.WORDS[reason]}", places, count)
        return found.scan

    def _below(self, folder: str) -> Iterator[Object]:
        return self.client.objects(folder)


def of(
    spec: ArchiveViewSpec,
    roots: Mapping[str, Path],
    folder: Path | None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, ObjectSource]:
    """The sources of a view that are in S3, by name; ``folder``: where each has its keys. Raises SourceError."""
    found = {}
    for source in spec.sources:
        if source.s3 is None or source.name not in roots:
            continue
        bucket = Bucket.of(source.s3, (folder or Path("/nowhere")) / source.name)
        count = Count(source.s3.limits.requests_per_survey)
        try:
            client = Client(bucket, count, lambda n: say(f"{n} names"))
        except OSError as error:
            raise SourceError(f"source {source.name}: its CA's certificates cannot be used: {error}") from None

        def opened(path: str, etag: str, size: int, client: Client = client) -> BinaryIO:
            return client.open(client.bucket.top + path, etag, size)

        found[source.name] = ObjectSource(source.name, client, ObjectFiles(str(roots[source.name]), opened))
    return found


def file_system(found: Mapping[str, ObjectSource], roots: Mapping[str, Path]) -> FileSystem:
    """Everything that a survey reads: objects by requests, all else where it is mounted."""
    rest = LocalFileSystem(str(root) for root in roots.values())
    return Routed({str(roots[name]): one.files for name, one in found.items()}, rest) if found else rest


def counted(found: Mapping[str, ObjectSource]) -> Json:
    """Requests by source, for the surveyor's state."""
    return {name: {"lists": one.count.lists, "gets": one.count.gets} for name, one in sorted(found.items())}
