"""What the hub could be at AWS: four ways, each with its cost and with what breaks. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from pdshub.aws_plan import bill, sizing
from pdshub.aws_plan.bill import Bills, Kind, Line, gigabytes
from pdshub.aws_plan.prices import HOURS, Prices
from pdshub.aws_plan.sizing import Sizing
from pdshub.aws_plan.usage import GIB, Usage

STUDIO = (("ml.t3.medium", 2, 4), ("ml.m5.large", 2, 8), ("ml.m5.xlarge", 4, 16), ("ml.m5.2xlarge", 8, 32),
          ("ml.m5.4xlarge", 16, 64))  # fmt: skip
"""Instance types of a Studio space with their cores and gigabytes: each user has one of their own while it runs."""
ARCHIVES = ("s3", "efs", "fsx")
"""Where the archive may lie at AWS."""
IN_S3 = "A source in S3 is read by rclone on each node (docs/archive/s3.md): names cost nothing, each open a request."


@dataclass(frozen=True)
class Option:
    """One way. ``why_not``: why there is no such thing for this hub; its lines are empty then."""

    key: str
    title: str
    lines: list[Line]
    keeps: list[str]
    breaks: list[str]
    once: list[Line] = field(default_factory=list)
    why_not: str = ""

    @property
    def monthly(self) -> Decimal:
        """US dollars a month."""
        return bill.total(self.lines)


def archive_lines(bills: Bills, where: str, surveyed: bool = True) -> list[Line]:
    """The archive at AWS. ``surveyed``: whether there are views of it. Raises KeyError for a place that is none."""
    if where == "s3":
        return bills.archive_s3(surveyed)
    return {"efs": bills.archive_efs, "fsx": bills.archive_fsx}[where]()


def options(usage: Usage, prices: Prices, archive: str = "s3") -> tuple[Sizing | None, list[Option]]:
    """All four, the one that this repository has the ground for first. Raises PriceError."""
    bills, chosen = Bills(usage, prices), sizing.cheapest(usage, prices)
    return chosen, [
        _eks(bills, chosen, archive),
        _at_home(bills, chosen),
        _compose(bills, archive),
        _studio(bills, archive),
    ]


def _eks(bills: Bills, chosen: Sizing | None, archive: str) -> Option:
    title = "EKS"
    keeps = [
        "the same PDSHub, values and users; names, sign-in, views and generations as they are",
        "nodes for users come and go; a node that fails takes only its own servers with it",
        "walls between tenants and the network are the ones of before, and the probe shows them",
    ]
    breaks = [
        "homes, databases and nodes are in one zone, as volumes of EBS are: when it fails, restore elsewhere",
        "the first start in the morning may wait for a node: four to eight minutes",
        "a control plane is paid for whether anybody works or not",
        *([IN_S3] if archive == "s3" else []),
    ]
    if chosen is None:
        return Option("eks", title, [], keeps, breaks, why_not=_TOO_LARGE)
    lines = [
        *bills.cluster(chosen), *bills.homes(), *archive_lines(bills, archive), *bills.backups(),
        *bills.door(), *bills.nat(), *bills.egress(),
    ]  # fmt: skip
    return Option("eks", title, lines, keeps, breaks, bills.once(archive))


def _at_home(bills: Bills, chosen: Sizing | None) -> Option:
    title = "EKS, and the archive stays on premises behind a VPN"
    keeps = ["everything of EKS", "the archive is nowhere twice: no copy, no second delivery, no bytes to compare"]
    breaks = [
        "each first read goes over the institution's line: "
        f"{gigabytes(bills.usage.read_bytes.value)} GB a month, and its round trip for each file",
        "while the line is away opens fail; names, sizes and times go on (they are on the nodes)",
        "the NAS is open to the cloud's nodes: exports, a route and a firewall rule more",
        "a VPN of AWS carries 1.25 Gbit/s at most in each of its tunnels",
    ]
    if chosen is None:
        return Option("vpn", title, [], keeps, breaks, why_not=_TOO_LARGE)
    lines = [
        *bills.cluster(chosen), *bills.homes(), *bills.archive_at_home(), *bills.backups(), *bills.door(),
        *bills.nat(), *bills.egress(),
    ]  # fmt: skip
    return Option("vpn", title, lines, keeps, breaks)


def _compose(bills: Bills, archive: str) -> Option:
    usage = bills.usage
    title = "One EC2 machine with Docker Compose"
    keeps = ["JupyterHub and the users' files", "cheapest where few work; nothing of Kubernetes to know"]
    breaks = [
        "no PDSHub: no views, generations, proof, pins or roll-back; /archive is a mount of what lies there",
        "one machine: its upgrade or failure ends every server; it is as large as the busiest hour, all month",
        "users are containers of one kernel without network policies between them, and homes have no size",
        "names, sign-in rules and audit log are made anew by hand",
    ]
    machine = sizing.single(usage)
    if machine is None:
        return Option("compose", title, [], keeps, breaks, why_not="no machine of the price file holds all servers")
    disk = gigabytes(usage.home_used.value) * Decimal("1.3") + 100
    lines = [
        bills.line(Kind.MACHINES, f"one {machine.name}", HOURS, f"ec2.{machine.name}"),
        bills.line(Kind.HOMES, "its disk, with all homes", disk.quantize(bill.CENT), "ebs.gp3"),
        bills.line(Kind.NETWORK, "public address", HOURS, "ipv4"),
        bills.line(Kind.NETWORK, "name service", 1, "route53.zone"),
        *archive_lines(bills, archive, surveyed=False), *bills.backups(), *bills.egress(),
    ]  # fmt: skip
    return Option("compose", title, lines, keeps, breaks, bills.once(archive))


def _studio(bills: Bills, archive: str) -> Option:
    usage = bills.usage
    title = "SageMaker Studio"
    keeps = ["JupyterLab, run and patched by AWS; machines of every size and GPUs for each user"]
    breaks = [
        "no PDSHub and no JupyterHub: sign-in is IAM Identity Center or IAM; Google only through it, as SAML",
        "no views, generations or proof: EFS or FSx is mounted into each space as it lies there, S3 is asked by API",
        "an instance for each user, also for who only reads: nothing is shared, and idle ones are paid until stopped",
        "users have roles of AWS: what one may do in the account is a policy to be written, and kept small",
        "notebooks that name /archive/… have to be changed, unless the mount's path can be the same",
    ]
    found = next(
        (each for each in STUDIO if each[2] * GIB >= usage.memory.value and each[1] >= usage.cores.value), None
    )
    if found is None:
        return Option("studio", title, [], keeps, breaks, why_not="no instance type of the price file is large enough")
    name = found[0]
    hours = usage.at_once.value * min(usage.busy_hours.value, float(HOURS))
    place = "efs" if archive == "s3" else archive  # a space mounts file systems
    lines = [
        bills.line(Kind.MACHINES, f"{name}, each server for itself", Decimal(str(hours)), f"studio.{name}"),
        bills.line(Kind.HOMES, "storage of spaces", gigabytes(usage.home_bytes.value), "studio.storage"),
        *archive_lines(bills, place), *bills.nat(), *bills.egress(),
    ]  # fmt: skip
    return Option("studio", title, lines, keeps, breaks)


_TOO_LARGE = "no machine of the price file holds the largest server that may be chosen"
