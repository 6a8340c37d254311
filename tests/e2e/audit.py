"""What the API server wrote down of PDSHub's accounts, beside what their roles grant: pure.

Source: Kubernetes, Auditing (events of audit.k8s.io/v1, one JSON document a line) and Using RBAC Authorization.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Use:
    """One request. ``resource`` carries its subresource (pods/log); ``acting_as`` is empty without impersonation."""

    account: str
    acting_as: str
    verb: str
    group: str
    resource: str
    namespace: str
    name: str
    code: int
    said: str


@dataclass(frozen=True, order=True)
class Grant:
    """One verb on one resource that a role gives, by name only where ``names`` says so."""

    role: str
    verb: str
    group: str
    resource: str
    names: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The resource as kubectl calls it, with its group."""
        return f"{self.resource}.{self.group}" if self.group else self.resource

    def __str__(self) -> str:
        return f"{self.role}: {self.verb} {self.kind}{' ' + ','.join(self.names) if self.names else ''}"


def uses(lines: Iterable[str], since: str) -> list[Use]:
    """The requests of a log that came at ``since`` (RFC 3339) or later. A line that is cut short is left out."""
    found = []
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if str(event.get("requestReceivedTimestamp", "")) < since or "objectRef" not in event:
            continue
        about, answer = event["objectRef"], event.get("responseStatus") or {}
        sub = about.get("subresource")
        found.append(
            Use(
                account=_short(event["user"]["username"]),
                acting_as=_short((event.get("impersonatedUser") or {}).get("username", "")),
                verb=event["verb"],
                group=about.get("apiGroup", ""),
                resource=about.get("resource", "") + (f"/{sub}" if sub else ""),
                namespace=about.get("namespace", ""),
                name=about.get("name", ""),
                code=int(answer.get("code", 0)),
                said=str(answer.get("message", "")),
            )
        )
    return found


def _short(username: str) -> str:
    """namespace/name of a service account."""
    return "/".join(username.split(":")[2:]) if username.startswith("system:serviceaccount:") else username


def grants(role: Mapping[str, Any]) -> list[Grant]:
    """Every verb on every resource that a Role or ClusterRole gives."""
    return [
        Grant(role["metadata"]["name"], verb, group, resource, tuple(rule.get("resourceNames") or ()))
        for rule in role.get("rules") or ()
        for group in rule.get("apiGroups") or ()
        for resource in rule.get("resources") or ()
        for verb in rule["verbs"]
    ]


READS = ("get", "list", "watch")


def unused(given: Iterable[Grant], made: Iterable[Use]) -> list[Grant]:
    """Grants that none of the requests needed.

    The three verbs that read tell the same, so one of them is use enough for all. A server-side apply is a patch in the
    log, and needs the right to create as well.
    """
    seen = {(use.verb, use.group, use.resource) for use in made}
    seen |= {(verb, group, what) for did, group, what in seen for verb in READS if did in READS}
    seen |= {("create", group, what) for did, group, what in seen if did == "patch"}
    return sorted({grant for grant in given if (grant.verb, grant.group, grant.resource) not in seen})
