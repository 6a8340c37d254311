"""What a hub that comes back from its backup needs: what its Jobs are asked, its claims as hub and spawner would make
them, and its keys.

A claim is marked (RECOVERING) until its content is there: no server starts with it, and nobody saves it. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pdshub.api.backup_job import JobRequest
from pdshub.api.hub_backup import Backup, Key
from pdshub.api.hub_bootstrap import Recovery
from pdshub.render import keys
from pdshub.render.backup_job import Identity
from pdshub.render.backup_repository import Place
from pdshub.render.backup_request import DATABASE, KEYS, OBJECTS, of_init, source_of
from pdshub.render.names import DATABASE_CLAIM, HOME_CLAIM, HOME_LABELS, HUB_LABEL, Names
from pdshub.render.server import UID
from pdshub.render.signin import PASSWORD_KEY
from pdshub.wellknown import HOME_OF, RECOVERED, RECOVERING, USERNAME

PARTS = (DATABASE, KEYS, OBJECTS)
"""Items beside homes."""
HUB_KEYS = (keys.COOKIE_KEY, keys.CRYPT_KEY, keys.TOKEN_KEY)
"""Keys of the Secret that the operator makes for a hub: no other comes back."""
LONGEST = 4096
_DATABASE_SIZE, _HOME_SIZE = "1Gi", "10Gi"
"""Where values say nothing: the charts' own."""


def saved_names(recovery: Recovery, names: Names) -> Names:
    """Names of the hub that was saved."""
    if not recovery.hub:
        return names
    namespace, _, name = recovery.hub.partition("/")
    return Names(namespace, name)


def as_backup(recovery: Recovery, names: Names, own: Backup | None) -> Backup:
    """The same as a spec of backups, by which Jobs are made. ``own``: what the hub's spec says of its backups.

    A bucket's folder goes by the name of the hub that was saved.
    """
    where = recovery.repository
    if where.s3 and not where.s3.prefix:
        saved = saved_names(recovery, names)
        s3 = where.s3.model_copy(update={"prefix": f"{saved.namespace}/{saved.name}"})
        where = where.model_copy(update={"s3": s3})
    key = Key(secret_ref=recovery.key.secret_ref) if recovery.key else Key()
    made = Backup(repository=where, key=key)
    return made if own is None else made.model_copy(update={"deadline_minutes": own.deadline_minutes})


def request(
    backup: Backup, where: Place, saved: Names, run: str, action: str, item: str = "", **more: object
) -> JobRequest:
    """What a Job is asked. ``saved``: names of the hub whose snapshots are looked for."""
    base = of_init(backup, where, saved, run)
    about: dict[str, object] = {"item": item, "source": source_of(item)} if item else {}
    fields = {**base.model_dump(), "action": action, "unlock": False, **about, **more}
    return JobRequest.model_validate(fields)


# --- claims


def _dig(values: Any, *path: str) -> Any:
    for part in path:
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def _words(found: Any) -> dict[str, str]:
    """Labels or annotations of values. One that the spawner would fill in is left out."""
    pairs = found.items() if isinstance(found, Mapping) else ()
    return {str(key): str(value) for key, value in pairs if isinstance(value, str | int) and "{" not in f"{value}"}


def _spec(modes: Any, storage: Any, storage_class: Any, fallback: str) -> dict[str, Any]:
    listed = [str(mode) for mode in modes] if isinstance(modes, list) and modes else ["ReadWriteOnce"]
    named = {"storageClassName": storage_class} if isinstance(storage_class, str) else {}
    return {"accessModes": listed, **named, "resources": {"requests": {"storage": str(storage or fallback)}}}


def database_claim(names: Names, values: Mapping[str, Any], snapshot: str) -> dict[str, Any]:
    """The claim of the database as the chart would make it, with Helm's marks: the release has it from the beginning.

    Source: zero-to-jupyterhub 4.4, templates/hub/pvc.yaml; Helm 3, pkg/action/validate.go (checkOwnership).
    """
    pvc = _dig(values, "hub", "db", "pvc")
    marks = {
        "helm.sh/resource-policy": "keep",
        **_words(_dig(pvc, "annotations")),
        "meta.helm.sh/release-name": names.name,
        "meta.helm.sh/release-namespace": names.namespace,
        RECOVERING: snapshot,
    }
    spec = _spec(_dig(pvc, "accessModes"), _dig(pvc, "storage"), _dig(pvc, "storageClassName"), _DATABASE_SIZE)
    if isinstance(selector := _dig(pvc, "selector"), Mapping):
        spec["selector"] = dict(selector)
    labels = {"app.kubernetes.io/managed-by": "Helm", "component": "hub", HUB_LABEL: names.name}
    return _claim(names, DATABASE_CLAIM, labels, marks, spec)


def home_claim(names: Names, values: Mapping[str, Any], user: str, name: str, snapshot: str) -> dict[str, Any]:
    """The claim of a home as the spawner would make it; without a snapshot it is empty, and so without the mark.

    Source: KubeSpawner 7, get_pvc_manifest.
    """
    storage = _dig(values, "singleuser", "storage")
    mark = {RECOVERING: snapshot} if snapshot else {}
    notes = {**_words(_dig(storage, "extraAnnotations")), USERNAME: user, HOME_OF: user, **mark}
    labels = {
        **_words(_dig(storage, "extraLabels")),
        **HOME_LABELS,
        "app.kubernetes.io/component": "singleuser-server",
        HUB_LABEL: names.name,
    }
    modes, storage_class = (_dig(storage, "dynamic", key) for key in ("storageAccessModes", "storageClass"))
    return _claim(names, name, labels, notes, _spec(modes, _dig(storage, "capacity"), storage_class, _HOME_SIZE))


def _claim(
    names: Names, name: str, labels: Mapping[str, str], notes: Mapping[str, str], spec: Mapping[str, Any]
) -> dict[str, Any]:
    meta = {"name": name, "namespace": names.namespace, "labels": dict(labels), "annotations": dict(notes)}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": dict(spec)}


def template_of(values: Mapping[str, Any]) -> str:
    """What names claims of homes."""
    return str(_dig(values, "singleuser", "storage", "dynamic", "pvcNameTemplate") or HOME_CLAIM)


def hub_identity(values: Mapping[str, Any]) -> Identity:
    """As whom the hub reads its database: what values say, where it is an id and not root's."""

    def number(*path: str) -> int:
        found = _dig(values, "hub", *path)
        return found if type(found) is int and 0 < found < 2**31 else UID

    return Identity(number("containerSecurityContext", "runAsUser"), number("podSecurityContext", "fsGroup"))


# --- keys


def key_paths(saved: Names) -> list[str]:
    """Where the keys that come back lie in item keys: those that the operator makes, and none that somebody gave."""
    return [*(f"{saved.keys}/{key}" for key in HUB_KEYS), f"{saved.sign_in}/{PASSWORD_KEY}"]


def _line(text: object) -> str:
    """One line without control characters; empty for anything else."""
    found = text.strip() if isinstance(text, str) else ""
    return found if found.isprintable() and len(found) <= LONGEST else ""


def keys_secret(names: Names, saved: Names, found: Mapping[str, object]) -> dict[str, Any]:
    """The Secret of the hub's keys: those that came back; what did not is made anew, as for a new hub."""
    body = keys.hub_keys(names)
    back = {key: line for key in HUB_KEYS if (line := _line(found.get(f"{saved.keys}/{key}")))}
    meta = {**body["metadata"], "annotations": {RECOVERED: "Homes"}}
    return {**body, "metadata": meta, "stringData": {**body["stringData"], **back}}


def password_secret(names: Names, saved: Names, found: Mapping[str, object]) -> dict[str, Any] | None:
    """The Secret of the development password, where one came back."""
    line = _line(found.get(f"{saved.sign_in}/{PASSWORD_KEY}"))
    return {**keys.password(names), "stringData": {PASSWORD_KEY: line}} if line else None


def lost(found: Iterable[str], saved: Names) -> list[str]:
    """Keys without which people notice that the hub is a new one, as far as they did not come back."""
    return [key for key in (keys.COOKIE_KEY, keys.CRYPT_KEY) if f"{saved.keys}/{key}" not in found]
