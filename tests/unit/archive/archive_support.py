"""Builds archives on disk from tables, surveys them, and reads back what users would see."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pdshub.archive.plan import Plan, open_plan
from pdshub.archive.survey import Options, Result, survey
from pdshub.archive.view import view_from_spec

OLD = 1_600_000_000
LABEL = (
    '<?xml version="1.0"?><Product_{kind} xmlns="http://pds.nasa.gov/pds4/pds/v1"><Identification_Area>'
    "<logical_identifier>{lid}</logical_identifier><version_id>{version}</version_id></Identification_Area>"
    "{members}{files}</Product_{kind}>"
)


def label(kind: str, lid: str, version: str = "1.0", members: Sequence[str] = (), files: Sequence[str] = ()) -> str:
    """A minimal PDS4 label; ``kind`` is Bundle, Collection or Observational."""
    entries = "".join(
        f"<Bundle_Member_Entry><lid{'vid' if '::' in m else ''}_reference>{m}</lid{'vid' if '::' in m else ''}"
        "_reference></Bundle_Member_Entry>"
        for m in members
    )
    named = "".join(f"<File_Area><File><file_name>{f}</file_name></File></File_Area>" for f in files)
    return LABEL.format(kind=kind, lid=lid, version=version, members=entries, files=named)


def bundle(lid: str, version: str = "1.0", members: Sequence[str] = ()) -> str:
    return label("Bundle", f"urn:nasa:pds:{lid}", version, members)


def collection(lid: str, version: str = "1.0", files: Sequence[str] = ()) -> str:
    return label("Collection", f"urn:nasa:pds:{lid}", version, (), files)


def voldesc(volume: str, data_set: str, version: str = "VERSION 1") -> str:
    return (
        f'PDS_VERSION_ID = PDS3\r\nOBJECT = VOLUME\r\n VOLUME_ID = "{volume}"\r\n VOLUME_VERSION_ID = "{version}"\r\n'
        f' DATA_SET_ID = "{data_set}"\r\nEND_OBJECT = VOLUME\r\nEND\r\n'
    )


def build(root: Path, files: Mapping[str, str], seconds: int = OLD) -> Path:
    """Writes ``files`` (path -> content) with old times, so that nothing looks as if it were being copied."""
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
        os.utime(target, (seconds, seconds))
    return root


def spec(sources: Sequence[str], tree: Mapping[str, Sequence[str]] | None = None, **authority: Any) -> dict[str, Any]:
    """A view's spec. ``tree``: path -> layers as "source" or "source:path"; default all sources at the top."""
    entries = tree or {".": list(sources)}
    return {
        "sources": [{"name": s, "local": {"path": f"/srv/{s}"}} for s in sources],
        "tree": [
            {
                "path": path,
                "layers": [{"source": la.partition(":")[0], "path": la.partition(":")[2] or "."} for la in ls],
            }
            for path, ls in entries.items()
        ],
        "authority": {"settleSeconds": 0, **authority},
    }


def run(
    tmp: Path,
    sources: Mapping[str, Path],
    view: dict[str, Any],
    out: str = "gen",
    previous: Path | None = None,
    **options: Any,
) -> tuple[Plan, Result]:
    """Surveys into ``tmp/out`` and opens the plan."""
    target = tmp / out
    target.mkdir(exist_ok=True)
    result = survey(
        view_from_spec("test", view),
        sources,
        target,
        Options(**{"now_ns": 2 * OLD * 10**9, "workers": 2} | options),
        previous,
    )
    return open_plan(target), result


def visible(plan: Plan) -> dict[str, str]:
    """path in the view -> "source:path in the source", for every visible file."""
    found: dict[str, str] = {}
    for d in plan.tree():
        for g in d.get("groups", ()):
            for name in g["names"]:
                place = "/".join(p for p in (d["path"], name) if p)
                assert place not in found, f"{place} is listed twice"
                found[place] = f"{plan.sources[g['source']]}:" + "/".join(p for p in (g["path"], name) if p)
    return found


def kinds(plan: Plan) -> set[str]:
    """The kinds of the plan's findings."""
    return {f["kind"] for f in plan.tail["findings"]}
