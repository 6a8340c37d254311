"""What is paid in a month, line by line: quantity, unit, price of one. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

from pdshub.aws_plan.prices import GB, HOURS, Prices
from pdshub.aws_plan.sizing import Sizing, node_hours
from pdshub.aws_plan.usage import Usage

CENT = Decimal("0.01")
FREE_EGRESS = Decimal(100)
"""Gigabytes to the internet that cost nothing each month. Source: AWS, EC2 On-Demand pricing, Data Transfer."""
_TIERS = (("egress.10tb", Decimal(10240)), ("egress.50tb", Decimal(40960)), ("egress.150tb", Decimal(102400)))
"""Gigabytes at each price; the rest is egress.more."""
LISTED = 1000
"""Names in an answer to a listing. Source: Amazon S3 API, ListObjectsV2."""
CHUNK = 16 << 20
"""Bytes that a mount asks for in one request, about. An object that is smaller is one request."""
CORE_NODES, CORE_MACHINE, CORE_DISK, USER_DISK = 2, "m6i.large", 60, 100
"""The template's defaults: nodes for hubs, their type, and gigabytes of each node's own disk."""
KEPT_GB = 1 + 1 + 20
"""Volumes of the hub's database, the audit log and a surveyor's store, as PDSHub asks for them."""
LOG_GB_PER_USER, LOG_GB = Decimal("0.05"), 5
"""Gigabytes a month of the API server's logs: assumed."""
OPENZFS_MBPS = 160
"""The least throughput that is sold with a file system of two machines (FSx for OpenZFS, Single-AZ 2)."""
BACKUP_SHARE, BACKUP_CHANGES = Decimal("1.5"), 30_000
"""Backups take so much of what homes hold, compressed and with their history, and so many writes a month: assumed."""


class Kind(StrEnum):
    """For what a line is paid."""

    MACHINES = "machines"
    HOMES = "homes"
    ARCHIVE = "archive"
    NETWORK = "network"


@dataclass(frozen=True)
class Line:
    """A line of a bill."""

    kind: Kind
    what: str
    quantity: Decimal
    unit: str
    price: Decimal
    """US dollars for one."""

    @property
    def monthly(self) -> Decimal:
        """US dollars, rounded to a cent."""
        return (self.quantity * self.price).quantize(CENT, ROUND_HALF_UP)


def total(lines: Iterable[Line]) -> Decimal:
    """US dollars of all lines."""
    return sum((line.monthly for line in lines), Decimal(0))


def gigabytes(count: float) -> Decimal:
    """Bytes as AWS' gigabytes."""
    return (Decimal(str(count)) / GB).quantize(CENT, ROUND_HALF_UP)


@dataclass(frozen=True)
class Bills:
    """Lines of bills for a hub at the prices of a region. Raises PriceError where a price is missing."""

    usage: Usage
    prices: Prices

    def line(self, kind: Kind, what: str, quantity: Decimal | int, key: str) -> Line:
        """A line at a price of the file."""
        return Line(kind, what, Decimal(quantity), self.prices.unit(key), self.prices.of(key))

    def cluster(self, sizing: Sizing) -> list[Line]:
        """Control plane, nodes, and their disks."""
        hours = node_hours(sizing.nodes, self.usage.busy_hours.value)
        disks = CORE_NODES * CORE_DISK + USER_DISK * hours / HOURS
        users = self.usage.users.whole
        return [
            self.line(Kind.MACHINES, "EKS control plane", HOURS, "eks.cluster"),
            self.line(
                Kind.MACHINES,
                f"{CORE_NODES} nodes for hubs ({CORE_MACHINE})",
                CORE_NODES * HOURS,
                f"ec2.{CORE_MACHINE}",
            ),
            self.line(
                Kind.MACHINES,
                f"1 to {sizing.nodes} nodes for users ({sizing.machine.name})",
                hours,
                f"ec2.{sizing.machine.name}",
            ),
            self.line(Kind.MACHINES, "disks of nodes", disks.quantize(CENT), "ebs.gp3"),
            self.line(Kind.MACHINES, "logs of the API server", LOG_GB + users * LOG_GB_PER_USER, "logs.gb"),
        ]

    def homes(self) -> list[Line]:
        """Homes on EBS, which is paid as asked for, and what the hub keeps."""
        return [
            self.line(Kind.HOMES, f"{self.usage.homes.whole} homes", gigabytes(self.usage.home_bytes.value), "ebs.gp3"),
            self.line(Kind.HOMES, "volumes of hub and surveyor", KEPT_GB, "ebs.gp3"),
        ]

    def backups(self) -> list[Line]:
        """Backups in S3."""
        stored = gigabytes(self.usage.home_used.value) * BACKUP_SHARE
        return [
            self.line(Kind.HOMES, "backups", stored.quantize(CENT), "s3.standard"),
            self.line(Kind.HOMES, "requests of backups", Decimal(BACKUP_CHANGES) / 1000, "s3.put"),
        ]

    def door(self) -> list[Line]:
        """The load balancer, its two addresses, and the name."""
        sent = gigabytes(self.usage.egress_bytes.value)
        # a unit is 1 GB an hour, or 3000 connections at a time; one is enough until more is sent
        units = max(HOURS, sent)
        return [
            self.line(Kind.NETWORK, "load balancer", HOURS, "alb.hour"),
            self.line(Kind.NETWORK, "units of the load balancer", units, "alb.lcu"),
            self.line(Kind.NETWORK, "2 public addresses of the load balancer", 2 * HOURS, "ipv4"),
            self.line(Kind.NETWORK, "name service", 1, "route53.zone"),
        ]

    def nat(self) -> list[Line]:
        """The way out of private subnets: sign-in, packages that people install, images."""
        through = gigabytes(self.usage.egress_bytes.value) / 2 + 30
        return [
            self.line(Kind.NETWORK, "NAT gateway", HOURS, "nat.hour"),
            self.line(Kind.NETWORK, "public address of the NAT gateway", HOURS, "ipv4"),
            self.line(Kind.NETWORK, "through the NAT gateway, both ways", through.quantize(CENT), "nat.gb"),
        ]

    def egress(self) -> list[Line]:
        """What goes out to the internet, by the tiers of the price."""
        left = max(Decimal(0), gigabytes(self.usage.egress_bytes.value) - FREE_EGRESS)
        lines = []
        for key, most in _TIERS:
            part = min(left, most)
            left -= part
            if part or key == _TIERS[0][0]:
                lines.append(self.line(Kind.NETWORK, "out to the internet, after 100 GB", part, key))
        rest = self.line(Kind.NETWORK, "out to the internet, the rest", left, "egress.more")
        return [*lines, *([rest] if left else [])]

    def archive_s3(self, surveyed: bool = True) -> list[Line]:
        """The archive in S3: bytes, and every request: surveys, where there are some, list, and reads get."""
        listings = self.line(Kind.ARCHIVE, "listings by surveys", Decimal(self.listings()) / 1000, "s3.put")
        return [
            self.line(Kind.ARCHIVE, "archive in S3", gigabytes(self.usage.archive_bytes.value), "s3.standard"),
            *([listings] if surveyed else []),
            self.line(Kind.ARCHIVE, "reads of files", Decimal(self.reads()) / 1000, "s3.get"),
        ]

    def archive_efs(self) -> list[Line]:
        """The archive on EFS: what was read within the week at one price, the rest at another, and each byte read."""
        size, read = gigabytes(self.usage.archive_bytes.value), gigabytes(self.usage.read_bytes.value)
        warm = min(size, read / 4)  # a week's part of a month's reads
        return [
            self.line(Kind.ARCHIVE, "archive on EFS, read within the week", warm.quantize(CENT), "efs.standard"),
            self.line(Kind.ARCHIVE, "archive on EFS, infrequently accessed", (size - warm).quantize(CENT), "efs.ia"),
            self.line(Kind.ARCHIVE, "read of EFS", read, "efs.read"),
            self.line(Kind.ARCHIVE, "read of EFS, infrequently accessed", read, "efs.ia-read"),
        ]

    def archive_fsx(self) -> list[Line]:
        """The archive on FSx for OpenZFS."""
        size = gigabytes(self.usage.archive_bytes.value)
        return [
            self.line(Kind.ARCHIVE, "archive on FSx for OpenZFS", size, "fsx.openzfs"),
            self.line(Kind.ARCHIVE, "throughput of FSx", OPENZFS_MBPS, "fsx.openzfs-throughput"),
        ]

    def archive_at_home(self) -> list[Line]:
        """The archive stays where it is, behind a VPN. What comes in costs nothing; what is asked goes out."""
        return [self.line(Kind.ARCHIVE, "site-to-site VPN", HOURS, "vpn.hour")]

    def listings(self) -> int:
        """Requests of a month's surveys of S3."""
        return self.usage.surveys.whole * self.listings_of_one()

    def listings_of_one(self) -> int:
        """Requests of one survey of S3: a thousand names each. Source: Amazon S3 API, ListObjectsV2."""
        return max(1, -(-self.usage.archive_files.whole // LISTED))

    def reads(self) -> int:
        """Requests of a month's reading: one for each file, and one for each further piece of it."""
        read, size = self.usage.read_bytes.value, self.usage.archive_bytes.value
        files = self.usage.archive_files.value * (read / size if size else 0)
        return int(files + read / CHUNK)

    def once(self, where: str) -> list[Line]:
        """What is paid once, to bring the archive to where it will lie."""
        files = Decimal(self.usage.archive_files.whole) / 1000
        return [
            self.line(Kind.ARCHIVE, "copy by DataSync", gigabytes(self.usage.archive_bytes.value), "datasync.gb"),
            *([self.line(Kind.ARCHIVE, "writing the files", files, "s3.put")] if where == "s3" else []),
        ]
