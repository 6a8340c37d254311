"""The manifest of a generation: what a node needs to mount it and what people cite."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pdshub import generation_id
from pdshub.archive import carried
from pdshub.archive.catalog import FORMAT, TOP
from pdshub.archive.image import Image
from pdshub.archive.plan import Plan
from pdshub.archive.subtree import Layout
from pdshub.files import write_text

FILE = "manifest.json"
SCHEMA = "pdshub.dev/archive-generation/v1"


def digest_of(images: Sequence[Image], layering: dict[str, Any]) -> str:
    """The generation's digest: over the images' digests and how they are stacked, not over times or findings."""
    stacked = {"images": [[i.name, i.digest] for i in images], "layering": layering}
    return "sha256:" + hashlib.sha256(json.dumps(stacked, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def same_images(before: dict[str, Any], plan: Plan, tool: str) -> bool:
    """Whether the images of a former manifest are those that this plan would get."""
    known = (before.get("plan") or {}).get("digest"), before.get("catalog"), before.get("tool"), before.get("copies")
    return known == (plan_digest(plan)[0], FORMAT, tool, carried.digest(plan.path.parent) or None)


def plan_digest(plan: Plan) -> tuple[str, int]:
    """Digest (sha256:…) and size in bytes of the plan's file. Raises OSError."""
    with plan.path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest(), file.tell()


def build(
    plan: Plan, images: Sequence[Image], surveyed_at: str, tool: str, layout: Layout | None = None
) -> dict[str, Any]:
    """The manifest. ``surveyed_at`` is RFC 3339 in UTC; ``tool`` names mkfs.erofs and its version; ``layout``: how a
    large tree was cut."""
    order = plan.tail["dataOrder"]
    roots = plan.tail["dataRoots"]
    layering = {
        "form": "single" if order is not None else "nested",
        "top": TOP,
        "data": [
            {"source": name, "path": roots[name]}
            for name in (order if order is not None else plan.sources)
            if name in roots
        ],
    }
    digest, size = plan_digest(plan)
    copies = carried.digest(plan.path.parent)
    findings = Counter(f["severity"] for f in plan.tail["findings"])
    return {
        "schema": SCHEMA,
        "generation": digest_of(images, layering),
        "view": plan.header["view"],
        "surveyedAt": surveyed_at,
        "plan": {"digest": digest, "size": size},
        **({"copies": copies} if copies else {}),
        "images": [
            {
                "name": i.name,
                "digest": i.digest,
                "size": i.size,
                **({"source": i.source} if i.source else {}),
                **({"of": i.of} if i.of else {}),
            }
            for i in images
        ],
        "layering": layering,
        "sources": plan.sources,
        "counts": plan.tail["counts"],
        "entries": plan.tail.get("entries", []),
        "findings": dict(sorted(findings.items())),
        "authority": plan.header["authority"],
        "tool": tool,
        "catalog": FORMAT,
        **({"layout": {"depth": layout.depth, "count": layout.count}} if layout else {}),
    }


def layout_of(said: dict[str, Any]) -> Layout | None:
    """How the tree of a former manifest was cut; None where it was not, or the manifest does not say so."""
    found = said.get("layout")
    depth, count = (found.get("depth"), found.get("count")) if isinstance(found, dict) else (None, None)
    if type(depth) is int and type(count) is int and depth > 0 and count > 0:
        return Layout(depth, count)
    return None


def write(path: Path, manifest: dict[str, Any]) -> None:
    """Replaces the file. Not forced to the disk: a generation is, as a whole, when it is put where it is kept."""
    write_text(path, json.dumps(manifest, indent=1, sort_keys=True) + "\n", durable=False)


def read(path: Path) -> dict[str, Any]:
    """Reads a manifest. Raises ValueError when it is none."""
    if path.is_dir():
        path = path / FILE
    if path.stat().st_size > 64 << 20:
        raise ValueError(f"{path}: too large for a manifest")
    try:
        manifest = json.loads(path.read_bytes())
    except (UnicodeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from None
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        raise ValueError(f"{path}: not of schema {SCHEMA}")
    images = manifest.get("images")
    if not isinstance(images, list) or not all(isinstance(i, dict) and _sound(i) for i in images):
        raise ValueError(f"{path}: images are not named as they must be")
    if not _is_digest(manifest.get("generation")):
        raise ValueError(f"{path}: generation is no digest")
    return manifest


def _is_digest(value: object) -> bool:
    return generation_id.is_name(value)


def _sound(image: dict[str, Any]) -> bool:
    """Names become file names, sizes bound what is unpacked."""
    name, size = image.get("name"), image.get("size")
    named = isinstance(name, str) and not set(name) & {"/", "\0"} and name not in ("", ".", "..")
    return named and _is_digest(image.get("digest")) and type(size) is int and size >= 0
