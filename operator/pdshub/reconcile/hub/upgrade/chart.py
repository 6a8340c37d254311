"""A chart out of Helm's record of a release: the folder that Helm installs it from once more.

The chart of then may be nowhere else: an operator carries one version of its small chart, and a repository may be away.
What a record leaves out (CRDs are among its files, charts within charts are not kept) no hub's chart has.
Source: Helm 3, pkg/chart/chart.go (what a release keeps), pkg/chart/loader/load.go (how a folder is read).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from pdshub.render.chart import ChartRef

MOST_FILES = 2000
_NAMED = {"Chart.yaml", "Chart.lock", "values.yaml", "values.schema.json"}


class NoChart(Exception):
    """A record holds no chart that can be installed; the text says why."""


def ref(document: Mapping[str, Any], identity: str, folder: str = "") -> ChartRef:
    """The chart of a release document. Raises NoChart."""
    chart = document.get("chart")
    meta = chart.get("metadata") if isinstance(chart, Mapping) else None
    if not isinstance(meta, Mapping) or not meta.get("name") or not meta.get("version"):
        raise NoChart("the record of that release names no chart")
    source = "Airgap" if identity.startswith("airgap/") else "Repository"
    name, version = str(meta["name"]), str(meta["version"])
    return ChartRef(source, folder or name, None, version, identity, origin="the record of its release")  # type: ignore[arg-type]


def _within(name: Any) -> PurePosixPath:
    """A file's name below the chart's folder. Raises NoChart."""
    text = str(name) if isinstance(name, str) else ""
    path = PurePosixPath(text)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in text or "\\" in text or len(text) > 500:
        raise NoChart(f"the record of that release names a file that is none of a chart: {text[:80]!r}")
    return path


def files(document: Mapping[str, Any]) -> dict[PurePosixPath, bytes]:
    """Every file of the chart of a release document. Raises NoChart."""
    chart = document.get("chart")
    if not isinstance(chart, Mapping):
        raise NoChart("the record of that release holds no chart")
    found: dict[PurePosixPath, bytes] = {}
    meta = chart.get("metadata")
    if not isinstance(meta, Mapping):
        raise NoChart("the record of that release names no chart")
    try:
        for part in ("templates", "files"):
            for each in chart.get(part) or []:
                path = _within(each.get("name"))
                if len(found) >= MOST_FILES:
                    raise NoChart(f"the chart of that release has more than {MOST_FILES} files")
                if str(path) not in _NAMED:
                    found[path] = base64.b64decode(each.get("data") or "", validate=True)
        if schema := chart.get("schema"):
            found[PurePosixPath("values.schema.json")] = base64.b64decode(schema, validate=True)
    except (AttributeError, TypeError, ValueError) as error:
        raise NoChart(f"the record of that release holds no chart: {error}") from None
    # JSON is YAML; dependencies were in the chart's folder when it was installed, and a record has none
    kept = {key: value for key, value in meta.items() if key != "dependencies"}
    found[PurePosixPath("Chart.yaml")] = json.dumps(kept).encode()
    found[PurePosixPath("values.yaml")] = json.dumps(chart.get("values") or {}).encode()
    return found


@contextmanager
def unpacked(document: Mapping[str, Any], identity: str) -> Iterator[ChartRef]:
    """The chart in a folder of its own, which goes with the block. Raises NoChart, OSError."""
    content = files(document)
    with TemporaryDirectory(prefix="release.") as top:
        made = ref(document, identity)
        folder = Path(top) / _within(made.ref).name
        for path, data in content.items():
            target = folder.joinpath(*path.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        yield ref(document, identity, str(folder))
