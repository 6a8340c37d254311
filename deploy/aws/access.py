"""Who may do what: one role for each component, which its service account alone takes (EKS Pod Identity).

Source: AWS, EKS User Guide, "Create IAM role with trust policy required by EKS Pod Identity"; AWS Load Balancer
Controller 2, docs/install/iam_policy.json, of which this is what an ALB for an Ingress takes, held to the VPC and to
what the controller has tagged as its own.
"""

from __future__ import annotations

from typing import Any

from aws_cdk import Fn, Stack
from aws_cdk import aws_eks as eks
from aws_cdk import aws_iam as iam

Document = dict[str, Any]
_VERSION = "2012-10-17"
_ELB = "arn:${AWS::Partition}:elasticloadbalancing:${AWS::Region}:${AWS::AccountId}"
_EC2 = "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}"
_LINKED = "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/aws-service-role"
_OURS = "aws:ResourceTag/elbv2.k8s.aws/cluster"
_ASKED = "aws:RequestTag/elbv2.k8s.aws/cluster"


def document(*statements: Document) -> Document:
    """A policy of these statements."""
    return {"Version": _VERSION, "Statement": list(statements)}


def allow(actions: list[str], resources: Any, condition: Document | None = None) -> Document:
    """A statement that allows."""
    return {
        "Effect": "Allow",
        "Action": actions,
        "Resource": resources,
        **({"Condition": condition} if condition else {}),
    }


def service_role(stack: Stack, name: str, service: str, managed: list[str]) -> iam.CfnRole:
    """A role that a service of AWS takes. ``managed``: policies of AWS by name."""
    trust = document({"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"})
    return iam.CfnRole(
        stack, name, assume_role_policy_document=trust, managed_policy_arns=[_managed(policy) for policy in managed]
    )


def _managed(name: str) -> str:
    return Fn.sub(f"arn:${{AWS::Partition}}:iam::aws:policy/{name}")


def pod_role(
    stack: Stack,
    name: str,
    namespace: str,
    account: str,
    managed: list[str] | None = None,
    statements: list[Document] | None = None,
) -> iam.CfnRole:
    """A role for one service account of one namespace of this cluster. ``account``: empty for any of the namespace."""
    tags = {
        "aws:SourceAccount": Fn.ref("AWS::AccountId"),
        "aws:RequestTag/eks-cluster-name": Fn.ref("ClusterName"),
        "aws:RequestTag/kubernetes-namespace": namespace,
        **({"aws:RequestTag/kubernetes-service-account": account} if account else {}),
    }
    trust = document(
        {
            "Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": {"StringEquals": tags},
        }
    )
    own = document(*(statements or ()))
    inline = [iam.CfnRole.PolicyProperty(policy_name="own", policy_document=own)] if statements else None
    return iam.CfnRole(
        stack,
        name,
        assume_role_policy_document=trust,
        managed_policy_arns=[_managed(policy) for policy in managed or ()],
        policies=inline,
    )


def associate(
    stack: Stack, name: str, cluster: eks.CfnCluster, role: iam.CfnRole, namespace: str, account: str
) -> None:
    """Gives a service account its role."""
    eks.CfnPodIdentityAssociation(
        stack, name, cluster_name=cluster.ref, namespace=namespace, service_account=account, role_arn=role.attr_arn
    )


def load_balancer_statements(vpc: str) -> list[Document]:
    """What the AWS Load Balancer Controller needs for an ALB of an Ingress. ``vpc``: id of the VPC."""
    in_vpc = {"ArnEquals": {"ec2:Vpc": Fn.sub(f"{_EC2}:vpc/${{Id}}", {"Id": vpc})}}
    groups = Fn.sub(f"{_EC2}:security-group/*")
    balancers = [Fn.sub(f"{_ELB}:loadbalancer/app/*"), Fn.sub(f"{_ELB}:targetgroup/*")]
    listeners = [Fn.sub(f"{_ELB}:{kind}/app/*") for kind in ("listener", "listener-rule")]
    ours = {"StringEquals": {_OURS: Fn.ref("ClusterName")}}
    asked = {"StringEquals": {_ASKED: Fn.ref("ClusterName")}}
    return [
        allow(
            [
                *("ec2:DescribeAccountAttributes", "ec2:DescribeAddresses", "ec2:DescribeAvailabilityZones"),
                *("ec2:DescribeInstances", "ec2:DescribeInternetGateways", "ec2:DescribeNetworkInterfaces"),
                *("ec2:DescribeRouteTables", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeTags"),
                *("ec2:DescribeVpcPeeringConnections", "ec2:DescribeVpcs", "ec2:GetSecurityGroupsForVpc"),
                "elasticloadbalancing:DescribeCapacityReservation",
                "elasticloadbalancing:DescribeListenerAttributes",
                *("elasticloadbalancing:DescribeListenerCertificates", "elasticloadbalancing:DescribeListeners"),
                *("elasticloadbalancing:DescribeLoadBalancerAttributes", "elasticloadbalancing:DescribeLoadBalancers"),
                *("elasticloadbalancing:DescribeRules", "elasticloadbalancing:DescribeSSLPolicies"),
                *("elasticloadbalancing:DescribeTags", "elasticloadbalancing:DescribeTargetGroupAttributes"),
                *("elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTargetHealth"),
                *("elasticloadbalancing:DescribeTrustStores", "acm:DescribeCertificate", "acm:ListCertificates"),
            ],
            "*",
        ),
        allow(
            ["iam:CreateServiceLinkedRole"],
            Fn.sub(f"{_LINKED}/elasticloadbalancing.amazonaws.com/*"),
            {"StringEquals": {"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"}},
        ),
        allow(["ec2:CreateSecurityGroup"], Fn.sub(f"{_EC2}:vpc/${{Id}}", {"Id": vpc})),
        allow(["ec2:CreateSecurityGroup"], groups, asked),
        allow(
            ["ec2:CreateTags"],
            groups,
            {"StringEquals": {"ec2:CreateAction": "CreateSecurityGroup", **asked["StringEquals"]}},
        ),
        # also the cluster's own group, which lets the load balancer's in
        allow(["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"], groups, in_vpc),
        allow(["ec2:DeleteSecurityGroup"], groups, ours),
        allow(["elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:CreateTargetGroup"], balancers, asked),
        allow(["elasticloadbalancing:AddTags"], [*balancers, *listeners], asked),
        allow(
            [
                *("elasticloadbalancing:CreateListener", "elasticloadbalancing:CreateRule"),
                *("elasticloadbalancing:DeleteListener", "elasticloadbalancing:DeleteRule"),
                *("elasticloadbalancing:ModifyListener", "elasticloadbalancing:ModifyListenerAttributes"),
                *("elasticloadbalancing:ModifyRule", "elasticloadbalancing:SetRulePriorities"),
                *("elasticloadbalancing:AddListenerCertificates", "elasticloadbalancing:RemoveListenerCertificates"),
                "elasticloadbalancing:RemoveTags",
            ],
            [*balancers, *listeners],
            ours,
        ),
        allow(
            [
                *("elasticloadbalancing:DeleteLoadBalancer", "elasticloadbalancing:DeleteTargetGroup"),
                *("elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"),
                *("elasticloadbalancing:ModifyLoadBalancerAttributes", "elasticloadbalancing:ModifyTargetGroup"),
                *("elasticloadbalancing:ModifyTargetGroupAttributes", "elasticloadbalancing:SetIpAddressType"),
                *("elasticloadbalancing:SetSecurityGroups", "elasticloadbalancing:SetSubnets"),
            ],
            balancers,
            ours,
        ),
    ]


def autoscaler_statements() -> list[Document]:
    """What the Cluster Autoscaler needs for managed node groups.

    Source: Cluster Autoscaler, cloudprovider/aws/README.md, "Full Cluster Autoscaler Features Policy".
    """
    return [
        allow(
            [
                *("autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeAutoScalingInstances"),
                *("autoscaling:DescribeLaunchConfigurations", "autoscaling:DescribeScalingActivities"),
                *("ec2:DescribeImages", "ec2:DescribeInstanceTypes", "ec2:DescribeLaunchTemplateVersions"),
                "ec2:GetInstanceTypesFromInstanceRequirements",
            ],
            "*",
        ),
        allow(
            ["eks:DescribeNodegroup"],  # labels and taints of a group without a node
            Fn.sub("arn:${AWS::Partition}:eks:${AWS::Region}:${AWS::AccountId}:nodegroup/${ClusterName}/*"),
        ),
        allow(
            ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"],
            Fn.sub("arn:${AWS::Partition}:autoscaling:${AWS::Region}:${AWS::AccountId}:autoScalingGroup:*"),
            {"StringEquals": {"aws:ResourceTag/eks:cluster-name": Fn.ref("ClusterName")}},
        ),
    ]


def bucket_statements(bucket_arn: str, *, write: bool) -> list[Document]:
    """Reading a bucket, or what restic needs of its repository: it deletes only what it prunes, and its locks."""
    objects = Fn.join("", [bucket_arn, "/*"])
    changes = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
    return [
        allow(["s3:ListBucket", "s3:GetBucketLocation"], bucket_arn),
        allow(["s3:GetObject", *(changes if write else [])], objects),
    ]
