"""Which objects Helm may apply for a hub: pure.

The operator acts for whoever wrote the PDSHub, and a value of theirs can become an object of any kind: charts print
many values without quoting them. Both what Helm would apply and what an older release says it applied are judged here.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pdshub.helm import HelmRelease
from pdshub.reconcile.hub.manifest.documents import Document, ManifestError, documents
from pdshub.reconcile.hub.manifest.kinds import KINDS
from pdshub.render.names import DATABASE_CLAIM, Names

HOOK = "helm.sh/hook"
RESERVED = "pdshub-"
"""Begins the names of what PDSHub itself puts into a hub's namespace to rule it."""
_ACCOUNT = "pdshub-helm"
"""The account as which Helm acts in a hub's namespace."""
_RELEASE_NAME, _RELEASE_NAMESPACE = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"
_RELEASE_SECRET = "sh.helm.release.v1."  # noqa: S105 - a name, not a secret
_SECRET_TYPES = ("", "Opaque", "kubernetes.io/tls", "kubernetes.io/dockerconfigjson")
"""A token of an account, or a release, made by a value would give away what the account may."""
_HOOK_EVENTS = ("pre-install", "pre-upgrade")


@dataclass(frozen=True)
class OwnHook:
    """Hooks that zero-to-jupyterhub 4.4.0 has itself."""

    file: str
    """The chart's file, or folder, that makes them."""
    kinds: tuple[str, ...]
    names: tuple[str, ...]
    """Ends of their names: a chart may be told to put something before them."""
    value: tuple[str, ...]
    """The value that has to be true for them."""


_OWN_HOOKS = (
    OwnHook(
        "/templates/image-puller/",
        ("DaemonSet", "Job", "Role", "RoleBinding", "ServiceAccount"),
        ("hook-image-puller", "hook-image-awaiter"),
        ("prePuller", "hook", "enabled"),
    ),
    OwnHook("/templates/image-pull-secret.yaml", ("Secret",), ("image-pull-secret",), ("imagePullSecret", "create")),
)


@dataclass(frozen=True)
class Violation:
    """Something that Helm would apply and must not."""

    title: str
    """Kind and name of the object; empty where it is none."""
    why: str
    name: str = ""
    kind: str = ""
    source: str = ""
    """The chart's file that made it."""

    @property
    def words(self) -> str:
        """The violation as one clause."""
        made = f" (made by {self.source})" if self.source else ""
        return f"{self.title or 'what the chart makes'}{made}: {self.why}"


@dataclass(frozen=True)
class Hook:
    """A hook of a release document: the chart's file, its text, and the events at which Helm would run it."""

    path: str
    manifest: str
    events: tuple[str, ...]


def of_release(release: HelmRelease) -> tuple[Hook, ...]:
    """The hooks of a release document, as they are judged."""
    return tuple(
        Hook(
            str(hook.get("path") or ""),
            str(hook.get("manifest") or ""),
            tuple(str(event) for event in hook.get("events") or ()),
        )
        for hook in release.hooks
    )


def judge(
    manifest: str,
    hooks: Iterable[Hook],
    names: Names,
    values: Mapping[str, Any],
    kinds: Container[str] = KINDS,
) -> Violation | None:
    """The first object that Helm must not apply for a hub; None when there is none.

    ``manifest`` and ``hooks`` are those of a release document, ``values`` what the chart is rendered with, ``kinds``
    those that it may hold.
    """
    try:
        for document in documents(manifest):
            if why := _trouble(document, names, kinds) or _unexpected_hook(document):
                return _violation(document, why)
        for hook in hooks:
            for document in documents(hook.manifest):
                if why := _trouble(document, names, kinds) or _hook_trouble(hook, document, values):
                    return _violation(document, why)
    except ManifestError as error:
        return Violation("", str(error), source=error.source)
    return None


def judge_rendered(
    text: str, names: Names, values: Mapping[str, Any], kinds: Container[str] = KINDS
) -> Violation | None:
    """The same of ``helm template``, which prints hooks among the rest."""
    try:
        for document in documents(text):
            hook = Hook(document.source, "", tuple(e.strip() for e in _annotation(document, HOOK).split(",")))
            if why := _trouble(document, names, kinds) or (
                _hook_trouble(hook, document, values) if _annotation(document, HOOK) else ""
            ):
                return _violation(document, why)
    except ManifestError as error:
        return Violation("", str(error), source=error.source)
    return None


def _violation(document: Document, why: str) -> Violation:
    kind = document.body.get("kind")
    return Violation(document.title, why, document.name, str(kind or ""), document.source)


def _annotation(document: Document, key: str) -> str:
    found = document.metadata.get("annotations")
    return str(found.get(key) or "") if isinstance(found, Mapping) else ""


def _unexpected_hook(document: Document) -> str:
    return "it is a hook, and Helm takes it for none" if _annotation(document, HOOK) else ""


def _hook_trouble(hook: Hook, document: Document, values: Mapping[str, Any]) -> str:
    """Why a hook is not one of the chart's own; empty when it is."""
    for own in _OWN_HOOKS:
        if own.file in f"/{hook.path}" and document.body.get("kind") in own.kinds and document.name.endswith(own.names):
            on: Any = values
            for key in own.value:
                on = on.get(key) if isinstance(on, Mapping) else None
            if on is not True:
                return f"it is a hook, and {'.'.join(own.value)} is not true"
            return "" if set(hook.events) <= set(_HOOK_EVENTS) else "it is a hook that is not the chart's own"
    return "it is a hook that is not the chart's own"


def _trouble(document: Document, names: Names, kinds: Container[str]) -> str:
    """Why one object must not be applied; empty when it may."""
    if document.kind not in kinds:
        return "a hub has no objects of this kind"
    meta = document.body.get("metadata")
    if not isinstance(meta, Mapping) or not isinstance(meta.get("name"), str) or not meta["name"]:
        return "it has no name"
    if meta.get("namespace") not in (None, names.namespace):
        return f"it is for namespace {meta['namespace']}, not {names.namespace}"
    for field in ("labels", "annotations"):
        if not isinstance(meta.get(field) or {}, Mapping):
            return f"metadata.{field} is no object"
    for key in ("ownerReferences", "finalizers", "generateName", "managedFields"):
        if meta.get(key):
            return f"it sets metadata.{key}"
    if _annotation(document, _RELEASE_NAME) not in ("", names.name):
        return "it says that it belongs to another Helm release"
    if _annotation(document, _RELEASE_NAMESPACE) not in ("", names.namespace):
        return "it says that it belongs to another Helm release"
    special = _SPECIAL.get(str(document.body["kind"]))
    return _reserved(document, names) or (special(document.body, names) if special else "") or _pods(document.body)


def _reserved(document: Document, names: Names) -> str:
    kind, name = document.body["kind"], document.name
    taken = {"Secret": (names.keys, names.sign_in, names.door), "ConfigMap": (names.notice, names.door)}.get(
        str(kind), (names.door,)
    )
    if name in taken or name.startswith(RESERVED):
        return "PDSHub itself has an object of this name"
    if kind == "PersistentVolumeClaim" and not name.endswith(DATABASE_CLAIM):
        return "the only claim of a hub's chart is that of its database"
    return ""


def _secret(body: Mapping[str, Any], names: Names) -> str:
    if str(body.get("type") or "") not in _SECRET_TYPES or str(body["metadata"]["name"]).startswith(_RELEASE_SECRET):
        return "a hub's chart makes no Secret of this type"
    return ""


def _service(body: Mapping[str, Any], names: Names) -> str:
    spec = body.get("spec")
    if not isinstance(spec, Mapping):
        return "it has no spec"
    if spec.get("externalIPs"):
        return "it sets externalIPs, which draw others' connections"
    if spec.get("externalName") or spec.get("type") == "ExternalName":
        return "it points to a name elsewhere"
    return ""


def _role_binding(body: Mapping[str, Any], names: Names) -> str:
    role, subjects = body.get("roleRef"), body.get("subjects") or []
    if not isinstance(role, Mapping) or role.get("kind") != "Role":
        return "it refers to something else than a Role of its namespace"
    if str(role.get("name") or "").startswith(RESERVED):
        return "it refers to a Role of PDSHub itself"
    for subject in subjects if isinstance(subjects, list) else [None]:
        if not isinstance(subject, Mapping) or subject.get("kind") != "ServiceAccount":
            return "it gives rights to something else than an account of its namespace"
        if subject.get("namespace") not in (None, names.namespace) or str(subject.get("name")) == _ACCOUNT:
            return "it gives rights to an account that is not the hub's"
    return ""


_SPECIAL: Mapping[str, Callable[[Mapping[str, Any], Names], str]] = {
    "Secret": _secret,
    "Service": _service,
    "RoleBinding": _role_binding,
}


def _pods(body: Mapping[str, Any]) -> str:
    """Why the pods of a workload must not be; what they may do is the namespace's Pod Security to say."""
    found: Any = body
    for key in ("spec", "template", "spec"):
        found = found.get(key) if isinstance(found, Mapping) else None
    for key in ("serviceAccountName", "serviceAccount"):
        if isinstance(found, Mapping) and str(found.get(key) or "").startswith(RESERVED):
            return "its pods run as an account of PDSHub itself"
    return ""
