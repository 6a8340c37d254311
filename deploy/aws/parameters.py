"""What whoever deploys the template decides. Defaults are what a small node can pay; what has none must be said."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import CfnCondition, CfnParameter, Fn, Stack

from aws.addresses import VPC

INSTANCE_TYPES = (
    *("t3.large", "t3.xlarge"),
    *("m6i.large", "m6i.xlarge", "m6i.2xlarge", "m6i.4xlarge"),
    *("r6i.large", "r6i.xlarge", "r6i.2xlarge", "r6i.4xlarge"),
)
"""All amd64, as PDSHub's images are, and to be had in every region of instance_types.json."""
_NAME = "^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+$"


@dataclass(frozen=True)
class Parameters:
    """All parameters of the template, and the conditions that follow from them."""

    cluster: CfnParameter
    version: CfnParameter
    administrators: CfnParameter
    first_zone: CfnParameter
    second_zone: CfnParameter
    vpc: CfnParameter
    core_type: CfnParameter
    core_nodes: CfnParameter
    user_type: CfnParameter
    user_nodes: CfnParameter
    most_user_nodes: CfnParameter
    hostname: CfnParameter
    zone: CfnParameter
    load_balancer: CfnParameter
    namespace: CfnParameter
    mail: CfnParameter
    budget: CfnParameter
    nat_bytes: CfnParameter
    has_zone: CfnCondition
    has_records: CfnCondition
    commercial: CfnCondition


def declare(stack: Stack) -> Parameters:
    """The parameters, in the order in which a person is asked."""

    def text(name: str, description: str, **more: object) -> CfnParameter:
        return CfnParameter(stack, name, type="String", description=description, **more)  # type: ignore[arg-type]

    def number(name: str, description: str, default: int, least: int, most: int = 100000) -> CfnParameter:
        bounds = {"min_value": least, "max_value": most}
        return CfnParameter(stack, name, type="Number", description=description, default=default, **bounds)

    def zone(name: str, description: str) -> CfnParameter:
        # not Fn::GetAZs: it may give a zone that EKS does not run in (use1-az3), and another one after an update
        kind = "AWS::EC2::AvailabilityZone::Name"
        return CfnParameter(stack, name, type=kind, description=description)

    hosted = text(
        "HostedZone",
        "Id of the public Route 53 zone of Hostname. Empty: you make the records (GovCloud has no such zones).",
        default="",
        allowed_pattern="^(Z[A-Z0-9]{1,31})?$",
    )
    load_balancer = text(
        "LoadBalancer",
        "DNS name of the hub's load balancer, once there is one (kubectl get ingress): Hostname and all names below it "
        "then lead there. Changing it is the cut-over.",
        default="",
        allowed_pattern="^([a-z0-9.-]+\\.elb\\.amazonaws\\.com)?$",
    )
    return Parameters(
        cluster=text(
            "ClusterName", "Name of the cluster.", default="pdshub", allowed_pattern="^[A-Za-z0-9][A-Za-z0-9-]{0,62}$"
        ),
        version=text(
            "KubernetesVersion",
            "PDSHub needs 1.29; from 1.33 on nodes have Linux 6.12, where releases reach running notebooks.",
            default="1.35",
            allowed_pattern="^1\\.(3[3-9]|[4-9][0-9])$",
        ),
        administrators=CfnParameter(
            stack,
            "ApiServerFrom",
            type="CommaDelimitedList",
            description="Addresses from which the API server is reached from outside, as 192.0.2.0/24.",
        ),
        first_zone=zone("FirstZone", "Users' nodes and homes are here: a volume of EBS is of one zone."),
        second_zone=zone("SecondZone", "Another zone. EKS and load balancers want two."),
        vpc=text(
            "VpcCidr",
            "A /16 that meets none of yours: a VPN to the institution routes both.",
            default=VPC,
            allowed_pattern="^([0-9]{1,3}\\.){2}0\\.0/16$",
        ),
        core_type=text(
            "CoreInstanceType",
            "Of nodes for operator, hubs, proxies and surveyors; a survey of a million files takes 1.5 GB.",
            default="m6i.large",
            allowed_values=list(INSTANCE_TYPES),
        ),
        core_nodes=number("CoreNodes", "Nodes for them. With one, each upgrade of it is an outage.", 2, 1, 4),
        user_type=text(
            "UserInstanceType",
            "Of nodes for users' servers. kubectl pdshub plan aws says which one is the cheapest for yours.",
            default="r6i.xlarge",
            allowed_values=list(INSTANCE_TYPES),
        ),
        user_nodes=number("UserNodes", "Nodes for users that always run. 0: the first in the morning waits.", 1, 0),
        most_user_nodes=number("MostUserNodes", "How many there may be at most: the bound of what they cost.", 4, 1),
        hostname=text("Hostname", "Where people go, as hub.example.org.", allowed_pattern=_NAME, max_length=240),
        zone=hosted,
        load_balancer=load_balancer,
        namespace=text(
            "HubNamespace",
            "Namespace of the hub: Jobs there, and nobody else, may take the role for backups.",
            default="hub",
            allowed_pattern="^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
        ),
        mail=text("Mail", "Who is told of alarms, and of costs.", allowed_pattern="^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$"),
        budget=number("MonthlyBudget", "US dollars a month, of the whole account. Nothing is stopped by it.", 700, 1),
        nat_bytes=number("NatGigabytes", "Gigabytes a day out through a NAT gateway that are worth an alarm.", 100, 1),
        has_zone=CfnCondition(
            stack, "HasZone", expression=Fn.condition_not(Fn.condition_equals(hosted.value_as_string, ""))
        ),
        has_records=CfnCondition(
            stack,
            "HasRecords",
            expression=Fn.condition_and(
                Fn.condition_not(Fn.condition_equals(hosted.value_as_string, "")),
                Fn.condition_not(Fn.condition_equals(load_balancer.value_as_string, "")),
            ),
        ),
        commercial=CfnCondition(stack, "Commercial", expression=Fn.condition_equals(Fn.ref("AWS::Partition"), "aws")),
    )
