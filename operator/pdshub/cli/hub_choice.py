"""Which hub a command is about: ``--hub NAMESPACE/NAME``, a namespace, or the only one that there is."""

from __future__ import annotations

import argparse
import re
from typing import Any

from pdshub.cli.choose import ChoiceError
from pdshub.cli.kubectl import Kubectl
from pdshub.wellknown import GROUP

Json = dict[str, Any]
HUBS = f"pdshubs.{GROUP}"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HUB = re.compile(rf"({_LABEL})/({_LABEL})")
_OBJECT = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


class UseError(ChoiceError):
    """What was written can not be done; the text names the word and what to write."""

    code = 2


def named(text: str) -> tuple[str, str]:
    """Namespace and name of ``--hub``. Raises argparse.ArgumentTypeError."""
    found = _HUB.fullmatch(text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r}: write NAMESPACE/NAME, like hub/sbn")
    return found[1], found[2]


def is_object_name(text: Any) -> bool:
    """Whether a text may name an object, and so be an argument of kubectl.

    Source: Kubernetes, Object names and IDs, DNS subdomain names.
    """
    return isinstance(text, str) and len(text) <= 253 and bool(_OBJECT.fullmatch(text))


def arguments(sub: argparse.ArgumentParser) -> None:
    """``--hub`` of a command line."""
    sub.add_argument("--hub", type=named, default=None, metavar="NAMESPACE/NAME", help="the hub that is meant")


def key(hub: Json) -> tuple[str, str]:
    """Namespace and name of a hub."""
    return str(hub["metadata"].get("namespace") or ""), str(hub["metadata"]["name"])


def every(kubectl: Kubectl, args: argparse.Namespace) -> list[Json]:
    """The hubs that are meant, by namespace and name: where none is, all of the cluster.

    Raises UseError, KubectlError.
    """
    if args.hub:
        namespace, name = args.hub
        if args.namespace not in ("", namespace):
            raise UseError(f"--hub says namespace {namespace}, and -n {args.namespace}: leave out -n")
        return [kubectl.get(HUBS, name, "-n", namespace)]
    where = ["-n", args.namespace] if args.namespace else ["--all-namespaces"]
    return sorted(kubectl.items(HUBS, *where), key=key)


def one(kubectl: Kubectl, args: argparse.Namespace) -> Json:
    """The one hub that is meant. Raises UseError where there is none, or more than one."""
    found = every(kubectl, args)
    if len(found) == 1:
        return found[0]
    where = f"in namespace {args.namespace}" if args.namespace else "that you may see"
    if not found:
        raise UseError(f"there is no hub {where}: name one with --hub NAMESPACE/NAME")
    names = ", ".join("/".join(key(hub)) for hub in found[:20])
    raise UseError(f"there are {len(found)} hubs {where}: say which with --hub NAMESPACE/NAME: {names}")
