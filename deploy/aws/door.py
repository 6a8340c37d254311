"""The public name: its certificate, for all names below it too, and its records.

The load balancer itself is made by the AWS Load Balancer Controller, from the Ingress that the operator writes
(spec.tls.alb), idle timeout included. Nothing in the cluster may write DNS: records are the template's.
"""

from __future__ import annotations

from aws_cdk import Fn, Stack
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_route53 as route53

from aws.parameters import Parameters

TTL = "60"
"""Seconds for which resolvers keep an answer: so long a cut-over, or taking it back, takes."""


def build(stack: Stack, given: Parameters) -> acm.CfnCertificate:
    """Certificate and records."""
    hostname = given.hostname.value_as_string
    wildcard = Fn.sub("*.${Hostname}")
    certificate = acm.CfnCertificate(
        stack,
        "Certificate",
        domain_name=hostname,
        subject_alternative_names=[wildcard],
        validation_method="DNS",
    )
    # without a zone here the stack waits until somebody has made the records that ACM asks for
    certificate.add_property_override(
        "DomainValidationOptions",
        {
            "Fn::If": [
                "HasZone",
                [{"DomainName": {"Ref": "Hostname"}, "HostedZoneId": {"Ref": "HostedZone"}}],
                {"Ref": "AWS::NoValue"},
            ]
        },
    )
    for name, record in (("HubRecord", hostname), ("ServersRecord", wildcard)):
        made = route53.CfnRecordSet(
            stack,
            name,
            hosted_zone_id=given.zone.value_as_string,
            name=record,
            type="CNAME",
            ttl=TTL,
            resource_records=[given.load_balancer.value_as_string],
        )
        made.cfn_options.condition = given.has_records
    return certificate
