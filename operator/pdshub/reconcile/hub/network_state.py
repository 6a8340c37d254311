"""The network policies of a hub: which have to be written, and whether somebody has tried that they hold. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pdshub import network_rules
from pdshub.kube import Object
from pdshub.reconcile.common.objects import Step

NOT_PROBED = "nobody has tried whether the cluster enforces network policies: kubectl pdshub probe {} --record"


@dataclass(frozen=True)
class NetworkState:
    """Whether the hub's policies hold. ``enforced`` is None while nobody knows."""

    enforced: bool | None
    reason: str
    message: str


def judge_policies(wanted: Sequence[Object], found: Sequence[Object]) -> tuple[Step, ...]:
    """The policies that are missing or differ, as steps."""
    known = {item["metadata"]["name"]: item for item in found}
    return tuple(
        Step(f"NetworkPolicy {body['metadata']['name']} is written", body, "apply")
        for body in wanted
        if not _same(body, known.get(body["metadata"]["name"]))
    )


def _same(wanted: Object, found: Object | None) -> bool:
    if found is None or network_rules.normal(found.get("spec") or {}) != wanted["spec"]:
        return False
    owners = {owner.get("uid") for owner in found["metadata"].get("ownerReferences") or []}
    return {owner["uid"] for owner in wanted["metadata"]["ownerReferences"]} <= owners


def judge_network(namespace: str, wanted: Sequence[Object], record: Object | None) -> NetworkState:
    """What the last probe of this hub found. ``record`` is the installation's ConfigMap of probes.

    Only who may write in the installation's namespace can record one: whoever writes PDSHubs can not. A record of
    other policies than the present ones says nothing of these.
    """
    said = ((record or {}).get("data") or {}).get(namespace)
    probe = _probe(said)
    if probe is None:
        return NetworkState(None, "NotProbed", NOT_PROBED.format(namespace))
    digest = network_rules.policies_digest({body["metadata"]["name"]: body["spec"] for body in wanted})
    when = str(probe.get("at", ""))[:32]
    if probe.get("policies") != digest:
        again = f"the policies have changed since the probe of {when}: kubectl pdshub probe {namespace} --record"
        return NetworkState(None, "PoliciesChanged", again)
    reached, unproven = _words(probe.get("reached")), _words(probe.get("unproven"))
    if reached:
        message = f"the probe of {when} reached what is closed: {reached}: see to the cluster's network plugin"
        return NetworkState(False, "Reached", message)
    if unproven:
        message = f"the probe of {when} reached nothing that is closed, but nothing shows that these answer: {unproven}"
        return NetworkState(None, "NotProven", message)
    return NetworkState(True, "Probed", f"the probe of {when} reached what is declared and nothing else that answers")


def _probe(text: Any) -> Mapping[str, Any] | None:
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _words(value: Any) -> str:
    return ", ".join(str(word)[:80] for word in value[:8]) if isinstance(value, list) else ""
