"""What the cluster knows this project by: its API group, its CSI driver, its field manager, the user it runs as.

None of it can change: objects, mounts and volumes of running installations carry these names.
"""

from __future__ import annotations

GROUP, VERSION = "pdshub.dev", "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
"""apiVersion of both resources."""
DRIVER = "archive.pdshub.dev"
"""The CSI driver of archives; also its folder below the kubelet's plugins/."""
MANAGER = "pdshub-operator"
"""The operator's field manager (server-side apply), and the label app.kubernetes.io/managed-by."""
REFRESH = f"{GROUP}/refresh"
"""Annotation of an ArchiveView: a new value asks for a survey; one that begins with FULL for every directory."""
PROBE_LABEL = f"{GROUP}/probe"
"""Label of the pods of ``kubectl pdshub probe``: they are nobody's servers and no part of a hub."""
PROBED = "pdshub-probes"
"""ConfigMap of the installation's namespace in which results of ``kubectl pdshub probe`` are kept, by namespace."""
SERVER_PRIORITY = "pdshub-servers"
"""The PriorityClass of users' servers, which charts/pdshub ships: a node under pressure ends them before hubs."""
UID = 65532
"""User and group of operator and surveyor: "nonroot" of distroless images. Numeric, as runAsNonRoot asks for."""
HELM_ACCOUNT = "pdshub-helm"
"""The account as which the operator and Helm act in a hub's namespace (tenant.py). No ServiceAccount has this name."""
HUB_ROLE = "pdshub-hub"
"""The ClusterRole that the account is bound to, and the RoleBinding that does it."""
