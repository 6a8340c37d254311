"""Which ArchiveViews there are: from the API server (with a copy on disk) or from a directory.

The plugin works while the API server is away: the last known views are in the cache directory.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pdshub.files import write_text
from pdshub.mount_rules import NOBODY, Identity
from pdshub.node.hardening import SpecError
from pdshub.node.spec import View, parse_view
from pdshub.wellknown import GROUP, VERSION

log = logging.getLogger(__name__)

WATCH_SECONDS = 60.0
"""A watch gets a new connection that often: one that broke without a word on the way tells nothing any more."""

#: What a node needs of a status: the rest of it changes too often to be written to disk.
STATUS = ("generation", "surveyor", "volumes", "selectedNamespaces")
PLURAL = "archiveviews"


class Informer:
    """The known views by name. `problems`: views that can't be used and why. `synced`: it is current."""

    def __init__(self, changed: Callable[[], None], default_run_as: Identity = NOBODY) -> None:
        """`changed` is called whenever a view has changed, or could not be read. `default_run_as`: who reads a source
        of which a view does not say it."""
        self._default_run_as = default_run_as
        self.views: dict[str, View] = {}
        self.problems: dict[str, str] = {}
        self.synced = False
        self._changed = changed

    def put(self, document: Mapping[str, Any]) -> None:
        """Take up an ArchiveView object. One that can't be used is a problem; the view of before stays."""
        name = str(document.get("metadata", {}).get("name", ""))
        try:
            view = parse_view(document, self._default_run_as)
        except SpecError as error:
            log.warning("ArchiveView %s: %s", name, error)
            self.problems[name] = str(error)
        else:
            self.problems.pop(name, None)
            if self.views.get(name) == view:
                return
            self.views[name] = view
        self._changed()

    def remove(self, name: str) -> None:
        """Forget a view."""
        self.problems.pop(name, None)
        if self.views.pop(name, None):
            self._changed()

    async def run(self) -> None:
        """Follow the views for ever."""
        raise NotImplementedError


class DirectoryInformer(Informer):
    """Every *.yaml of a directory, read again when one has changed: for the lab and for development."""

    def __init__(self, directory: Path, changed: Callable[[], None], default_run_as: Identity = NOBODY) -> None:
        """`directory`: holds the *.yaml files. The others: as an Informer's."""
        super().__init__(changed, default_run_as)
        self._directory = directory
        self._seen: object = None

    def look(self) -> None:
        """Read the files if one has changed. Raises OSError, yaml.YAMLError."""
        import yaml

        found = set()
        paths = sorted(self._directory.glob("*.yaml"))
        stats = [path.stat() for path in paths]
        stamp = [(path, stat.st_mtime_ns, stat.st_ino) for path, stat in zip(paths, stats, strict=True)]
        if stamp == self._seen:
            return
        for path in paths:
            for document in yaml.safe_load_all(path.read_text()):
                if document and document.get("kind") == "ArchiveView":
                    found.add(document["metadata"]["name"])
                    self.put(document)
        for name in (self.views.keys() | self.problems.keys()) - found:
            self.remove(name)
        self.synced = True
        self._seen = stamp

    async def run(self) -> None:
        """Look ten times a second, for ever; errors are logged."""
        while True:
            try:
                self.look()
            except Exception as error:
                log.warning("views of %s: %r", self._directory, error)
            await asyncio.sleep(0.1)


class ApiInformer(Informer):
    """LIST, then WATCH, again and again; needs get, list and watch on archiveviews.pdshub.dev."""

    def __init__(self, cache: Path, changed: Callable[[], None], default_run_as: Identity = NOBODY) -> None:
        """`cache`: directory of copies, read at once and written at each change. The others: as an Informer's."""
        super().__init__(changed, default_run_as)
        self._cache = cache
        self._written: dict[str, str] = {}
        for path in sorted(cache.glob("*.json")):
            with suppress(OSError, ValueError):
                super().put(json.loads(path.read_text()))

    def put(self, document: Mapping[str, Any]) -> None:
        """As an Informer's; what can be used is written to the cache, too. Raises OSError."""
        super().put(document)
        name = str(document["metadata"]["name"])
        if name in self.views:
            status = document.get("status") or {}
            kept = {
                "metadata": {"name": name, "generation": document["metadata"].get("generation")},
                "spec": document.get("spec"),
                "status": {key: status[key] for key in STATUS if key in status},
            }
            text = json.dumps(kept)
            if self._written.get(name) != text:  # a status changes often, what is kept of it seldom
                # not forced to the disk: a restart of the machine asks the API server, too
                write_text(self._cache / f"{name}.json", text, durable=False)
                self._written[name] = text

    def remove(self, name: str) -> None:
        """As an Informer's, in the cache, too."""
        super().remove(name)
        self._written.pop(name, None)
        (self._cache / f"{name}.json").unlink(missing_ok=True)

    async def run(self) -> None:
        """LIST and WATCH for ever, again 3 s after an error; meanwhile `synced` is False."""
        while True:
            try:
                await self._follow()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                log.warning("watching ArchiveViews: %s", error)
            self.synced = False
            await asyncio.sleep(3)

    async def _follow(self) -> None:
        # Partly typed: its own annotations contradict what the custom objects API answers.
        aio: Any = importlib.import_module("kubernetes.aio")
        client, config, watch = aio.client, aio.config, aio.watch
        try:
            config.load_incluster_config()
        except config.ConfigException:
            await config.load_kube_config()
        async with client.ApiClient() as connection:
            api = client.CustomObjectsApi(connection)
            listed = await api.list_cluster_custom_object(GROUP, VERSION, PLURAL, _request_timeout=30)
            for document in listed["items"]:
                self.put(document)
            for name in (self.views.keys() | self.problems.keys()) - {
                document["metadata"]["name"] for document in listed["items"]
            }:
                self.remove(name)
            self.synced = True
            self._changed()
            async with watch.Watch() as events:
                stream = events.stream(
                    api.list_cluster_custom_object, GROUP, VERSION, PLURAL,
                    resource_version=listed["metadata"]["resourceVersion"], allow_watch_bookmarks=True,
                    # no timeout_seconds: then the library goes on from where it was, on a new connection
                    _request_timeout=WATCH_SECONDS,
                )  # fmt: skip
                async for event in stream:
                    document = event["object"]
                    if event["type"] in ("ADDED", "MODIFIED"):
                        self.put(document)
                    elif event["type"] == "DELETED":
                        self.remove(document["metadata"]["name"])
