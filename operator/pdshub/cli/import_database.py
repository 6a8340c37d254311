"""The database of an old hub on its way: a copy that is read, one that is converted, and into the new hub's volume."""

from __future__ import annotations

import base64
import inspect
import json
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pdshub.cli import import_database_pod, import_pod
from pdshub.cli.archive import CliError
from pdshub.cli.hub_choice import UseError
from pdshub.cli.kubectl import Kubectl, KubectlError
from pdshub.dockerspawner import convert
from pdshub.dockerspawner.database import Database
from pdshub.installation import Installation
from pdshub.wellknown import GROUP, MANAGER

Json = dict[str, Any]
CLAIM, SIZE, FOLDER = "hub-db-dir", "1Gi", "/srv/jupyterhub"
"""The claim as zero-to-jupyterhub names it, its size and place in the hub's pod."""
DROP = "drop"
_KEY_BYTES = 32


def converted(copy: Path, target: Path, names: Mapping[str, str], found: Database, crypt_keys: str) -> dict[str, int]:
    """Writes the converted database; returns rows by table. Raises UseError where keys are needed, SourceError."""
    if found.encrypted and not crypt_keys:
        raise UseError(
            f"{found.encrypted} people have an encrypted state of sign-in: --crypt-keys FILE (what the old hub had in"
            f" JUPYTERHUB_CRYPT_KEY), or --crypt-keys {DROP}, which costs them one sign-in"
        )
    part = target.with_suffix(".part")
    part.touch(mode=0o600)
    part.chmod(0o600)
    shutil.copyfile(copy, part)
    rows = convert.convert(part, names, bool(found.encrypted) and crypt_keys != DROP)
    part.replace(target)
    return rows


def keys(text: str) -> list[str]:
    """Keys of CryptKeeper as an environment has them. Raises UseError.

    Source: JupyterHub, crypto.py: 32 bytes, as 64 hexadecimal digits or in base64, joined by semicolons.
    """
    found = [part.strip() for part in text.strip().removeprefix("JUPYTERHUB_CRYPT_KEY=").split(";")]
    for key in found:
        try:
            length = (
                len(bytes.fromhex(key)) if len(key) == 2 * _KEY_BYTES else len(base64.b64decode(key, validate=True))
            )
        except ValueError:
            length = 0
        if length != _KEY_BYTES:
            raise UseError("--crypt-keys: a key is 64 hexadecimal digits, or 32 bytes in base64; keys are joined by ;")
    return found


def secret(hub: str, namespace: str, old: list[str]) -> Json:
    """The Secret of the new hub's keys: new ones, and behind them the old, by which it reads what these wrote."""
    labels = {"app.kubernetes.io/managed-by": MANAGER, f"{GROUP}/hub": hub, f"{GROUP}/namespace": namespace}
    name = f"{hub}-keys"
    data = {
        "hub.config.JupyterHub.cookie_secret": secrets.token_hex(_KEY_BYTES),
        "hub.config.CryptKeeper.keys": ";".join([secrets.token_hex(_KEY_BYTES), *old]),
    }
    meta = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "Opaque", "stringData": data}


def claim(hub: str, namespace: str, storage_class: str) -> Json:
    """The claim of the database, marked so that the operator takes it over."""
    body = import_pod.claim(CLAIM, namespace, hub, "", SIZE, storage_class)
    body["metadata"]["labels"]["component"] = "hub"
    del body["metadata"]["annotations"]
    return body


def load(
    kubectl: Kubectl,
    pods: import_pod.Pods,
    hub: str,
    database: Path,
    old_keys: list[str],
    storage_class: str,
    replace: bool,
) -> str:
    """Puts a converted database into the new hub's volume; says what came of it. Raises CliError, KubectlError."""
    namespace = pods.namespace
    if kubectl.items("pods", "-n", namespace, "-l", "component=hub"):
        raise CliError(
            f"a hub runs in {namespace}: a database under a running hub would be lost. Suspend it (spec.suspend: true),"
            " and kubectl scale deployment/hub --replicas=0"
        )
    there = {str(found["metadata"]["name"]) for found in kubectl.items("persistentvolumeclaims", "-n", namespace)}
    if CLAIM not in there:
        import_pod.create(kubectl, claim(hub, namespace, storage_class))
    if old_keys:
        try:
            import_pod.create(kubectl, secret(hub, namespace, old_keys))
        except KubectlError as error:
            raise CliError(
                f"Secret {hub}-keys can not be made ({error}): put the old keys behind its own, joined by ;, under"
                " hub.config.CryptKeeper.keys"
            ) from None
    name = f"pdshub-import-{secrets.token_hex(4)}"
    try:
        pods.run(name, {CLAIM: FOLDER})
        program = inspect.getsource(import_database_pod)
        command = ["python3", "-c", program, FOLDER, *(["replace"] if replace else [])]
        packed = base64.b64encode(database.read_bytes()).decode()
        said = kubectl.execute(namespace, name, import_pod.CONTAINER, command, lambda words: None, packed)
        answer = json.loads(said.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise CliError("the pod of the database says no result") from None
    finally:
        pods.remove(name)
    aside = f"; the one that was there is {answer['aside']}" if answer.get("aside") else ""
    return f"database: {answer['users']} users, schema {answer['revision']}, in claim {CLAIM}{aside}"


def hub_image(kubectl: Kubectl, system: str, told: str) -> str:
    """The hub's image: as told, else the installation's. Raises CliError."""
    if told:
        return told

    try:
        found = kubectl.get("configmap", "pdshub-installation", "-n", system)
        text = (found.get("data") or {}).get("installation.yaml") or ""
        image = Installation.model_validate(yaml.safe_load(text) or {}).defaults.images.hub
    except (KubectlError, ValueError, yaml.YAMLError) as error:
        raise CliError(f"the hub's image is not known: {str(error)[:300]}; name it with --hub-image") from None
    if not image:
        raise CliError("the installation names no image of hubs (defaults.images.hub): name it with --hub-image")
    return image
