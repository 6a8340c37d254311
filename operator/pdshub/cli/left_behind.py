"""What a deleted hub left in its namespace, and whether a PDSHub in a file fits it. Pure.

Source of what is left: deletionPolicy Retain (api/hub.py), names in render/names.py, which the plugin may not import.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from pdshub.api.hub import PDSHubSpec
from pdshub.cli.hub_choice import UseError, is_object_name
from pdshub.cli.manifest import MAX_BYTES
from pdshub.wellknown import API_VERSION, GROUP, HOME_OF, MANAGER, USERNAME

Json = Mapping[str, Any]
HUB_LABEL = f"{GROUP}/hub"
DATABASE = "hub-db-dir"
"""The claim of the hub's database, as the zero-to-jupyterhub chart names it."""
KEYS = "-keys"
"""The Secret with cookie secret and CryptKeeper keys is called by the hub and this."""
_RELEASE, _RELEASE_SPACE = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"
"""Annotations by which Helm knows what is its own (https://helm.sh/docs/howto/charts_tips_and_tricks)."""
_SERVERS = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink", "finalizers",
            "deletionTimestamp", "deletionGracePeriodSeconds", "ownerReferences")  # fmt: skip
"""Fields of metadata that the API server or the operator writes."""
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def saved(text: str, namespace: str) -> dict[str, Any]:
    """The PDSHub of a file as it can be created, without what servers write into one. Raises UseError.

    ``namespace``: of the command line; "": the file says it.
    """
    if len(text) > MAX_BYTES:
        raise UseError(f"the file has more than {MAX_BYTES >> 20} MB: it is no PDSHub")
    try:
        documents = list(yaml.safe_load_all(text))
    except (yaml.YAMLError, RecursionError) as error:
        raise UseError(f"the file is no YAML: {' '.join(str(error).split())}") from None
    found = [one for one in documents if isinstance(one, Mapping) and one.get("kind") == "PDSHub"]
    if len(found) != 1:
        raise UseError(f"the file must hold one object of kind PDSHub, and holds {len(found) or 'none'}")
    meta, spec = found[0].get("metadata"), found[0].get("spec")
    if not isinstance(meta, Mapping) or not is_object_name(meta.get("name")):
        raise UseError("metadata.name: the name that the hub had is needed")
    if not isinstance(spec, Mapping):
        raise UseError("spec: an object is needed")
    where = meta.get("namespace") or namespace
    if not is_object_name(where):
        raise UseError("metadata.namespace: write the namespace that the hub was in, or say it with -n")
    if namespace not in ("", where):
        raise UseError(f"metadata.namespace is {where}, and -n says {namespace}: a hub comes back where it was")
    try:
        PDSHubSpec.model_validate(spec)
    except ValidationError as error:
        raise UseError("; ".join(_words(problem) for problem in error.errors()[:5])) from None
    kept = {str(name): value for name, value in meta.items() if name not in _SERVERS}
    notes = {name: value for name, value in (meta.get("annotations") or {}).items() if name != _APPLIED}
    metadata = {**kept, "namespace": where, **({"annotations": notes} if notes else {})}
    if not notes:
        metadata.pop("annotations", None)
    return {"apiVersion": API_VERSION, "kind": "PDSHub", "metadata": metadata, "spec": dict(spec)}


def _words(problem: Any) -> str:
    where = "spec"
    for part in problem["loc"]:
        where += f"[{part}]" if isinstance(part, int) else f".{part}"
    return f"{where}: {str(problem['msg']).removeprefix('Value error, ')}"


@dataclass(frozen=True)
class Point:
    """Something that was looked at: ``found``, a ``note``, or what ``stops``."""

    kind: Literal["found", "note", "stops"]
    words: str

    @property
    def line(self) -> str:
        """The same for people."""
        return self.words if self.kind == "found" else f"{'note' if self.kind == 'note' else 'NO'}: {self.words}"


@dataclass(frozen=True)
class Left:
    """What is in the namespace."""

    hubs: Sequence[Json] = ()
    claims: Sequence[Json] = ()
    secrets: Sequence[str] = ()
    """Names of Secrets."""
    secrets_known: bool = True
    namespace: Json = field(default_factory=dict)


def judge(hub: Json, left: Left) -> list[Point]:
    """Whether the hub can come back, and what it finds."""
    name, namespace = str(hub["metadata"]["name"]), str(hub["metadata"]["namespace"])
    points = _space(name, namespace, left)
    claims = {str(claim["metadata"]["name"]): claim for claim in left.claims}
    points.append(_database(name, namespace, claims.get(DATABASE)))
    points += _homes(name, [claim for claim in left.claims if claim["metadata"]["name"] != DATABASE])
    return [*points, *_secrets(name, hub["spec"], left)]


def _space(name: str, namespace: str, left: Left) -> list[Point]:
    for found in left.hubs:
        if found["metadata"]["name"] == name:
            going = found["metadata"].get("deletionTimestamp")
            return [Point("stops", f"PDSHub {namespace}/{name} is still going: wait until it is gone") if going else
                    Point("stops", f"PDSHub {namespace}/{name} is there: nothing has to be brought back")]  # fmt: skip
    if left.hubs:
        other = left.hubs[0]["metadata"]["name"]
        return [Point("stops", f"namespace {namespace} has PDSHub {other}, and holds one hub only")]
    if (left.namespace.get("metadata") or {}).get("deletionTimestamp"):
        return [Point("stops", f"namespace {namespace} is being deleted: docs/administrator.md, deleted namespace")]
    return []


def _bound(claim: Json) -> bool:
    going = claim["metadata"].get("deletionTimestamp")
    return not going and (claim.get("status") or {}).get("phase") == "Bound"


def _database(name: str, namespace: str, claim: Json | None) -> Point:
    if claim is None:
        return Point("stops", f"claim {DATABASE} is gone: the hub would begin with an empty database; bring its volume "
                     "back (docs/administrator.md), or say --without-database")  # fmt: skip
    whose = (claim["metadata"].get("labels") or {}).get(HUB_LABEL) or _of_release(namespace, claim)
    if whose != name:
        marked = f"is marked as of hub {whose}" if whose else "has no mark that says whose it is"
        return Point("stops", f"claim {DATABASE} {marked}: if it is this hub's, kubectl label pvc {DATABASE} -n "
                     f"{namespace} {HUB_LABEL}={name} --overwrite")  # fmt: skip
    if not _bound(claim):
        return Point(
            "stops", f"claim {DATABASE} is not bound to a volume: kubectl describe pvc {DATABASE} -n {namespace}"
        )
    return Point("found", f"the database: claim {DATABASE}")


def _of_release(namespace: str, claim: Json) -> str:
    """The Helm release of this namespace that made a claim: a hub's release has the hub's name."""
    notes, labels = claim["metadata"].get("annotations") or {}, claim["metadata"].get("labels") or {}
    helm = labels.get("app.kubernetes.io/managed-by") == "Helm" and notes.get(_RELEASE_SPACE) == namespace
    return str(notes.get(_RELEASE) or "") if helm else ""


def _homes(name: str, claims: Sequence[Json]) -> list[Point]:
    mine = [claim for claim in claims if _is_home(name, claim)]
    points = [Point("found", f"{len(mine)} home{'' if len(mine) == 1 else 's'}")] if mine else []
    if not mine:
        points.append(Point("note", f"no home is marked with {HUB_LABEL}={name}: people begin with empty ones"))
    for claim in mine:
        notes = claim["metadata"].get("annotations") or {}
        owner = notes.get(HOME_OF) or notes.get(USERNAME)
        if not _bound(claim):
            points.append(Point("stops", f"claim {claim['metadata']['name']} ({owner or 'of nobody'}) is not bound"))
        elif not owner:
            points.append(Point("note", f"claim {claim['metadata']['name']} does not say whose home it is"))
    return points


def _is_home(name: str, claim: Json) -> bool:
    """Whether a claim is a home of the hub, and not one that the operator made for itself, as that of copies."""
    labels = claim["metadata"].get("labels") or {}
    return labels.get(HUB_LABEL) == name and labels.get("app.kubernetes.io/managed-by") != MANAGER


def _secrets(name: str, spec: Json, left: Left) -> list[Point]:
    if not left.secrets_known:
        return [Point("note", "Secrets can not be listed here: whether the hub's keys are left is not known")]
    keys = f"{name}{KEYS}"
    points = [
        Point("found", f"the hub's keys: Secret {keys}") if keys in left.secrets else
        Point("note", f"Secret {keys} is gone: new keys are made, and everybody signs in anew")
    ]  # fmt: skip
    for path, named in named_secrets(spec):
        if named not in left.secrets:
            points.append(Point("stops", f"{path}: Secret {named} is gone: create it first"))
    return points


def named_secrets(spec: Any, path: str = "spec") -> list[tuple[str, str]]:
    """(field, name) of each Secret that a spec names; what ``values`` say is not looked at."""
    found: list[tuple[str, str]] = []
    if isinstance(spec, Mapping):
        for key, value in spec.items():
            where = f"{path}.{key}"
            if where == "spec.values":
                continue
            if str(key).lower().endswith("secretref") or key == "secret":
                name = value.get("name") if isinstance(value, Mapping) else value
                if isinstance(name, str) and name:
                    found.append((where, name))
                    continue
            found += named_secrets(value, where)
    elif isinstance(spec, list):
        for number, value in enumerate(spec):
            found += named_secrets(value, f"{path}[{number}]")
    return found
