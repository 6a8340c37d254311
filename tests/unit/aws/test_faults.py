"""Faults that are planted into the template are found, each by the rule that is meant, and the template has none.

Those that cfn-lint finds are given to cfn-lint, where there is one (``./hack/test`` names it in PDSHUB_CFN_LINT).
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aws import checks
from aws.template import Template, listed, reference, texts
from tests.unit.aws.planted import TEMPLATE, Json, cut, more, parameter, planted, put, resource, template

Fault = Callable[[Json], None]
OPEN = '{"enableNetworkPolicy":"true","env":{"NETWORK_POLICY_ENFORCING_MODE":"standard"}}'
OFF = '{"env":{"NETWORK_POLICY_ENFORCING_MODE":"strict"}}'
ALLOW_ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}
EVERY_GROUP = {"Effect": "Allow", "Action": "autoscaling:SetDesiredCapacity", "Resource": "*"}
IN = "Properties"


def trust(role: str, field: str) -> str:
    return f"{role}/{IN}/AssumeRolePolicyDocument/Statement/0/{field}"


def statement(role: str) -> str:
    return f"{role}/{IN}/Policies/0/PolicyDocument/Statement"


FAULTS: list[tuple[str, str, str, Fault]] = [
    # instance types
    ("a type that exists nowhere", "A01", "CoreNodesGroup", put(f"CoreNodesGroup/{IN}/InstanceTypes", ["m6i.lagre"])),
    ("a type GovCloud lacks", "A01", "UserNodesGroup", parameter("UserInstanceType", Default="m7a.large")),
    ("an allowed type that a region lacks", "A01", "CoreNodesGroup",
     parameter("CoreInstanceType", AllowedValues=["m6i.large", "r6a.large"])),
    ("arm64 nodes", "A01", "UserNodesGroup", put(f"UserNodesGroup/{IN}/AmiType", "AL2023_ARM_64_STANDARD")),
    ("no type at all", "A01", "CoreNodesGroup", cut(f"CoreNodesGroup/{IN}/InstanceTypes")),
    # network policy
    ("policies in standard mode", "A02", "VpcCni", put(f"VpcCni/{IN}/ConfigurationValues", OPEN)),
    ("policies off", "A02", "VpcCni", put(f"VpcCni/{IN}/ConfigurationValues", OFF)),
    ("no configuration", "A02", "VpcCni", cut(f"VpcCni/{IN}/ConfigurationValues")),
    ("a configuration that is no JSON", "A02", "VpcCni", put(f"VpcCni/{IN}/ConfigurationValues", "{")),
    ("no add-on", "A02", "vpc-cni", put(f"VpcCni/{IN}/AddonName", "coredns")),
    ("nodes before it", "A02", "UserNodesGroup", cut("UserNodesGroup/DependsOn")),
    ("EKS's own network first", "A02", "Cluster", put(f"Cluster/{IN}/BootstrapSelfManagedAddons", True)),
    # pod identity
    ("trust of the nodes' service", "A03", "EbsRole",
     put(trust("EbsRole", "Principal"), {"Service": "ec2.amazonaws.com"})),
    ("no TagSession", "A03", "LoadBalancerRole", put(trust("LoadBalancerRole", "Action"), "sts:AssumeRole")),
    ("no condition", "A03", "EfsRole", cut(trust("EfsRole", "Condition"))),
    ("any namespace", "A03", "BackupRole",
     cut(f"{trust('BackupRole', 'Condition')}/StringEquals/aws:RequestTag~kubernetes-namespace")),
    ("anybody", "A03", "BackupRole", put(trust("BackupRole", "Principal"), "*")),
    ("no agent", "A03", "eks-pod-identity-agent", cut("PodIdentityAgent")),
    # one zone
    ("homes' nodes in two zones", "A04", "UserNodesGroup",
     more(f"UserNodesGroup/{IN}/Subnets", {"Ref": "PrivateTwo"})),
    ("core nodes in the other zone", "A04", "AWS::EKS::Nodegroup",
     put(f"CoreNodesGroup/{IN}/Subnets", [{"Ref": "PrivateTwo"}])),
    ("nodes with public addresses", "A04", "UserNodesGroup",
     put(f"UserNodesGroup/{IN}/Subnets", [{"Ref": "PublicOne"}])),
    ("NAT in the other zone", "A04", "Nat", put(f"Nat/{IN}/SubnetId", {"Ref": "PublicTwo"})),
    ("a zone of AWS's choice", "A04", "PrivateOne",
     put(f"PrivateOne/{IN}/AvailabilityZone", {"Fn::Select": [0, {"Fn::GetAZs": ""}]})),
    ("no zone", "A04", "PrivateTwo", cut(f"PrivateTwo/{IN}/AvailabilityZone")),
    # nodes
    ("metadata two hops away", "A05", "UserNodesGroupTemplate",
     put(f"UserNodesGroupTemplate/{IN}/LaunchTemplateData/MetadataOptions/HttpPutResponseHopLimit", 2)),
    ("metadata without a token", "A05", "CoreNodesGroupTemplate",
     put(f"CoreNodesGroupTemplate/{IN}/LaunchTemplateData/MetadataOptions/HttpTokens", "optional")),
    ("no launch template", "A05", "UserNodesGroup", cut(f"UserNodesGroup/{IN}/LaunchTemplate")),
    ("a disk in the clear", "A05", "UserNodesGroupTemplate",
     put(f"UserNodesGroupTemplate/{IN}/LaunchTemplateData/BlockDeviceMappings/0/Ebs/Encrypted", False)),
    # load balancer
    ("idle connections cut after a minute", "A06", "Balancer",
     resource("Balancer", "AWS::ElasticLoadBalancingV2::LoadBalancer", Type="application")),
    ("idle connections cut after two", "A06", "Balancer",
     resource("Balancer", "AWS::ElasticLoadBalancingV2::LoadBalancer",
              LoadBalancerAttributes=[{"Key": "idle_timeout.timeout_seconds", "Value": "120"}])),
    # buckets
    ("a bucket that may be public", "A07", "ArchiveBucket",
     put(f"ArchiveBucket/{IN}/PublicAccessBlockConfiguration/BlockPublicPolicy", False)),
    ("a bucket without the block", "A07", "BackupBucket", cut(f"BackupBucket/{IN}/PublicAccessBlockConfiguration")),
    ("a public ACL", "A07", "ArchiveBucket", put(f"ArchiveBucket/{IN}/AccessControl", "PublicRead")),
    ("a policy for everybody", "A07", "ArchiveBucketPolicy",
     more(f"ArchiveBucketPolicy/{IN}/PolicyDocument/Statement",
          {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"})),
    ("a bucket that goes with the stack", "A07", "BackupBucket", cut("BackupBucket/DeletionPolicy")),
    ("a bucket in the clear", "A07", "BackupBucket", cut(f"BackupBucket/{IN}/BucketEncryption")),
    ("no versions", "A07", "BackupBucket", put(f"BackupBucket/{IN}/VersioningConfiguration/Status", "Suspended")),
    ("requests in the clear", "A07", "ArchiveBucket", cut("ArchiveBucketPolicy")),
    ("versions for ever", "A07", "ArchiveBucket",
     cut(f"ArchiveBucket/{IN}/LifecycleConfiguration/Rules/0/NoncurrentVersionExpiration")),
    # access
    ("everything for a controller", "A08", "LoadBalancerRole", more(statement("LoadBalancerRole"), ALLOW_ALL)),
    ("all of S3", "A08", "BackupRole", put(f"{statement('BackupRole')}/1/Action", ["s3:*"])),
    ("every bucket", "A08", "BackupRole", put(f"{statement('BackupRole')}/1/Resource", "*")),
    ("every scaling group", "A08", "AutoscalerRole", put(f"{statement('AutoscalerRole')}/2", EVERY_GROUP)),
    ("PassRole", "A08", "AutoscalerRole",
     more(statement("AutoscalerRole"),
          {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "arn:aws:iam::1:role/x"})),
    ("all but", "A08", "BackupRole",
     more(statement("BackupRole"), {"Effect": "Allow", "NotAction": "iam:*", "Resource": "arn:aws:s3:::x"})),
    ("an administrator", "A08", "NodeRole",
     more(f"NodeRole/{IN}/ManagedPolicyArns", "arn:aws:iam::aws:policy/AdministratorAccess")),
    ("a key for ever", "A08", "Robot", resource("Robot", "AWS::IAM::User")),
    # cluster
    ("an API server for everybody", "A09", "Cluster", parameter("ApiServerFrom", Default="0.0.0.0/0")),
    ("the same, written out", "A09", "Cluster",
     put(f"Cluster/{IN}/ResourcesVpcConfig/PublicAccessCidrs", ["0.0.0.0/0"])),
    ("nodes that go out to it", "A09", "Cluster", put(f"Cluster/{IN}/ResourcesVpcConfig/EndpointPrivateAccess", False)),
    ("extended support", "A09", "Cluster", put(f"Cluster/{IN}/UpgradePolicy/SupportType", "EXTENDED")),
    ("extended support, by silence", "A09", "Cluster", cut(f"Cluster/{IN}/UpgradePolicy")),
    ("no audit log", "A09", "Cluster", cut(f"Cluster/{IN}/Logging")),
    ("a log for ever", "A09", "ClusterLog", cut(f"ClusterLog/{IN}/RetentionInDays")),
    ("admins by a ConfigMap", "A09", "Cluster",
     put(f"Cluster/{IN}/AccessConfig/AuthenticationMode", "API_AND_CONFIG_MAP")),
    # doors
    ("NFS for everybody", "A12", "ArchiveFilesGroup",
     more(f"ArchiveFilesGroup/{IN}/SecurityGroupIngress",
          {"IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049, "CidrIp": "0.0.0.0/0"})),
    ("everybody, by a rule of its own", "A12", "Rule",
     resource("Rule", "AWS::EC2::SecurityGroupIngress", GroupId="sg-1", IpProtocol="-1", CidrIpv6="::/0")),
    # files
    ("no mount target where nodes are", "A13", "ArchiveFiles", cut("ArchiveFilesOne")),
    ("nodes that are not let in", "A13", "ArchiveFilesGroup", cut(f"ArchiveFilesGroup/{IN}/SecurityGroupIngress")),
    ("files in the clear", "A13", "ArchiveFiles", put(f"ArchiveFiles/{IN}/Encrypted", False)),
    ("files that go with the stack", "A13", "ArchiveFiles", put("ArchiveFiles/DeletionPolicy", "Delete")),
    # money
    ("the archive through NAT", "A14", "PrivateTable", cut("S3Endpoint")),
    ("the endpoint at the wrong table", "A14", "PrivateTable",
     put(f"S3Endpoint/{IN}/RouteTableIds", [{"Ref": "PublicTable"}])),
    ("no forecast", "A14", "AWS::Budgets::Budget", cut(f"Budget/{IN}/NotificationsWithSubscribers/1")),
    ("no budget", "A14", "AWS::Budgets::Budget", cut("Budget")),
    ("an alarm that tells nobody", "A14", "NatBusy", cut(f"NatBusy/{IN}/AlarmActions")),
    ("a topic that nobody hears", "A14", "Alarms", cut("AlarmsByMail")),
    # names
    ("a certificate for one name", "A17", "Certificate", cut(f"Certificate/{IN}/SubjectAlternativeNames")),
    ("a certificate that mail renews", "A17", "Certificate", put(f"Certificate/{IN}/ValidationMethod", "EMAIL")),
    ("load balancers that find one subnet", "A17", "kubernetes.io/role/elb", cut(f"PublicTwo/{IN}/Tags")),
]  # fmt: skip


@pytest.mark.parametrize(("code", "where", "fault"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_a_planted_fault_is_found(code: str, where: str, fault: Fault) -> None:
    found = checks.check(planted(fault))
    assert (code, where) in {(one.code, one.resource) for one in found}, list(map(str, found))


def test_the_template_has_none() -> None:
    assert list(map(str, checks.check(template()))) == []


def test_there_are_enough_of_them_and_every_rule_has_one() -> None:
    assert len(FAULTS) >= 20
    names = [fault[0] for fault in FAULTS]
    assert len(set(names)) == len(names)
    source = "".join((TEMPLATE.parents[1] / f"checks{part}.py").read_text() for part in ("", "_access", "_kept"))
    codes = {f"A{number:02}" for number in range(1, 40) if f'"A{number:02}"' in source}
    assert {fault[1] for fault in FAULTS} == codes


@pytest.mark.parametrize("body", [{}, {"Resources": None}, {"Resources": {"A": {"Type": "AWS::EKS::Cluster"}}}])
def test_a_template_that_is_hardly_one_is_judged_too(body: Json) -> None:
    assert checks.check(body)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ({"Ref": "A"}, "A"),
        ({"Fn::GetAtt": ["A", "Arn"]}, "A"),
        ({"Fn::GetAtt": "A.Arn"}, "A"),
        ({"Fn::Sub": "${A}"}, ""),
        ("A", ""),
        (None, ""),
    ],
)
def test_references(value: Any, name: str) -> None:
    assert reference(value) == name


def test_values_of_parameters() -> None:
    found = Template({"Parameters": {"P": {"Default": "a", "AllowedValues": ["a", "b"]}, "Q": {}}})
    assert found.constants({"Ref": "P"}) == ["a", "b"]
    assert found.constants({"Ref": "Q"}) == found.constants({"Ref": "R"}) == []
    assert found.constants("x") == ["x"] and listed(None) == [] and listed("x") == ["x"]
    assert list(texts({"a": ["b", {"c": "d"}], "e": 7})) == ["b", "d"]


def test_what_the_template_asks_and_what_it_costs_a_small_node() -> None:
    parameters = template()["Parameters"]
    must = {name for name, parameter_ in parameters.items() if "Default" not in parameter_}
    assert must == {"ApiServerFrom", "FirstZone", "SecondZone", "Hostname", "Mail"}
    assert parameters["UserNodes"]["Default"] == 1 and parameters["CoreNodes"]["Default"] == 2


LINTED: list[tuple[str, Fault]] = [
    ("a property that is none", put(f"Cluster/{IN}/Verison", "1.35")),
    ("a reference to nothing", put(f"Nat/{IN}/SubnetId", {"Ref": "PublicThree"})),
    ("a required property", cut(f"ArchiveFilesOne/{IN}/SubnetId")),
    ("a word that is no value", put(f"Cluster/{IN}/UpgradePolicy/SupportType", "FOREVER")),
    ("a number that is none", put(f"ClusterLog/{IN}/RetentionInDays", "ninety")),
    ("a type of resource that is none", resource("X", "AWS::EKS::Clutser")),
    ("a circle", put("Vpc/DependsOn", ["Cluster"])),
]
CFN_LINT = os.environ.get("PDSHUB_CFN_LINT", "")
needs_cfn_lint = pytest.mark.skipif(not CFN_LINT, reason="needs cfn-lint (PDSHUB_CFN_LINT; ./hack/test brings it)")


def linted(file: Path) -> subprocess.CompletedProcess[str]:
    line = [CFN_LINT, "--regions", *checks.REGIONS, "--template", str(file)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@needs_cfn_lint
@pytest.mark.long
@pytest.mark.parametrize("fault", [f[1] for f in LINTED], ids=[f[0] for f in LINTED])
def test_cfn_lint_finds_what_is_not_looked_for_here(tmp_path: Path, fault: Fault) -> None:
    file = tmp_path / "template.json"
    file.write_text(json.dumps(planted(fault)))
    done = linted(file)
    assert done.returncode & 2, done.stdout + done.stderr


@needs_cfn_lint
def test_cfn_lint_finds_nothing_in_the_template() -> None:
    done = linted(TEMPLATE)
    assert done.returncode == 0, done.stdout + done.stderr
