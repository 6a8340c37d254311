"""The view that a file describes, checked as the API server would check it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pdshub.api.view import ArchiveViewSpec, InlineArchive
from pdshub.cli.choose import ChoiceError

Json = dict[str, Any]
MAX_BYTES = 4 << 20


class ManifestError(ChoiceError):
    """The file describes no view; the text names the field and what to write."""

    code = 2


def view(text: str) -> tuple[str, Json]:
    """Name and spec of the ArchiveView in a YAML or JSON text, or of the one inside a PDSHub. Raises ManifestError."""
    if len(text) > MAX_BYTES:
        raise ManifestError(f"the file has more than {MAX_BYTES >> 20} MB: it is no view")
    try:
        documents = list(yaml.safe_load_all(text))
    except (yaml.YAMLError, RecursionError) as error:
        words = " ".join(str(error).split())
        raise ManifestError(f"the file is no YAML: {words}") from None
    found = [d for d in documents if isinstance(d, Mapping) and d.get("kind") in ("ArchiveView", "PDSHub")]
    if len(found) != 1:
        several = "several: write one of them to a file of its own" if found else "none"
        raise ManifestError(f"the file must hold one object of kind ArchiveView or PDSHub, and holds {several}")
    return _of(found[0])


def _of(document: Mapping[str, Any]) -> tuple[str, Json]:
    metadata, spec = _object(document, "metadata", ""), _object(document, "spec", "")
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        raise ManifestError("metadata.name: the name of the view is needed")
    if document["kind"] == "ArchiveView":
        _checked(ArchiveViewSpec, spec, "spec")
        return name, spec
    namespace = metadata.get("namespace")
    if not isinstance(namespace, str) or not namespace:
        raise ManifestError("metadata.namespace: a PDSHub's view is called NAMESPACE-NAME: write the namespace")
    archive = _object(spec, "archive", "spec.")
    if "inline" not in archive:
        raise ManifestError("spec.archive.inline: this PDSHub has no view of its own: write the ArchiveView")
    inline = {"folder": name, **_object(archive, "inline", "spec.archive.")}
    _checked(InlineArchive, inline, "spec.archive.inline")
    return f"{namespace}-{name}", inline


def _object(of: Mapping[str, Any], key: str, path: str) -> Json:
    found = of.get(key)
    if not isinstance(found, Mapping):
        raise ManifestError(f"{path}{key}: an object is needed")
    return dict(found)


def _checked(model: type[ArchiveViewSpec], spec: Json, path: str) -> None:
    try:
        made = model.model_validate(spec)
    except ValidationError as error:
        raise ManifestError("; ".join(_words(path, problem) for problem in error.errors()[:5])) from None
    if not made.cataloged:
        raise ManifestError(
            f"{path}.form: the whole view is live: nothing is decided, users see the sources as they are"
        )


def _words(path: str, problem: ErrorDetails) -> str:
    where = path
    for part in problem["loc"]:
        where += f"[{part}]" if isinstance(part, int) else f".{part}"
    if problem["type"] == "extra_forbidden":
        fields = ".".join(["av", path.split(".")[0], *(str(p) for p in problem["loc"][:-1] if not isinstance(p, int))])
        return f"{where}: there is no such field; kubectl explain {fields} lists them"
    return f"{where}: {problem['msg'].removeprefix('Value error, ')}"
