"""Checks of what is kept: buckets that are public or go with the stack, files that nodes do not reach."""

from __future__ import annotations

from collections.abc import Iterator

from aws.template import Finding, Json, Template, listed, reference

_BLOCKS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")


def buckets(found: Template) -> Iterator[Finding]:
    """A07: buckets that are public, unencrypted, or gone with the stack."""
    for name, properties in found.of("AWS::S3::Bucket"):
        blocks = properties.get("PublicAccessBlockConfiguration") or {}
        listed_acl = properties.get("AccessControl", "Private") != "Private"
        if listed_acl or not all(blocks.get(each) is True for each in _BLOCKS):
            yield Finding("A07", name, "may be public: set all of PublicAccessBlockConfiguration, and no AccessControl")
        if not (properties.get("BucketEncryption") or {}).get("ServerSideEncryptionConfiguration"):
            yield Finding("A07", name, "is not encrypted")
        if (properties.get("VersioningConfiguration") or {}).get("Status") != "Enabled":
            yield Finding("A07", name, "keeps no versions: what a stolen key deletes is gone")
        rules = listed((properties.get("LifecycleConfiguration") or {}).get("Rules"))
        if not any("AbortIncompleteMultipartUpload" in rule for rule in rules):
            yield Finding("A07", name, "keeps, and pays for, uploads that broke off")
        if not any("NoncurrentVersionExpiration" in rule for rule in rules):
            yield Finding("A07", name, "keeps, and pays for, every old version for ever")
        yield from _kept("A07", name, found)
        if not any(_only_tls(policy, name) for _, policy in found.of("AWS::S3::BucketPolicy")):
            yield Finding("A07", name, "takes requests in the clear: deny them where aws:SecureTransport is false")
    for name, properties in found.of("AWS::S3::BucketPolicy"):
        for statement in listed((properties.get("PolicyDocument") or {}).get("Statement")):
            principal = statement.get("Principal")
            if statement.get("Effect") == "Allow" and principal in ("*", {"AWS": "*"}):
                yield Finding("A07", name, "lets everybody in")


def _only_tls(policy: Json, bucket: str) -> bool:
    if reference(policy.get("Bucket")) != bucket:
        return False
    return any(
        one.get("Effect") == "Deny"
        and ((one.get("Condition") or {}).get("Bool") or {}).get("aws:SecureTransport") in ("false", False)
        for one in listed((policy.get("PolicyDocument") or {}).get("Statement"))
    )


def _kept(code: str, name: str, found: Template) -> Iterator[Finding]:
    resource = found.resources[name]
    for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
        if resource.get(policy) != "Retain":
            yield Finding(code, name, f"{policy} is not Retain: it would go with the stack")


def files(found: Template) -> Iterator[Finding]:
    """A13: a file system in the clear, gone with the stack, or out of reach of nodes."""
    private = {
        reference(one) for _, properties in found.of("AWS::EKS::Nodegroup") for one in listed(properties.get("Subnets"))
    }
    clusters = {name for name, _ in found.of("AWS::EKS::Cluster")}
    groups = dict(found.of("AWS::EC2::SecurityGroup"))
    for name, properties in found.of("AWS::EFS::FileSystem"):
        if properties.get("Encrypted") is not True:
            yield Finding("A13", name, "is not encrypted")
        yield from _kept("A13", name, found)
        targets = [p for _, p in found.of("AWS::EFS::MountTarget") if reference(p.get("FileSystemId")) == name]
        at = {reference(target.get("SubnetId")) for target in targets}
        for subnet in sorted(private - at):
            yield Finding("A13", name, f"has no mount target in {subnet}, where nodes are")
        for group in sorted({reference(one) for target in targets for one in listed(target.get("SecurityGroups"))}):
            rules = listed(groups.get(group, {}).get("SecurityGroupIngress"))
            lets_in = any(
                rule.get("FromPort") == 2049 and reference(rule.get("SourceSecurityGroupId")) in clusters
                for rule in rules
            )
            if not lets_in:
                yield Finding("A13", group, "does not let nodes to port 2049: views would have no source")
