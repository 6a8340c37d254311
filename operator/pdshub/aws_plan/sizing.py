"""Which machines, and how many, hold the servers of a hub. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from pdshub.aws_plan.prices import HOURS, Prices
from pdshub.aws_plan.usage import GIB, Usage

MIB = 1 << 20


@dataclass(frozen=True)
class Machine:
    """An instance type. ``volumes``: of EBS beside its own disk; ``pods``: addresses that the VPC's network gives it.

    Source: AWS, EC2 User Guide, "Amazon EBS volume limits" (28 attachments of a Nitro machine, network interfaces among
    them) and "Maximum IP addresses per network interface"; awslabs/amazon-eks-ami, eni-max-pods.txt.
    """

    name: str
    cores: int
    gib: int
    volumes: int
    pods: int


MACHINES = (
    Machine("m6i.large", 2, 8, 24, 29),
    Machine("r6i.large", 2, 16, 24, 29),
    Machine("m6i.xlarge", 4, 16, 23, 58),
    Machine("r6i.xlarge", 4, 32, 23, 58),
    Machine("m6i.2xlarge", 8, 32, 23, 58),
    Machine("r6i.2xlarge", 8, 64, 23, 58),
    Machine("m6i.4xlarge", 16, 64, 19, 234),
    Machine("r6i.4xlarge", 16, 128, 19, 234),
)
"""Types that the template's UserInstanceType takes."""
LARGER = (Machine("r6i.8xlarge", 32, 256, 19, 234), Machine("r6i.16xlarge", 64, 512, 12, 737))
"""For a single machine alone."""
DAEMON_PODS, DAEMON_MEMORY, DAEMON_CORES = 10, 700 * MIB, 0.35
"""What a node's own pods take: network, storage drivers, PDSHub's node plugin and helper (requests, rounded up)."""


def free_memory(machine: Machine) -> float:
    """Bytes that servers may have.

    Source: awslabs/amazon-eks-ami, kubelet's reservation: 255 MiB and 11 MiB for each pod, and 100 MiB to evict at.
    """
    return machine.gib * GIB - (255 + 11 * machine.pods + 100) * MIB - DAEMON_MEMORY


def free_cores(machine: Machine) -> float:
    """Cores that servers may have.

    Source: as above: 6 % of the first core, 1 % of the second, 0.5 % of the next two, 0.25 % of the rest.
    """
    reserved = 0.06 + 0.01 * (machine.cores > 1) + 0.005 * min(2, max(0, machine.cores - 2))
    return machine.cores - reserved - 0.0025 * max(0, machine.cores - 4) - DAEMON_CORES


@dataclass(frozen=True)
class Sizing:
    """Machines for users' servers. ``bound``: what ends first on a machine."""

    machine: Machine
    per_node: int
    nodes: int
    bound: str
    monthly: Decimal


def per_node(machine: Machine, usage: Usage) -> tuple[int, str]:
    """How many servers a machine holds, and what bounds it: memory, cores, volumes or pods. 0 for none."""
    bounds = {
        "memory": free_memory(machine) / max(1.0, usage.memory.value),
        "cores": free_cores(machine) / max(0.01, usage.cores.value),
        "volumes": float(machine.volumes),
        "pods": float(machine.pods - DAEMON_PODS),
    }
    name = min(bounds, key=lambda each: bounds[each])
    if usage.largest_memory.value > free_memory(machine):
        return 0, "memory"
    return max(0, int(bounds[name])), name


def node_hours(nodes: int, busy_hours: float) -> Decimal:
    """Hours of all nodes in a month: one always, the others while many work."""
    return HOURS + max(0, nodes - 1) * min(Decimal(str(busy_hours)), HOURS)


def cheapest(usage: Usage, prices: Prices, machines: Iterable[Machine] = MACHINES) -> Sizing | None:
    """The machines that hold all servers for the least money; None where no machine holds the largest server."""
    found = []
    for machine in machines:
        held, bound = per_node(machine, usage)
        if not held:
            continue
        nodes = max(1, -(-usage.at_once.whole // held))
        price = node_hours(nodes, usage.busy_hours.value) * prices.of(f"ec2.{machine.name}")
        found.append(Sizing(machine, held, nodes, bound, price))
    return min(found, key=lambda each: (each.monthly, each.machine.gib), default=None)


def single(usage: Usage, machines: Iterable[Machine] = (*MACHINES, *LARGER)) -> Machine | None:
    """The smallest machine that holds every server at once, with 4 GiB for the hub; None where none does."""
    memory = usage.at_once.whole * usage.memory.value + 4 * GIB
    cores = usage.at_once.whole * usage.cores.value + 1
    fits = [each for each in machines if each.gib * GIB >= memory and each.cores >= cores]
    return min(fits, key=lambda each: (each.gib, each.cores), default=None)
