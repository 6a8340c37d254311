"""The whole values document of a hub: what the spec says, then ``spec.values`` over it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pdshub.api.hub import PDSHubSpec
from pdshub.installation import Defaults, GoogleProvider
from pdshub.render import (
    door,
    hub_package,
    images,
    isolation,
    network,
    notice,
    reconnect,
    server,
    signin,
    trust,
)
from pdshub.render.chart import ChartRef
from pdshub.render.merge import merge
from pdshub.render.names import Names

_CORE: Mapping[str, Any] = {"cpu": "50m", "memory": "200Mi"}
_PROXY: Mapping[str, Any] = {"cpu": "20m", "memory": "64Mi"}
_RESTRICTED: Mapping[str, Any] = {
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""What the ``restricted`` Pod Security Standard asks of a container, said for each: charts differ in their defaults."""
_SEALED: Mapping[str, Any] = {**_RESTRICTED, "readOnlyRootFilesystem": True}
"""The same for one that writes to its volumes only."""
_SCRATCH: Mapping[str, Any] = {
    "extraVolumes": [{"name": "pdshub-tmp", "emptyDir": {"sizeLimit": "256Mi"}}],
    "extraVolumeMounts": [{"name": "pdshub-tmp", "mountPath": "/tmp"}],  # noqa: S108 - a path in the hub's container
}
"""What the hub may write beside its database."""


def _culling(spec: PDSHubSpec) -> dict[str, Any]:
    culling = spec.culling
    return {
        "enabled": culling.enabled,
        "timeout": culling.idle_seconds,
        "every": culling.every_seconds,
        "maxAge": culling.max_age_seconds,
    }


def _service(spec: PDSHubSpec) -> dict[str, Any]:
    """The proxy's Service. Behind a door of its own it is reached from inside only."""
    if door.has_door(spec):
        return {"type": "ClusterIP"}
    port = spec.service.node_port
    return {"type": spec.service.type, **({"nodePorts": {"http": port}} if port else {})}


def _image(reference: str, policy: str) -> dict[str, Any]:
    return {"image": {**images.split(reference), "pullPolicy": policy}} if reference else {}


def pull_ahead(spec: PDSHubSpec, defaults: Defaults, chart: ChartRef) -> bool:
    """Whether user images are pulled before users come: with the public chart and images that a registry holds."""
    chosen = [spec.server.image or defaults.images.user, *(p.image for p in spec.server.profiles if p.image)]
    return chart.source == "Repository" and all(images.pullable(image) for image in chosen)


def _pullers(chart: ChartRef) -> dict[str, Any]:
    """What the pods that pull images ahead may do; the small chart has none."""
    if chart.source != "Repository":
        return {}
    return {"containerSecurityContext": dict(_RESTRICTED), "pause": {"containerSecurityContext": dict(_RESTRICTED)}}


def _full(spec: PDSHubSpec) -> dict[str, Any]:
    """How the hub meets failed starts, and a quota.

    After five failed starts in a row the hub would end, for everybody: whoever tries often enough in a full namespace,
    or with an archive that is away, would restart it. It goes on, and each page says what failed. With a quota the hub
    says itself that as many servers run as may, before Kubernetes refuses a pod.
    """
    servers = spec.quota.servers if spec.quota else None
    return {"consecutiveFailureLimit": 0, **({} if servers is None else {"activeServerLimit": servers})}


def mark(chart: ChartRef, names: Names) -> dict[str, Any]:
    """The value ``custom``, a free place of the chart's schema: whose release this is, and of which chart.

    ``chart`` changes whenever the chart's content may have changed, and so leads to an upgrade.
    """
    return {"pdshub": {"hub": names.name, "chart": chart.identity}}


def rendered(
    spec: PDSHubSpec,
    defaults: Defaults,
    chart: ChartRef,
    names: Names,
    view: str = "",
    folder: str = "",
    provider: GoogleProvider | None = None,
) -> dict[str, Any]:
    """Values from the fields of the spec alone.

    What often changes belongs elsewhere: any change here changes one Secret, and with it restarts the hub.
    """
    policy = defaults.image_pull_policy
    spawner: dict[str, Any] = {"config": {"KubeSpawner": server.SPAWNER}}
    hub: dict[str, Any] = {
        **_image(defaults.images.hub, policy),
        "existingSecret": names.keys,
        # the database outlives the release: users, tokens and running servers are found again
        "db": {"type": "sqlite-pvc", "pvc": {"annotations": {"helm.sh/resource-policy": "keep"}, "storage": "1Gi"}},
        "resources": {"requests": dict(_CORE)},
        "podSecurityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containerSecurityContext": dict(_SEALED),
        **_full(spec),
    }
    told = notice.render(names, bool(view))
    signs_in = signin.render(spec, names, provider)
    believed, believing = trust.render(spec, names)
    parts = (spawner, signs_in, told, reconnect.render(), hub_package.render(), isolation.hub(spec), believed)
    for part in parts:
        hub = merge(hub, part)
    # lists would replace each other
    hub |= {key: [*told[key], *signs_in[key], *_SCRATCH[key]] for key in _SCRATCH}
    return {
        "custom": mark(chart, names),
        "hub": hub,
        "proxy": {
            "chp": {
                **_image(defaults.images.proxy, policy),
                "resources": {"requests": dict(_PROXY)},
                "containerSecurityContext": dict(_SEALED),
                **isolation.proxy(spec),
                **believing.get("chp", {}),
            },
            "service": _service(spec),
        },
        "singleuser": server.render(spec, defaults, names, view, folder),
        "scheduling": {
            "userScheduler": {"enabled": False},
            "userPlaceholder": {"enabled": False},
            "podPriority": {"enabled": False},
        },
        # the hook would hold an upgrade until the slowest pull is done; the continuous puller holds nobody
        "prePuller": {
            "hook": {"enabled": False},
            "continuous": {"enabled": pull_ahead(spec, defaults, chart)},
            **_pullers(chart),
        },
        "cull": _culling(spec),
    }


TEMPLATES = (("hub", "command"), ("hub", "args"), ("proxy", "chp", "extraCommandLineFlags"))
"""Values that zero-to-jupyterhub runs as templates (``tpl``). Source: the chart's hub/ and proxy/deployment.yaml."""


def template_trouble(document: Mapping[str, Any]) -> str:
    """Which value would be run as a template; empty when none would.

    ``lookup`` works in templates: whoever writes a PDSHub could read Secrets of the namespace with the rights of its
    account.
    """
    for path in TEMPLATES:
        found: Any = document
        for key in path:
            found = found.get(key) if isinstance(found, Mapping) else None
        if "{{" in json.dumps(found):
            field = ".".join(("spec.values", *path))
            return f"{field} is refused: the chart would run it as a template, which can read Secrets: leave out '{{{{'"
    return ""


def _with_policies_off(merged: dict[str, Any], chart: ChartRef) -> dict[str, Any]:
    """The values with the chart's policies switched off; a part that is no map stays, for the chart to refuse."""

    def laid(over: Mapping[str, Any], below: Mapping[str, Any]) -> dict[str, Any]:
        found = {}
        for key, value in over.items():
            if isinstance(value, Mapping) and key in below:
                if isinstance(below[key], Mapping):
                    found[key] = laid(value, below[key])
            else:
                found[key] = value
        return found

    return merge(merged, laid(network.chart_values(chart.source == "Repository"), merged))


def values(
    spec: PDSHubSpec, defaults: Defaults, chart: ChartRef, names: Names, view: str = "", folder: str = ""
) -> dict[str, Any]:
    """What Helm gets: the rendered values with ``spec.values`` laid over them by Helm's rules."""
    return laid_over(rendered(spec, defaults, chart, names, view, folder), spec, chart, names)


def laid_over(below: Mapping[str, Any], spec: PDSHubSpec, chart: ChartRef, names: Names) -> dict[str, Any]:
    """``spec.values`` over what was rendered.

    The mark of ownership and the network policies come last: no value of a spec can give the release to another hub,
    or bring policies of the chart back, which would allow more.
    """
    return merge(_with_policies_off(merge(below, spec.values), chart), {"custom": mark(chart, names)})
