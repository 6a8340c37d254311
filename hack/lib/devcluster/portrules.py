"""Port mappings that dead containers left in the packet filter.

netavark (podman's network setup) sends a host port to the first container that claims it. When a container dies
together with podman's monitor nobody takes its rules away, and the next container of the same port is never reached.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection

from .run import StepFailed, output, succeeds


def stale(rules: str, ids: Collection[str], addresses: Collection[str]) -> list[list[str]]:
    """Arguments of ``iptables -t nat`` that delete what belongs to no container.

    ``rules`` is what ``iptables -t nat -S`` prints; ``ids`` and ``addresses`` are those of the containers that run.
    """
    found = []
    for line in rules.splitlines():
        words = shlex.split(line)
        if len(words) < 2 or words[0] != "-A" or not words[1].startswith("NETAVARK-"):
            continue
        owner = re.search(r"\bid: ([0-9a-f]{64})", line)
        target = re.search(r"--to-destination ([0-9.]+):", line)
        if (owner and owner[1] not in ids) or (target and target[1] not in addresses):
            found.append(["-D", *words[1:]])
    return found


def remove_stale(ids: Collection[str], addresses: Collection[str]) -> int:
    """Delete stale rules and return how many there were."""
    try:
        rules = output(["iptables", "-t", "nat", "-S"])
    except StepFailed:
        return 0  # no iptables, so no rules by it
    gone = stale(rules, ids, addresses)
    for rule in gone:
        succeeds(["iptables", "-w", "-t", "nat", *rule])
    return len(gone)
