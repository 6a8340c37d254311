"""What is kept: a file system for the archive, and buckets for it and for backups. Deleting the stack deletes none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aws_cdk import CfnDeletionPolicy, CfnResource, CfnTag, Fn, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_efs as efs
from aws_cdk import aws_s3 as s3

from aws import access
from aws.network import Network
from aws.parameters import Parameters

NFS = 2049


@dataclass(frozen=True)
class Storage:
    """What outputs and alarms name."""

    files: efs.CfnFileSystem
    archive: s3.CfnBucket
    backups: s3.CfnBucket


def _keep(resource: CfnResource) -> None:
    resource.cfn_options.deletion_policy = CfnDeletionPolicy.RETAIN
    resource.cfn_options.update_replace_policy = CfnDeletionPolicy.RETAIN


def build(stack: Stack, given: Parameters, network: Network, nodes: str) -> Storage:
    """File system, buckets, and roles to them. ``nodes``: the security group of the cluster's nodes."""
    files = efs.CfnFileSystem(
        stack,
        "ArchiveFiles",
        encrypted=True,
        performance_mode="generalPurpose",
        throughput_mode="elastic",
        # files of an archive are read seldom: a twentieth of the price, and a price for each gigabyte that is read
        lifecycle_policies=[efs.CfnFileSystem.LifecyclePolicyProperty(transition_to_ia="AFTER_7_DAYS")],
        backup_policy=efs.CfnFileSystem.BackupPolicyProperty(status="DISABLED"),
        file_system_tags=[
            efs.CfnFileSystem.ElasticFileSystemTagProperty(key="Name", value=Fn.sub("${ClusterName} archive"))
        ],
    )
    _keep(files)
    group = ec2.CfnSecurityGroup(
        stack,
        "ArchiveFilesGroup",
        group_description="NFS from nodes of the cluster",
        vpc_id=network.vpc.ref,
        security_group_ingress=[
            ec2.CfnSecurityGroup.IngressProperty(
                ip_protocol="tcp",
                from_port=NFS,
                to_port=NFS,
                source_security_group_id=nodes,
                description="the node plugin mounts; pods have no need of it",
            )
        ],
        tags=[CfnTag(key="Name", value=Fn.sub("${ClusterName} archive"))],
    )
    for name, subnet in zip(("One", "Two"), network.private, strict=True):
        efs.CfnMountTarget(
            stack,
            f"ArchiveFiles{name}",
            file_system_id=files.ref,
            subnet_id=subnet.ref,
            security_groups=[group.attr_group_id],
        )
    archive, backups = _bucket(stack, "ArchiveBucket", 30), _bucket(stack, "BackupBucket", 14)
    namespace = given.namespace.value_as_string
    access.pod_role(
        stack, "BackupRole", namespace, "", statements=access.bucket_statements(backups.attr_arn, write=True)
    )
    access.pod_role(
        stack,
        "ArchiveReaderRole",
        namespace,
        "",
        statements=access.bucket_statements(archive.attr_arn, write=False),
    )
    return Storage(files, archive, backups)


def _bucket(stack: Stack, name: str, noncurrent_days: int) -> s3.CfnBucket:
    bucket = s3.CfnBucket(
        stack,
        name,
        bucket_encryption=s3.CfnBucket.BucketEncryptionProperty(
            server_side_encryption_configuration=[
                s3.CfnBucket.ServerSideEncryptionRuleProperty(
                    server_side_encryption_by_default=s3.CfnBucket.ServerSideEncryptionByDefaultProperty(
                        sse_algorithm="AES256"
                    )
                )
            ]
        ),
        public_access_block_configuration=s3.CfnBucket.PublicAccessBlockConfigurationProperty(
            block_public_acls=True, block_public_policy=True, ignore_public_acls=True, restrict_public_buckets=True
        ),
        ownership_controls=s3.CfnBucket.OwnershipControlsProperty(
            rules=[s3.CfnBucket.OwnershipControlsRuleProperty(object_ownership="BucketOwnerEnforced")]
        ),
        # what somebody deletes with a stolen key is there for so many days
        versioning_configuration=s3.CfnBucket.VersioningConfigurationProperty(status="Enabled"),
        lifecycle_configuration=s3.CfnBucket.LifecycleConfigurationProperty(
            rules=[
                s3.CfnBucket.RuleProperty(
                    id="left-behind",
                    status="Enabled",
                    abort_incomplete_multipart_upload=s3.CfnBucket.AbortIncompleteMultipartUploadProperty(
                        days_after_initiation=7
                    ),
                    noncurrent_version_expiration=s3.CfnBucket.NoncurrentVersionExpirationProperty(
                        noncurrent_days=noncurrent_days
                    ),
                )
            ]
        ),
    )
    _keep(bucket)
    plain: dict[str, Any] = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket.attr_arn, Fn.join("", [bucket.attr_arn, "/*"])],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = s3.CfnBucketPolicy(stack, f"{name}Policy", bucket=bucket.ref, policy_document=access.document(plain))
    _keep(policy)
    return bucket
