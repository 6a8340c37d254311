"""Asks the operator for a HubBackup or a HubRestore, and follows it to its end."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pdshub.api.base import Model
from pdshub.cli import change
from pdshub.cli.archive import CliError
from pdshub.cli.hub_choice import UseError, key
from pdshub.cli.kubectl import Kubectl, KubectlError
from pdshub.wellknown import API_VERSION, CHANGED_BY, GROUP, PLUGIN

Json = dict[str, Any]
BACKUPS, RESTORES = f"hubbackups.{GROUP}", f"hubrestores.{GROUP}"
KINDS = {BACKUPS: "HubBackup", RESTORES: "HubRestore"}
POLL_SECONDS = 1.0
STILL_SECONDS = 60.0
"""After so long without anything new it is said that it still goes on."""
DEAF_SECONDS = 60.0
"""How long the API server may be silent while something is followed, which goes on without the plugin."""
PARTLY = 4
"""Exit code: done in part."""
_NO_KIND = ("no matches for kind", "the server doesn't have a resource type", "could not find the requested resource")
AnyModel = TypeVar("AnyModel", bound=Model)


def checked(model: type[AnyModel], flags: Mapping[str, str], content: Json) -> AnyModel:
    """The spec of an object, as the API server would take it.

    ``flags``: by field what a person writes for it. Raises UseError, which names the flag and what to write.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        said = []
        for problem in error.errors()[:5]:
            field = str(problem["loc"][0]) if problem["loc"] else ""
            where = flags.get(field, f"spec.{field}" if field else "this")
            said.append(f"{where}: {_why(problem)}")
        raise UseError("\n".join(said)) from None


def _why(problem: ErrorDetails) -> str:
    kind, bounds = problem["type"], problem.get("ctx") or {}
    if kind in ("too_long", "string_too_long"):
        return f"at most {bounds.get('max_length')} characters"
    if kind in ("too_short", "string_too_short"):
        return f"at least {bounds.get('min_length')} characters"
    return problem["msg"].removeprefix("Value error, ")


def configured(hub: Json) -> Json:
    """``spec.backup`` of a hub. Raises CliError where it has none."""
    found = (hub.get("spec") or {}).get("backup")
    if not isinstance(found, dict):
        raise CliError(
            f"hub {'/'.join(key(hub))} has no spec.backup: say there where backups are kept, as docs/backup.md shows"
        )
    return found


def create(
    kubectl: Kubectl, kind: str, hub: Json, verb: str, spec: Model, words: Sequence[str], *, dry_run: bool = False
) -> Json:
    """Makes the object; ``kind``: BACKUPS or RESTORES; ``words``: the command, which is noted in it.

    Names of people are in its content, not in arguments. Raises CliError, KubectlError.
    """
    namespace, name = key(hub)
    meta: Json = {"generateName": f"{name}-{verb}-", "namespace": namespace}
    meta["annotations"] = {CHANGED_BY: change.by(kubectl, words)}
    body = {"apiVersion": API_VERSION, "kind": KINDS[kind], "metadata": meta, "spec": spec.wire()}
    only = ["--dry-run=server"] if dry_run else []
    line = ["create", "-n", namespace, f"--field-manager={PLUGIN}", "-f", "-", "-o", "json", *only]
    try:
        text = kubectl.run(*line, stdin=json.dumps(body))
    except KubectlError as error:
        if any(sign in str(error) for sign in _NO_KIND):
            raise CliError(
                f"the cluster knows no {KINDS[kind]}: upgrade PDSHub and its CustomResourceDefinitions"
            ) from None
        raise
    try:
        made = json.loads(text)
    except (ValueError, RecursionError):
        made = None
    if not isinstance(made, dict) or not isinstance(made.get("metadata"), dict):
        raise KubectlError(f"kubectl create of a {KINDS[kind]}: no object")
    return made


@dataclass(frozen=True)
class Followed:
    """An object as it was seen last, and whether it has ended."""

    found: Json
    over: bool


def look_again(kind: str, namespace: str, name: str) -> str:
    """The command that shows how something goes on."""
    if kind == BACKUPS:
        return f"kubectl pdshub backup show {shlex.quote(name)} -n {shlex.quote(namespace)}"
    return f"kubectl get {RESTORES} {shlex.quote(name)} -n {shlex.quote(namespace)} -o yaml"


def follow(
    kubectl: Kubectl,
    kind: str,
    made: Json,
    over: Callable[[Json], bool],
    steps: Callable[[Json], Sequence[str]],
    told: Callable[[str], None],
    seconds: float,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Followed:
    """Looks at an object until it has ended, or the time is over. ``told`` hears each step once, and signs of life.

    It goes on in the cluster whatever becomes of the plugin: Ctrl-C says so, and so does an API server that stays
    silent. Raises CliError.
    """
    namespace, name = str(made["metadata"].get("namespace") or ""), str(made["metadata"].get("name") or "")
    found, said = made, set[str]()
    began = heard = spoken = clock()
    try:
        while True:
            try:
                found, heard = kubectl.get(kind, name, "-n", namespace), clock()
            except KubectlError as error:
                if "not found" in str(error).lower():
                    raise CliError(f"{KINDS[kind]} {namespace}/{name} was deleted before its end") from None
                if clock() - heard >= DEAF_SECONDS:
                    again = look_again(kind, namespace, name)
                    raise CliError(f"the API server is away: {error}\nit goes on in the cluster: {again}") from None
            for line in steps(found):
                if line not in said:
                    said.add(line)
                    told(line)
                    spoken = clock()
            if over(found):
                return Followed(found, True)
            if clock() - began >= seconds:
                return Followed(found, False)
            if clock() - spoken >= STILL_SECONDS:
                told(f"… still going on, {int(clock() - began) // 60} min by now")
                spoken = clock()
            sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        told(f"it goes on in the cluster: {look_again(kind, namespace, name)}")
        raise
