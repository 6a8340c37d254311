"""The EKS cluster, its add-ons, and the nodes."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import CfnResource, CfnTag, Fn, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_eks as eks
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs

from aws import access
from aws.addresses import SERVICES
from aws.network import Network
from aws.parameters import Parameters

POOL = "pdshub.dev/pool"
"""Label of nodes: core or users."""
PURPOSE = "hub.jupyter.org/node-purpose"
"""What zero-to-jupyterhub places pods by. Source: its values, scheduling.*.nodeAffinity.matchNodePurpose."""
DEDICATED = "hub.jupyter.org/dedicated"
"""The taint that servers of zero-to-jupyterhub tolerate."""
STRICT = '{"enableNetworkPolicy":"true","env":{"NETWORK_POLICY_ENFORCING_MODE":"strict"}}'
"""In the standard mode a pod begins with everything open, until its policies are there. Source: AWS, EKS User Guide,
"Restrict Pod network traffic with Kubernetes network policies"."""
_NODE_CONFIG = """MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="//"

--//
Content-Type: application/node.eks.aws

---
apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  kubelet:
    config:
      podPidsLimit: 2048

--//--
"""
"""EKS adds the rest. Source: awslabs/amazon-eks-ami, nodeadm, NodeConfig."""


@dataclass(frozen=True)
class Cluster:
    """What others need of it."""

    cluster: eks.CfnCluster
    security_group: str


def build(stack: Stack, given: Parameters, network: Network) -> Cluster:
    """Cluster and nodes, with the network's add-on before the first node: no pod ever runs without policies."""
    group = logs.CfnLogGroup(
        stack,
        "ClusterLog",
        log_group_name=Fn.sub("/aws/eks/${ClusterName}/cluster"),
        retention_in_days=90,  # without it EKS makes one that is kept, and paid, for ever
    )
    cluster = _cluster(stack, given, network)
    cluster.add_resource_dependency(group)
    vpc_cni = access.pod_role(stack, "NetworkRole", "kube-system", "aws-node", ["AmazonEKS_CNI_Policy"])
    agent = _addon(stack, "PodIdentityAgent", "eks-pod-identity-agent", cluster)
    cni = _addon(stack, "VpcCni", "vpc-cni", cluster, ("aws-node", vpc_cni), STRICT)
    cni.add_resource_dependency(agent)
    before = [agent, cni, _addon(stack, "KubeProxy", "kube-proxy", cluster)]
    nodes = _nodes(stack, given, network, cluster)
    for pool in nodes:
        for addon in before:
            pool.add_resource_dependency(addon)
    ebs = access.pod_role(
        stack, "EbsRole", "kube-system", "ebs-csi-controller-sa", ["service-role/AmazonEBSCSIDriverPolicy"]
    )
    efs = access.pod_role(
        stack, "EfsRole", "kube-system", "efs-csi-controller-sa", ["service-role/AmazonEFSCSIDriverPolicy"]
    )
    after = (
        _addon(stack, "CoreDns", "coredns", cluster),
        _addon(stack, "EbsCsi", "aws-ebs-csi-driver", cluster, ("ebs-csi-controller-sa", ebs)),
        _addon(stack, "EfsCsi", "aws-efs-csi-driver", cluster, ("efs-csi-controller-sa", efs)),
        _addon(stack, "MetricsServer", "metrics-server", cluster),
        _addon(stack, "Snapshots", "snapshot-controller", cluster),
    )
    for addon in after:
        addon.add_resource_dependency(nodes[0])
    balancer = access.pod_role(
        stack,
        "LoadBalancerRole",
        "kube-system",
        "aws-load-balancer-controller",
        statements=access.load_balancer_statements(network.vpc.ref),
    )
    access.associate(stack, "LoadBalancerIdentity", cluster, balancer, "kube-system", "aws-load-balancer-controller")
    scaler = access.pod_role(
        stack, "AutoscalerRole", "kube-system", "cluster-autoscaler", statements=access.autoscaler_statements()
    )
    access.associate(stack, "AutoscalerIdentity", cluster, scaler, "kube-system", "cluster-autoscaler")
    return Cluster(cluster, cluster.attr_cluster_security_group_id)


def _cluster(stack: Stack, given: Parameters, network: Network) -> eks.CfnCluster:
    role = access.service_role(stack, "ClusterRole", "eks.amazonaws.com", ["AmazonEKSClusterPolicy"])
    kinds = ("api", "audit", "authenticator")
    return eks.CfnCluster(
        stack,
        "Cluster",
        name=given.cluster.value_as_string,
        version=given.version.value_as_string,
        role_arn=role.attr_arn,
        resources_vpc_config=eks.CfnCluster.ResourcesVpcConfigProperty(
            subnet_ids=[subnet.ref for subnet in network.private],
            endpoint_private_access=True,
            endpoint_public_access=True,
            public_access_cidrs=given.administrators.value_as_list,
        ),
        kubernetes_network_config=eks.CfnCluster.KubernetesNetworkConfigProperty(service_ipv4_cidr=SERVICES),
        access_config=eks.CfnCluster.AccessConfigProperty(
            authentication_mode="API", bootstrap_cluster_creator_admin_permissions=True
        ),
        # else EKS installs its network without policies first
        bootstrap_self_managed_addons=False,
        # extended support costs six times as much, and is what EKS does by itself
        upgrade_policy=eks.CfnCluster.UpgradePolicyProperty(support_type="STANDARD"),
        deletion_protection=True,
        logging=eks.CfnCluster.LoggingProperty(
            cluster_logging=eks.CfnCluster.ClusterLoggingProperty(
                enabled_types=[eks.CfnCluster.LoggingTypeConfigProperty(type=kind) for kind in kinds]
            )
        ),
    )


def _addon(
    stack: Stack,
    name: str,
    addon: str,
    cluster: eks.CfnCluster,
    identity: tuple[str, iam.CfnRole] | None = None,
    configuration: str | None = None,
) -> CfnResource:
    associations = None
    if identity:
        account, role = identity
        association = eks.CfnAddon.PodIdentityAssociationProperty(service_account=account, role_arn=role.attr_arn)
        associations = [association]
    return eks.CfnAddon(
        stack,
        name,
        addon_name=addon,
        cluster_name=cluster.ref,
        configuration_values=configuration,
        pod_identity_associations=associations,
        resolve_conflicts="OVERWRITE",
    )


def _template(stack: Stack, name: str, gigabytes: int) -> ec2.CfnLaunchTemplate:
    disk = ec2.CfnLaunchTemplate.EbsProperty(
        volume_size=gigabytes, volume_type="gp3", encrypted=True, delete_on_termination=True
    )
    return ec2.CfnLaunchTemplate(
        stack,
        name,
        launch_template_data=ec2.CfnLaunchTemplate.LaunchTemplateDataProperty(
            block_device_mappings=[ec2.CfnLaunchTemplate.BlockDeviceMappingProperty(device_name="/dev/xvda", ebs=disk)],
            # one hop is the node itself: no pod gets at the node's role, whatever its policies let through
            metadata_options=ec2.CfnLaunchTemplate.MetadataOptionsProperty(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            user_data=Fn.base64(_NODE_CONFIG),
            tag_specifications=[
                ec2.CfnLaunchTemplate.TagSpecificationProperty(
                    resource_type=kind, tags=[CfnTag(key="Name", value=Fn.sub(f"${{ClusterName}} {name}"))]
                )
                for kind in ("instance", "volume")
            ],
        ),
    )


def _nodes(stack: Stack, given: Parameters, network: Network, cluster: eks.CfnCluster) -> list[eks.CfnNodegroup]:
    role = access.service_role(
        stack,
        "NodeRole",
        "ec2.amazonaws.com",
        ["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"],
    )

    def pool(
        name: str,
        purpose: str,
        kind: str,
        subnets: list[str],
        sizes: eks.CfnNodegroup.ScalingConfigProperty,
        taints: list[eks.CfnNodegroup.TaintProperty] | None = None,
    ) -> eks.CfnNodegroup:
        template = _template(stack, f"{name}Template", 100 if taints else 60)
        return eks.CfnNodegroup(
            stack,
            name,
            cluster_name=cluster.ref,
            node_role=role.attr_arn,
            subnets=subnets,
            ami_type="AL2023_x86_64_STANDARD",
            instance_types=[kind],
            launch_template=eks.CfnNodegroup.LaunchTemplateSpecificationProperty(
                id=template.ref, version=template.attr_latest_version_number
            ),
            labels={POOL: "users" if taints else "core", PURPOSE: purpose},
            taints=taints,
            scaling_config=sizes,
            update_config=eks.CfnNodegroup.UpdateConfigProperty(max_unavailable=1),
        )

    core = pool(
        "CoreNodesGroup",
        "core",
        given.core_type.value_as_string,
        # the databases of hubs and the stores of surveyors are volumes of one zone, too
        [network.private[0].ref],
        eks.CfnNodegroup.ScalingConfigProperty(
            min_size=given.core_nodes.value_as_number,
            desired_size=given.core_nodes.value_as_number,
            max_size=4,
        ),
    )
    users = pool(
        "UserNodesGroup",
        "user",
        given.user_type.value_as_string,
        [network.private[0].ref],
        eks.CfnNodegroup.ScalingConfigProperty(
            min_size=given.user_nodes.value_as_number,
            desired_size=given.user_nodes.value_as_number,
            max_size=given.most_user_nodes.value_as_number,
        ),
        [eks.CfnNodegroup.TaintProperty(key=DEDICATED, value="user", effect="NO_SCHEDULE")],
    )
    return [core, users]
