"""``kubectl pdshub export compose``: a hub of the cluster for one machine without Kubernetes. Nothing is changed."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pdshub.api import name_file
from pdshub.cli import hub_choice
from pdshub.cli.archive import VIEWS, CliError, Said
from pdshub.cli.hub_choice import UseError, key
from pdshub.cli.kubectl import Kubectl, KubectlError
from pdshub.compose import export, options, place, source
from pdshub.compose.text import ExportError

Json = dict[str, Any]
SYSTEM = "pdshub-system"


def arguments(areas: Any, common: Callable[[], argparse.ArgumentParser]) -> None:
    """The command lines of ``export``."""
    commands = areas.add_parser("export", help="from a PDSHub to a hub of another kind").add_subparsers(
        dest="command", required=True, metavar="COMMAND"
    )
    text = "Docker Compose files for one machine without Kubernetes: the same images, list, limits and archive"
    sub: argparse.ArgumentParser = commands.add_parser("compose", parents=[common()], help=text, description=text)
    hub_choice.arguments(sub)
    sub.add_argument(
        "--system", default=SYSTEM, metavar="NAMESPACE", help=f"where PDSHub is installed (default {SYSTEM})"
    )
    options.arguments(sub)
    sub.set_defaults(run=run)


def run(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Reads the hub, its view and its lists, and writes the files. Secrets are not read."""
    chosen = hub_choice.one(kubectl, args)
    namespace, name = key(chosen)
    try:
        hub = source.hub([chosen, *_view(kubectl, chosen)])
        found = options.installation(_installation(kubectl, args))
        more = _lists(kubectl, namespace, hub)
        made = export.make(hub, options.machine(args, hub, found), more)
        written = place.write(Path(args.to or name), made.files)
    except ExportError as error:
        raise UseError(str(error)) from None
    text = "\n".join([made.text, "", "written:", *(f"  {each}" for each in written)])
    return {**made.report, "files": written}, text, 0


def _view(kubectl: Kubectl, hub: Json) -> list[Json]:
    archive = (hub.get("spec") or {}).get("archive") or {}
    named = archive.get("viewRef")
    if named is None:
        return []
    if not hub_choice.is_object_name(named):
        raise UseError(f"spec.archive.viewRef {str(named)[:80]!r} is no name of a view")
    return [kubectl.get(VIEWS, str(named))]


def _installation(kubectl: Kubectl, args: argparse.Namespace) -> str:
    """The installation's settings; none where every image is named. Raises CliError."""
    try:
        found = kubectl.get("configmap", "pdshub-installation", "-n", args.system)
    except KubectlError as error:
        if all(getattr(args, f"{name}_image") for name in ("hub", "proxy", "user")):
            return ""
        raise CliError(
            f"the installation's images are not known ({error}): name them: --hub-image, --proxy-image, --user-image"
        ) from None
    text = (found.get("data") or {}).get("installation.yaml")
    return text if isinstance(text, str) else ""


def _lists(kubectl: Kubectl, namespace: str, hub: source.Hub) -> dict[str, list[str]]:
    """The names in objects that ``spec.users.from`` names. Raises CliError, UseError."""
    made: dict[str, list[str]] = {}
    for each in hub.spec.users.from_:
        if not hub_choice.is_object_name(each.where.name):
            raise UseError(f"spec.users.from: {each.where.name!r} is no name of a {each.kind}")
        if each.kind == "Secret":
            # the plugin reads no Secrets: who may, appends the names
            raise CliError(
                f"spec.users.from names Secret {each.where.name}, which is not read here: write the export from files"
                f" (pdshub-compose render), with --names {each.as_}=FILE"
            )
        found = kubectl.get("configmap", each.where.name, "-n", namespace)
        data: Mapping[str, Any] = found.get("data") or {}
        text = data.get(each.where.key)
        if not isinstance(text, str):
            raise CliError(f"ConfigMap {namespace}/{each.where.name} has no key {each.where.key}")
        made.setdefault(each.as_, []).extend(name_file.names(text))
    return made
