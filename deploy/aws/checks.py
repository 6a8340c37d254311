"""What cfn-lint does not find: a template that CloudFormation takes, and that costs, leaks or fails afterwards.

``python -m aws.checks TEMPLATE…`` with deploy/ on the Python path prints what it finds; 1 where that is something.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from aws import checks_access, checks_kept
from aws.checks_overlay import lives
from aws.offers import REGIONS
from aws.template import Finding, Json, Template, listed, reference, texts

TYPES = Path(__file__).parent / "templates/instance_types.json"
_ANYWHERE = {"0.0.0.0/0", "::/0"}


def instance_types(found: Template, table: Mapping[str, Any]) -> Iterator[Finding]:
    """A01: a type that a region does not have, or that is no amd64."""
    for name, properties in found.of("AWS::EKS::Nodegroup"):
        wanted = [kind for value in listed(properties.get("InstanceTypes")) for kind in found.constants(value)]
        if not wanted:
            yield Finding("A01", name, "names no instance type: EKS would take a t3.medium, which holds two servers")
        for region in REGIONS:
            missing = sorted(set(wanted) - set(table["regions"].get(region, ())))
            if missing:
                yield Finding("A01", name, f"{region} has no {', '.join(missing)} ({table['of']})")
        if not str(properties.get("AmiType", "")).startswith(("AL2023_x86_64", "BOTTLEROCKET_x86_64")):
            yield Finding("A01", name, "AmiType is not one of amd64, as PDSHub's images are")


def network_policy(found: Template) -> Iterator[Finding]:
    """A02: no policies, or pods that begin with everything open."""
    addon = found.first("AWS::EKS::Addon", AddonName="vpc-cni")
    if addon is None:
        yield Finding("A02", "vpc-cni", "there is no such add-on: nothing enforces NetworkPolicies")
        return
    name, properties = addon
    try:
        said = json.loads(properties.get("ConfigurationValues") or "{}")
    except (TypeError, ValueError):
        said = {}
    said = said if isinstance(said, dict) else {}
    if str(said.get("enableNetworkPolicy")).lower() != "true":
        yield Finding("A02", name, "enableNetworkPolicy is not true: nothing enforces NetworkPolicies")
    if (said.get("env") or {}).get("NETWORK_POLICY_ENFORCING_MODE") != "strict":
        yield Finding("A02", name, "NETWORK_POLICY_ENFORCING_MODE is not strict: pods begin with everything open")
    for group, _ in found.of("AWS::EKS::Nodegroup"):
        if name not in found.needs(group):
            yield Finding("A02", group, f"does not depend on {name}: its first pods would run without policies")
    for cluster, of_cluster in found.of("AWS::EKS::Cluster"):
        if of_cluster.get("BootstrapSelfManagedAddons") is not False:
            yield Finding("A02", cluster, "BootstrapSelfManagedAddons is not false: EKS brings an open network first")


def one_zone(found: Template) -> Iterator[Finding]:
    """A04: nodes that the volume of a home cannot follow to, and NAT in another zone than the nodes."""
    subnets = dict(found.of("AWS::EC2::Subnet"))
    homes: set[str] = set()
    for name, properties in found.of("AWS::EKS::Nodegroup"):
        where = {reference(one) for one in listed(properties.get("Subnets"))}
        zones = {json.dumps(subnets.get(one, {}).get("AvailabilityZone"), sort_keys=True) for one in where}
        if len(where) != 1 or len(zones) != 1:
            yield Finding("A04", name, "is in more than one subnet: a volume of EBS is of one zone, and so is a home")
        homes |= zones
        for subnet in sorted(where & _public(found)):
            yield Finding("A04", name, f"is in {subnet}, which is public: nodes would be met from the internet")
    if len(homes) > 1:
        yield Finding("A04", "AWS::EKS::Nodegroup", "groups are in different zones: a hub's database is in one")
    for name, properties in found.of("AWS::EC2::NatGateway"):
        zone = subnets.get(reference(properties.get("SubnetId")), {}).get("AvailabilityZone")
        if homes and json.dumps(zone, sort_keys=True) not in homes:
            yield Finding("A04", name, "is in another zone than the nodes: each gigabyte is paid for twice")
    for name, properties in found.of("AWS::EC2::Subnet"):
        if "AvailabilityZone" not in properties:
            yield Finding("A04", name, "names no zone: AWS chooses one, and another one after a replacement")
        elif "Fn::GetAZs" in json.dumps(properties["AvailabilityZone"]):
            yield Finding("A04", name, "takes a zone by Fn::GetAZs, which may be one that EKS does not run in")


def _public(found: Template) -> set[str]:
    """Subnets with a way to an internet gateway."""
    gateways = {name for name, _ in found.of("AWS::EC2::InternetGateway")}
    tables = {
        reference(properties.get("RouteTableId"))
        for _, properties in found.of("AWS::EC2::Route")
        if reference(properties.get("GatewayId")) in gateways
    }
    return {
        reference(properties.get("SubnetId"))
        for _, properties in found.of("AWS::EC2::SubnetRouteTableAssociation")
        if reference(properties.get("RouteTableId")) in tables
    }


def nodes(found: Template) -> Iterator[Finding]:
    """A05: nodes whose role pods can take, and disks in the clear."""
    templates = dict(found.of("AWS::EC2::LaunchTemplate"))
    for name, properties in found.of("AWS::EKS::Nodegroup"):
        if reference((properties.get("LaunchTemplate") or {}).get("Id")) not in templates:
            yield Finding("A05", name, "has no launch template here: pods would reach the node's metadata service")
    for name, properties in templates.items():
        data = properties.get("LaunchTemplateData") or {}
        options = data.get("MetadataOptions") or {}
        if options.get("HttpTokens") != "required" or options.get("HttpPutResponseHopLimit") != 1:
            yield Finding(
                "A05", name, "HttpTokens is not required, or HttpPutResponseHopLimit not 1: pods can be the node"
            )
        disks = [disk.get("Ebs") or {} for disk in listed(data.get("BlockDeviceMappings"))]
        if not disks or not all(disk.get("Encrypted") is True for disk in disks):
            yield Finding("A05", name, "a disk is not encrypted")


def load_balancers(found: Template) -> Iterator[Finding]:
    """A06: websockets of kernels that are cut after a minute."""
    for name, properties in found.of("AWS::ElasticLoadBalancingV2::LoadBalancer"):
        said = {one.get("Key"): one.get("Value") for one in listed(properties.get("LoadBalancerAttributes"))}
        idle = str(said.get("idle_timeout.timeout_seconds", "60"))
        if properties.get("Type", "application") == "application" and not lives(idle):
            yield Finding("A06", name, f"idle_timeout.timeout_seconds is {idle}: idle kernels lose their browser")


def cluster(found: Template) -> Iterator[Finding]:
    """A09: an API server that anybody reaches, a price six times as high, a log that is kept for ever."""
    for name, properties in found.of("AWS::EKS::Cluster"):
        vpc = properties.get("ResourcesVpcConfig") or {}
        from_where = vpc.get("PublicAccessCidrs")
        said = found.constants(from_where) if isinstance(from_where, Mapping) else listed(from_where)
        ranges = {part.strip() for one in said for part in str(one).split(",")}
        if vpc.get("EndpointPublicAccess") is not False and (not from_where or _ANYWHERE & ranges):
            yield Finding("A09", name, "everybody reaches the API server: name who does in PublicAccessCidrs")
        if vpc.get("EndpointPrivateAccess") is not True:
            yield Finding("A09", name, "nodes reach the API server from outside: set EndpointPrivateAccess")
        if (properties.get("UpgradePolicy") or {}).get("SupportType") != "STANDARD":
            yield Finding("A09", name, "extended support is on: an hour costs six times as much, by itself")
        if (properties.get("AccessConfig") or {}).get("AuthenticationMode") != "API":
            yield Finding("A09", name, "AuthenticationMode is not API: ConfigMap aws-auth makes admins, unlogged")
        text = json.dumps(properties.get("Logging") or {})
        if '"audit"' not in text:
            yield Finding("A09", name, "the API server's audit log is off")
        if not any(group in found.needs(name) for group, _ in found.of("AWS::Logs::LogGroup")):
            yield Finding("A09", name, "its log has no group of the template: EKS makes one that is kept for ever")
    for name, properties in found.of("AWS::Logs::LogGroup"):
        if not properties.get("RetentionInDays"):
            yield Finding("A09", name, "has no RetentionInDays: it is kept, and paid, for ever")


def open_doors(found: Template) -> Iterator[Finding]:
    """A12: security groups that let everybody in."""
    rules = [
        (name, rule)
        for name, properties in found.of("AWS::EC2::SecurityGroup")
        for rule in listed(properties.get("SecurityGroupIngress"))
    ]
    rules += list(found.of("AWS::EC2::SecurityGroupIngress"))
    for name, rule in rules:
        if _ANYWHERE & {rule.get("CidrIp"), rule.get("CidrIpv6")}:
            yield Finding("A12", name, "lets everybody in")


def money(found: Template) -> Iterator[Finding]:
    """A14: traffic to S3 through NAT, and nobody who is told what it costs."""
    tables = {reference(p.get("RouteTableId")) for _, p in found.of("AWS::EC2::Route") if "NatGatewayId" in p}
    served: set[str] = set()
    for _, properties in found.of("AWS::EC2::VPCEndpoint"):
        to_s3 = any(text.endswith(".s3") for text in texts(properties.get("ServiceName")))
        if to_s3 and properties.get("VpcEndpointType", "Gateway") == "Gateway":
            served |= {reference(one) for one in listed(properties.get("RouteTableIds"))}
    for table in sorted(tables - served):
        yield Finding("A14", table, "has no gateway endpoint for S3: the archive would be read through NAT")
    kinds = {
        (one.get("Notification") or {}).get("NotificationType")
        for _, properties in found.of("AWS::Budgets::Budget")
        for one in listed(properties.get("NotificationsWithSubscribers"))
        if one.get("Subscribers")
    }
    if not {"ACTUAL", "FORECASTED"} <= kinds:
        yield Finding("A14", "AWS::Budgets::Budget", "nobody is told of actual and of forecast costs")
    for name, properties in found.of("AWS::CloudWatch::Alarm"):
        if not properties.get("AlarmActions"):
            yield Finding("A14", name, "tells nobody")
    topics = {reference(properties.get("TopicArn")) for _, properties in found.of("AWS::SNS::Subscription")}
    for name, _ in found.of("AWS::SNS::Topic"):
        if name not in topics:
            yield Finding("A14", name, "has no subscriber: alarms tell nobody")


def names(found: Template) -> Iterator[Finding]:
    """A17: a certificate without the names of users' servers, and load balancers that find no subnet."""
    for name, properties in found.of("AWS::CertificateManager::Certificate"):
        if not any(text.startswith("*.") for text in texts(properties.get("SubjectAlternativeNames"))):
            yield Finding("A17", name, "has no wildcard: spec.isolation Subdomain needs one")
        if properties.get("ValidationMethod") != "DNS":
            yield Finding("A17", name, "is not validated by DNS: it would not be renewed by itself")
    roles: dict[str, list[str]] = {"kubernetes.io/role/elb": [], "kubernetes.io/role/internal-elb": []}
    for _, properties in found.of("AWS::EC2::Subnet"):
        for tag in listed(properties.get("Tags")):
            if tag.get("Key") in roles:
                zone = properties.get("AvailabilityZone")
                roles[tag["Key"]].append(json.dumps(zone, sort_keys=True))
    for tag_name, zones in roles.items():
        if len(set(zones)) < 2:
            yield Finding("A17", tag_name, "is not on subnets of two zones: a load balancer wants two")


RULES: tuple[Callable[[Template], Iterator[Finding]], ...] = (
    network_policy,
    checks_access.pod_identity,
    checks_access.wildcards,
    one_zone,
    nodes,
    load_balancers,
    checks_kept.buckets,
    checks_kept.files,
    cluster,
    open_doors,
    money,
    names,
)


def check(body: Json, table: Mapping[str, Any] | None = None) -> list[Finding]:
    """Everything that is wrong with a template. ``table``: instance types by region."""
    found = Template(body)
    offered = table if table is not None else json.loads(TYPES.read_text())
    return [*instance_types(found, offered), *(finding for rule in RULES for finding in rule(found))]


def main(files: list[str]) -> int:
    """Checks templates; 1 when something is wrong."""
    wrong = 0
    for file in files:
        for finding in check(json.loads(Path(file).read_text())):
            print(f"{file}: {finding}")
            wrong = 1
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
