"""Whether buckets that an installation allows can be read, as far as the API server tells: points of ``check``. Pure.

Whether a service answers, and takes the keys, is tried by nodes and surveyors: views with a source there say so.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from pdshub import network_rules
from pdshub.api.s3_source import AMAZON
from pdshub.cli.check_points import Json, Point, reached

KEYS = ("access-key-id", "secret-access-key")
Held = Mapping[str, frozenset[str] | None]
"""Names of each Secret's keys, None for one that is not there. Of one that may not be read nothing is known."""
WHAT = "S3"


def points(views: Sequence[Json] | None, rules: Sequence[Json], held: Held, namespace: str) -> list[Point]:
    """``rules``: archive.buckets of the installation; ``namespace``: where surveyors and the Secrets are."""
    found = [point for rule in rules for point in _rule(rule, held, namespace)]
    if rules and not [point for point in found if point.mark == "failed"]:
        found.append(Point("ok", WHAT, f"{len(rules)} allowed, and nothing that they name is missing"))
    tried = reached(WHAT, views, lambda source: bool(source.get("s3")))
    if rules and not tried:
        url = _url(rules[0])
        tried = [Point("warning", WHAT, "whether the service answers, and takes the keys, no API server tells",
                       f"a view with such a source says it; on a node: curl -sSI {url}")]  # fmt: skip
    return [*found, *tried]


def _url(rule: Json) -> str:
    return str(rule.get("endpoint") or AMAZON)


def _rule(rule: Json, held: Held, namespace: str) -> list[Point]:
    bucket, secrets = f"bucket {rule.get('bucket')}", [str(name) for name in rule.get("secrets") or []]
    found = []
    if not secrets and rule.get("podIdentity") is not True:
        found.append(Point("failed", WHAT, f"{bucket}: nobody reads it: its rule has neither secrets nor podIdentity",
                           "name one in archive.buckets (docs/archive/s3.md)"))  # fmt: skip
    for secret in secrets:
        keys = held.get(secret, frozenset(KEYS))
        missing = KEYS if keys is None else [key for key in KEYS if key not in keys]
        if keys is None or len(missing) == 1:  # one without both has certificates of a private CA
            lacks = "is not there" if keys is None else f"has no key {missing[0]}"
            found.append(Point("failed", WHAT, f"{bucket}: Secret {secret} of namespace {namespace} {lacks}",
                               f"kubectl create secret generic {secret} -n {namespace} "
                               + " ".join(f"--from-literal={key}=…" for key in KEYS)))  # fmt: skip
    url = urlsplit(_url(rule))
    if url.scheme == "http":
        found.append(Point("warning", WHAT, f"{bucket}: over plain HTTP everybody on the way reads along",
                           "https://, where the service has it"))  # fmt: skip
    if not rule.get("ranges") and _closed(url.hostname or ""):
        found.append(Point("failed", WHAT, f"{bucket}: surveyors do not reach {url.hostname}, a private address",
                           f"ranges: [{url.hostname}/32] in its rule in archive.buckets"))  # fmt: skip
    return found


def _closed(host: str) -> bool:
    """Whether a host is an address that is closed unless its range is named."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    blocks: list[Any] = network_rules.internet()
    return not network_rules.is_in(host, blocks)
