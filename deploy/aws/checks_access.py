"""Checks of who may do what: trust of roles, and actions and resources that are wider than they have to be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aws.template import Finding, Json, Template, listed, reference, texts

PODS = "pods.eks.amazonaws.com"
_NEEDS = {"sts:AssumeRole", "sts:TagSession"}
_TAGS = ("aws:RequestTag/kubernetes-namespace", "aws:RequestTag/eks-cluster-name")
_LOOKS = ("Describe", "List", "Get")
"""Actions that only look. Many of them know no resources."""
_PASSES = ("iam:PassRole", "iam:CreateAccessKey", "iam:AttachRolePolicy", "iam:PutRolePolicy")
"""Actions that make anybody of whoever may do them."""
_BROAD = ("AdministratorAccess", "PowerUserAccess", "AmazonS3FullAccess", "AmazonEC2FullAccess", "IAMFullAccess")


def _statements(document: Any) -> list[Json]:
    return [one for one in listed((document or {}).get("Statement")) if isinstance(one, dict)]


def _services(statement: Json) -> set[str]:
    principal = statement.get("Principal")
    if isinstance(principal, str):
        return {principal}
    return {text for value in (principal or {}).values() for text in texts(value)}


def pod_identity(found: Template) -> Iterator[Finding]:
    """A03: roles that pods cannot take, or that more pods take than are meant."""
    taken = {
        reference(one.get("RoleArn"))
        for kind in ("AWS::EKS::PodIdentityAssociation", "AWS::EKS::Addon")
        for _, properties in found.of(kind)
        for one in [properties, *listed(properties.get("PodIdentityAssociations"))]
    } - {""}
    for name, properties in found.of("AWS::IAM::Role"):
        statements = _statements(properties.get("AssumeRolePolicyDocument"))
        services = {service for one in statements for service in _services(one)}
        if "*" in services:
            yield Finding("A03", name, "anybody may take it")
        if name in taken and PODS not in services:
            yield Finding("A03", name, f"is given to pods, and does not trust {PODS}")
        for one in statements:
            if PODS not in _services(one):
                continue
            if not set(listed(one.get("Action"))) >= _NEEDS:
                yield Finding("A03", name, f"pods need both of {', '.join(sorted(_NEEDS))}")
            said = (one.get("Condition") or {}).get("StringEquals") or {}
            if not all(said.get(tag) for tag in _TAGS):
                yield Finding("A03", name, "any pod that is given it may take it: name cluster and namespace")
    if taken and found.first("AWS::EKS::Addon", AddonName="eks-pod-identity-agent") is None:
        yield Finding("A03", "eks-pod-identity-agent", "there is no such add-on: pods get no role")


def wildcards(found: Template) -> Iterator[Finding]:
    """A08: policies that allow everything of a service, or changes to everything."""
    for name, properties in found.of("AWS::IAM::Role"):
        for arn in listed(properties.get("ManagedPolicyArns")):
            for text in texts(arn):
                if text.rpartition("/")[2] in _BROAD:
                    yield Finding("A08", name, f"has {text.rpartition('/')[2]}: say what it needs")
        documents = [one.get("PolicyDocument") for one in listed(properties.get("Policies"))]
        yield from _policies(name, documents)
    for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"):
        for name, properties in found.of(kind):
            yield from _policies(name, [properties.get("PolicyDocument")])
    for kind in ("AWS::IAM::User", "AWS::IAM::AccessKey"):
        for name, _ in found.of(kind):
            yield Finding("A08", name, "a key that lasts for ever: give pods a role")


def _policies(name: str, documents: list[Any]) -> Iterator[Finding]:
    for statement in (one for document in documents for one in _statements(document)):
        if statement.get("Effect") != "Allow":
            continue
        actions = [str(action) for action in listed(statement.get("Action"))]
        if "NotAction" in statement or "NotResource" in statement:
            yield Finding("A08", name, "allows all but something: name what it needs")
        wide = [action for action in actions if action == "*" or action.endswith(":*")]
        if wide:
            yield Finding("A08", name, f"allows {', '.join(wide)}: name the actions")
        passes = [action for action in actions if action in _PASSES]
        if passes:
            yield Finding("A08", name, f"allows {', '.join(passes)}: it could be anybody")
        everything = any(resource == "*" for resource in listed(statement.get("Resource")))
        changes = [action for action in actions if not action.partition(":")[2].startswith(_LOOKS)]
        data = [action for action in actions if action.startswith(("s3:Get", "secretsmanager:Get", "ssm:Get"))]
        if everything and not statement.get("Condition") and (changes or data):
            yield Finding("A08", name, f"allows {', '.join(changes or data)} on everything: name the resources")
