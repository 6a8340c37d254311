"""VPC over two zones: public subnets for the load balancer and NAT, private ones for everything else."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import Aws, CfnTag, Fn, Stack
from aws_cdk import aws_ec2 as ec2

from aws.parameters import Parameters

EVERYWHERE = "0.0.0.0/0"
_BLOCKS, _BITS = 8, 13
"""A /16 in blocks of /19: 8190 addresses each, and every pod takes one."""


@dataclass(frozen=True)
class Network:
    """What others need of it. Nodes are in the first private subnet alone: volumes of EBS are of one zone."""

    vpc: ec2.CfnVPC
    private: tuple[ec2.CfnSubnet, ec2.CfnSubnet]
    nat: ec2.CfnNatGateway


def _named(what: str) -> CfnTag:
    return CfnTag(key="Name", value=f"{Aws.STACK_NAME} {what}")


def _subnet(stack: Stack, name: str, zone: str, block: int, vpc: ec2.CfnVPC, role: str) -> ec2.CfnSubnet:
    return ec2.CfnSubnet(
        stack,
        name,
        vpc_id=vpc.ref,
        availability_zone=zone,
        cidr_block=Fn.select(block, Fn.cidr(vpc.attr_cidr_block, _BLOCKS, str(_BITS))),
        map_public_ip_on_launch=False,
        # by this tag the load balancer's controller finds where to put one
        tags=[CfnTag(key=f"kubernetes.io/role/{role}", value="1"), _named(name)],
    )


def build(stack: Stack, given: Parameters) -> Network:
    """The VPC, its subnets, and the ways between them."""
    vpc = ec2.CfnVPC(
        stack,
        "Vpc",
        cidr_block=given.vpc.value_as_string,
        enable_dns_hostnames=True,  # EFS is found by name
        enable_dns_support=True,
        tags=[_named("Vpc")],
    )
    internet = ec2.CfnInternetGateway(stack, "Internet", tags=[_named("Internet")])
    attached = ec2.CfnVPCGatewayAttachment(stack, "InternetAttached", vpc_id=vpc.ref, internet_gateway_id=internet.ref)
    first, second = given.first_zone.value_as_string, given.second_zone.value_as_string
    public = (
        _subnet(stack, "PublicOne", first, 0, vpc, "elb"),
        _subnet(stack, "PublicTwo", second, 1, vpc, "elb"),
    )
    private = (
        _subnet(stack, "PrivateOne", first, 2, vpc, "internal-elb"),
        _subnet(stack, "PrivateTwo", second, 3, vpc, "internal-elb"),
    )
    outside = ec2.CfnRouteTable(stack, "PublicTable", vpc_id=vpc.ref, tags=[_named("PublicTable")])
    way_out = ec2.CfnRoute(
        stack, "PublicDefault", route_table_id=outside.ref, destination_cidr_block=EVERYWHERE, gateway_id=internet.ref
    )
    way_out.add_resource_dependency(attached)
    address = ec2.CfnEIP(stack, "NatAddress", domain="vpc", tags=[_named("NatAddress")])
    address.add_resource_dependency(attached)
    # one, in the zone of the nodes: a second one would keep nothing alive, as volumes are in the first zone too
    nat = ec2.CfnNatGateway(
        stack, "Nat", subnet_id=public[0].ref, allocation_id=address.attr_allocation_id, tags=[_named("Nat")]
    )
    inside = ec2.CfnRouteTable(stack, "PrivateTable", vpc_id=vpc.ref, tags=[_named("PrivateTable")])
    ec2.CfnRoute(
        stack, "PrivateDefault", route_table_id=inside.ref, destination_cidr_block=EVERYWHERE, nat_gateway_id=nat.ref
    )
    for name, subnet, table in (
        ("PublicOneRoutes", public[0], outside),
        ("PublicTwoRoutes", public[1], outside),
        ("PrivateOneRoutes", private[0], inside),
        ("PrivateTwoRoutes", private[1], inside),
    ):
        ec2.CfnSubnetRouteTableAssociation(stack, name, subnet_id=subnet.ref, route_table_id=table.ref)
    # costs nothing, and what goes this way does not pay the NAT gateway for each gigabyte
    ec2.CfnVPCEndpoint(
        stack,
        "S3Endpoint",
        vpc_id=vpc.ref,
        service_name=Fn.sub("com.amazonaws.${AWS::Region}.s3"),
        vpc_endpoint_type="Gateway",
        route_table_ids=[inside.ref],
    )
    return Network(vpc, private, nat)
