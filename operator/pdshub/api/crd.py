"""Writes ``crds/``: structural OpenAPI schemas from the pydantic models.

``python -m pdshub.api.crd crds/`` is the only writer of that directory, and of the copy that the chart beside it
ships (a chart can hold no files from outside).
Source: Kubernetes, "CustomResourceDefinitions", Specifying a structural schema.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from pdshub.api import backup, hub, view
from pdshub.wellknown import GROUP, VERSION

CHART_FOLDER = Path("charts/pdshub/files/crds")
_DROPPED = {"title", "additionalProperties", "discriminator"}


def structural(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """One JSON schema node as Kubernetes wants it: references resolved, optional instead of nullable."""
    if "$ref" in schema:
        target = dict(definitions[schema["$ref"].rsplit("/", 1)[1]])
        target.update({k: v for k, v in schema.items() if k != "$ref"})
        schema = target
    for union in ("anyOf", "allOf"):
        if union in schema:
            options = [o for o in schema[union] if o.get("type") != "null"]
            if len(options) != 1:
                raise TypeError(f"a union of {len(options)} types is not structural: {schema}")
            rest = {
                k: v for k, v in schema.items() if k not in (union, "default") or (k == "default" and v is not None)
            }
            return structural({**options[0], **rest}, definitions)
    if "const" in schema:
        schema = {**schema, "enum": [schema["const"]]}
    out: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "additionalProperties" and isinstance(value, dict):
            out[key] = structural(value, definitions)
            continue
        if key in _DROPPED or key == "const" or value is None:
            continue
        if key == "properties":
            out[key] = {name: structural(node, definitions) for name, node in value.items()}
        elif key == "items":
            out[key] = structural(value, definitions)
        elif key == "description":
            out[key] = " ".join(str(value).split())
        elif key == "default" and value == []:
            continue  # an empty list says nothing, and would show up in every stored object
        else:
            out[key] = without_nulls(value) if key == "default" else value
    return out


def without_nulls(value: Any) -> Any:
    """A default as the API server accepts it: what is not set is left out."""
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    return [without_nulls(v) for v in value] if isinstance(value, list) else value


def document(
    model: type[BaseModel], plural: str, short: str, scope: str, columns: list[dict[str, Any]]
) -> dict[str, Any]:
    """The CustomResourceDefinition of one kind."""
    raw = model.model_json_schema(by_alias=True, mode="validation")
    body = structural(raw, raw.get("$defs", {}))
    body.pop("$defs", None)
    body["properties"]["status"].pop("default", None)
    body["properties"] = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
    } | body["properties"]
    kind = model.__name__
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": scope,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short],
                "categories": ["pds"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": columns,
                    "schema": {"openAPIV3Schema": body},
                }
            ],
        },
    }


def documents() -> dict[str, dict[str, Any]]:
    """Every CRD by file name."""
    return {
        "pdshub.dev_pdshubs.yaml": document(hub.PDSHub, "pdshubs", "ph", "Namespaced", hub.PRINTER_COLUMNS),
        "pdshub.dev_archiveviews.yaml": document(
            view.ArchiveView, "archiveviews", "av", "Cluster", view.PRINTER_COLUMNS
        ),
        "pdshub.dev_hubbackups.yaml": document(
            backup.HubBackup, "hubbackups", "hb", "Namespaced", backup.BACKUP_COLUMNS
        ),
        "pdshub.dev_hubrestores.yaml": document(
            backup.HubRestore, "hubrestores", "hr", "Namespaced", backup.RESTORE_COLUMNS
        ),
    }


def main(argv: list[str] | None = None) -> None:
    """Write the CRDs into the directory that is the only argument, and into the chart beside it if there is one."""
    (target,) = argv if argv is not None else sys.argv[1:]
    shipped = Path(target).resolve().parent / CHART_FOLDER
    for folder in (Path(target), *([shipped] if shipped.is_dir() else [])):
        for name, doc in documents().items():
            text = "# Generated by python -m pdshub.api.crd; edit operator/pdshub/api instead.\n"
            (folder / name).write_text(text + yaml.safe_dump(doc, sort_keys=False, width=110))


if __name__ == "__main__":
    main()
