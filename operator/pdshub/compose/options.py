"""What a person says about the machine, on either command line. Pure."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from pdshub.api import name_file
from pdshub.api.refusal import refusal_words
from pdshub.compose import source
from pdshub.compose.machine import NETWORK, PROGRAM, PUBLISH, Front, Images, Machine, front_of
from pdshub.compose.source import Hub
from pdshub.compose.text import ExportError
from pdshub.installation import Defaults, Installation, SignInProviders

IMAGES = ("hub", "proxy", "user", "door")
_ROLES = ("allowed", "admins")


def arguments(sub: argparse.ArgumentParser) -> None:
    """Options about the machine."""
    sub.add_argument("--to", default="", metavar="DIR", help="folder for the files (default: the hub's name)")
    sub.add_argument(
        "--folder", default="", metavar="DIR", help="where they will lie on the machine (default /srv/pdshub/NAME)"
    )
    sub.add_argument(
        "--front", choices=[str(one) for one in Front], default="",
        help="who ends TLS: Apache of the machine, Caddy in a container, nobody (default: as spec.tls says)",
    )  # fmt: skip
    for name in IMAGES:
        sub.add_argument(
            f"--{name}-image", default="", metavar="IMAGE", help=f"the {name} image (default: the installation's)"
        )
    sub.add_argument("--publish", default=PUBLISH, metavar="ADDRESS:PORT", help=f"of the proxy (default {PUBLISH})")
    sub.add_argument(
        "--network", default=NETWORK, metavar="CIDR", help=f"a range that nobody else has (default {NETWORK})"
    )
    sub.add_argument(
        "--program", default=PROGRAM, metavar="FILE", help=f"where pdshub-compose will be (default {PROGRAM})"
    )


def installation(text: str) -> Installation:
    """The installation's settings: those of a cluster's ConfigMap, or values of the chart. Raises ExportError."""
    document = source.parsed(text) if text else {}
    if not isinstance(document, Mapping):
        raise ExportError("--installation: no map of values")
    # values of the chart have more than this, and other parts are none of this machine's
    try:
        return Installation(
            defaults=Defaults.model_validate(_part(document, "defaults")),
            sign_in=SignInProviders.model_validate(_part(document, "signIn")),
        )
    except ValidationError as error:
        raise ExportError(f"--installation: {refusal_words(error, 'installation')}") from None


def _part(document: Mapping[str, Any], key: str) -> Any:
    return document.get(key) or {}


def machine(args: argparse.Namespace, hub: Hub, found: Installation) -> Machine:
    """The machine. Raises ExportError."""
    images = {name: getattr(args, f"{name}_image") or getattr(found.defaults.images, name) for name in IMAGES}
    return Machine(
        name=hub.name,
        images=Images(**images),
        front=Front(args.front) if args.front else front_of(hub.spec),
        folder=args.folder,
        network=args.network,
        publish=args.publish,
        program=args.program,
        provider=found.sign_in.google,
    )


def named(text: str) -> tuple[str, str]:
    """Role and file of ``--names``. Raises ExportError."""
    role, equals, file = text.partition("=")
    if role not in _ROLES or not equals or not file:
        raise ExportError(f"--names {text}: write allowed=FILE or admins=FILE")
    return role, file


def names(texts: Mapping[str, str]) -> dict[str, list[str]]:
    """Names of lists, by what they are."""
    return {role: name_file.names(text) for role, text in texts.items()}
