"""JupyterHub's configuration, from the values of the chart.

Read at the hub's start: ``secret/values.yaml`` beside this file, and over it ``existing-secret/values.yaml``, where
``hub.existingSecret`` names a Secret. Keys that are generated are files of those two folders, the second one first.
"""

import os
from pathlib import Path

import yaml
from tornado.httpclient import AsyncHTTPClient

HERE = Path(__file__).resolve().parent
SECRETS = (HERE / "existing-secret", HERE / "secret")  # the first that has a key wins

# KubeSpawner's and the hub's traits, and where their values stand. null leaves the trait's own default.
SPAWNER_TRAITS = {
    "allow_privilege_escalation": "allowPrivilegeEscalation",
    "cmd": "cmd",
    "cpu_guarantee": "cpu.guarantee",
    "cpu_limit": "cpu.limit",
    "default_url": "defaultUrl",
    "environment": "extraEnv",
    "events_enabled": "events",
    "extra_annotations": "extraAnnotations",
    "extra_labels": "extraLabels",
    "extra_pod_config": "extraPodConfig",
    "extra_resource_guarantees": "extraResource.guarantees",
    "extra_resource_limits": "extraResource.limits",
    "fs_gid": "fsGid",
    "image_pull_policy": "image.pullPolicy",
    "init_containers": "initContainers",
    "lifecycle_hooks": "lifecycleHooks",
    "mem_guarantee": "memory.guarantee",
    "mem_limit": "memory.limit",
    "node_selector": "nodeSelector",
    "pod_name_template": "podNameTemplate",
    "profile_list": "profileList",
    "service_account": "serviceAccountName",
    "start_timeout": "startTimeout",
    "storage_access_modes": "storage.dynamic.storageAccessModes",
    "storage_capacity": "storage.capacity",
    "storage_class": "storage.dynamic.storageClass",
    "storage_extra_labels": "storage.extraLabels",
    "pvc_name_template": "storage.dynamic.pvcNameTemplate",
    "tolerations": "extraTolerations",
    "uid": "uid",
}
HUB_TRAITS = {
    "active_server_limit": "activeServerLimit",
    "allow_named_servers": "allowNamedServers",
    "base_url": "baseUrl",
    "concurrent_spawn_limit": "concurrentSpawnLimit",
    "named_server_limit_per_user": "namedServerLimitPerUser",
    "template_paths": "templatePaths",
    "template_vars": "templateVars",
}
# What the `restricted` Pod Security Standard asks of a user's pod; hub.config.KubeSpawner may replace it.
RESTRICTED_POD = {
    "runAsNonRoot": True,
    "fsGroupChangePolicy": "OnRootMismatch",
    "seccompProfile": {"type": "RuntimeDefault"},
}
RESTRICTED_CONTAINER = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def merged(below, above):
    """Two values documents: maps merge, anything else is replaced."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {k: merged(below[k], above[k]) if k in below and k in above else above.get(k, below.get(k))
            for k in [*below, *(k for k in above if k not in below)]}  # fmt: skip


def load_values():
    """The whole values document."""
    found = {}
    for folder in reversed(SECRETS):
        if (folder / "values.yaml").exists():
            found = merged(found, yaml.safe_load((folder / "values.yaml").read_text()) or {})
    return found


def key(name):
    """A generated or given secret, as text; None where there is none."""
    for folder in SECRETS:
        if (folder / name).exists():
            return (folder / name).read_text().strip()
    return None


def value(path, document):
    """What stands at a dotted path, or None."""
    for part in path.split("."):
        document = document.get(part) if isinstance(document, dict) else None
    return document


def apply(section, traits, document):
    """Set those traits whose value is not null."""
    for trait, path in traits.items():
        found = value(path, document)
        if found is not None:
            setattr(section, trait, found)


def image_name(image):
    """``name:tag``."""
    return f"{image['name']}:{image['tag']}" if image.get("tag") else image["name"]


def keyed(items, prefix):
    """Volumes or mounts as a map: KubeSpawner merges maps, profiles can replace single entries."""
    if isinstance(items, dict):
        return items
    return {f"{prefix}{n}-{item['name']}": item for n, item in enumerate(items or [])}


def storage(user):
    """Volumes and mounts of a user's pod: the home, extraFiles, extraVolumes."""
    volumes, mounts = {}, {}
    home = user["storage"]
    if home["type"] == "dynamic":
        name = home["dynamic"].get("volumeNameTemplate") or "volume-{user_server}"
        volumes[name] = {"name": name, "persistentVolumeClaim": {"claimName": "{pvc_name}"}}
        mounts[name] = {"name": name, "mountPath": home["homeMountPath"]}
    files = user.get("extraFiles") or {}
    if files:
        items = [{"key": k, "path": k, **({"mode": f["mode"]} if "mode" in f else {})} for k, f in files.items()]
        volumes["files"] = {"name": "files", "secret": {"secretName": "singleuser", "items": items}}
        for k, f in files.items():
            mounts[f"files-{k}"] = {"name": "files", "mountPath": f["mountPath"], "subPath": k}
    volumes.update(keyed(home.get("extraVolumes"), "extra-"))
    mounts.update(keyed(home.get("extraVolumeMounts"), "extra-"))
    return volumes, mounts


def culler(cull, base):
    """The idle culler as a service, and the role that lets it see and stop servers; nothing if it is off."""
    if not cull.get("enabled"):
        return [], []
    command = ["python3", "-m", "jupyterhub_idle_culler", f"--url=http://localhost:8081{base}hub/api"]
    options = {"timeout": "timeout", "cull-every": "every", "concurrency": "concurrency", "max-age": "maxAge"}
    command += [f"--{option}={cull[name]}" for option, name in options.items() if cull.get(name)]
    scopes = ["list:users", "read:users:activity", "read:servers", "delete:servers"]
    if cull.get("users"):
        command.append("--cull-users")
        scopes.append("admin:users")
    if not cull.get("adminUsers", True):
        command.append("--cull-admin-users=false")
    if cull.get("removeNamedServers"):
        command.append("--remove-named-servers")
    name = "jupyterhub-idle-culler"
    return [{"name": name, "command": command}], [{"name": name, "scopes": scopes, "services": [name]}]


def configure(c, values):
    """Everything but hub.config and hub.extraConfig."""
    hub, user = values["hub"], values["singleuser"]
    base = (hub.get("baseUrl") or "/").rstrip("/") + "/"
    release = os.environ["HELM_RELEASE_NAME"]

    AsyncHTTPClient.configure("tornado.curl_httpclient.CurlAsyncHTTPClient")
    apply(c.JupyterHub, HUB_TRAITS, hub)
    c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
    c.JupyterHub.hub_bind_url = "http://:8081"
    c.JupyterHub.hub_connect_url = "http://hub:8081"
    c.JupyterHub.db_url = "sqlite:///jupyterhub.sqlite" if hub["db"]["type"] == "sqlite-pvc" else "sqlite://"
    c.JupyterHub.cleanup_servers = False  # users' servers outlive the hub
    c.JupyterHub.last_activity_interval = 60
    c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}  # show the progress page at once
    c.JupyterHub.cookie_secret = key("hub.config.JupyterHub.cookie_secret")
    c.CryptKeeper.keys = key("hub.config.CryptKeeper.keys").split(";")
    c.ConfigurableHTTPProxy.should_start = False
    c.ConfigurableHTTPProxy.api_url = "http://proxy-api:8001"
    if value("debug.enabled", values):
        c.JupyterHub.log_level = "DEBUG"
        c.Spawner.debug = True
    if hub.get("consecutiveFailureLimit") is not None:
        c.Spawner.consecutive_failure_limit = hub["consecutiveFailureLimit"]

    c.KubeSpawner.namespace = os.environ["POD_NAMESPACE"]
    c.KubeSpawner.image = image_name(user["image"])
    apply(c.KubeSpawner, SPAWNER_TRAITS, user)
    c.KubeSpawner.pod_security_context = RESTRICTED_POD
    c.KubeSpawner.container_security_context = RESTRICTED_CONTAINER
    c.KubeSpawner.delete_pvc = False  # a user may come back
    c.KubeSpawner.storage_pvc_ensure = user["storage"]["type"] == "dynamic"
    c.KubeSpawner.volumes, c.KubeSpawner.volume_mounts = storage(user)
    # network policies select pods by these; the chart's version is not among them, so that none differs by upgrades
    c.KubeSpawner.common_labels = {
        "app": "jupyterhub",
        "release": release,
        "app.kubernetes.io/name": "jupyterhub",
        "app.kubernetes.io/instance": release,
        "app.kubernetes.io/managed-by": "kubespawner",
    }
    pulls = [s["name"] if isinstance(s, dict) else s for s in values.get("imagePullSecrets") or []]
    if pulls:
        c.KubeSpawner.image_pull_secrets = pulls

    services, roles = culler(values["cull"], base)
    for name, service in (hub.get("services") or {}).items():
        given = {k: v for k, v in service.items() if k not in ("apiToken", "api_token")}
        services.append({"name": name, **given, "api_token": key(f"hub.services.{name}.apiToken")})
    roles += [{"name": name, **role} for name, role in (hub.get("loadRoles") or {}).items()]
    c.JupyterHub.services, c.JupyterHub.load_roles = services, roles


GENERATED = {("JupyterHub", "cookie_secret"), ("CryptKeeper", "keys"), ("ConfigurableHTTPProxy", "auth_token")}


def pass_through(c, config):
    """hub.config: sections of traits, as they are. Keys that come from the Secret were set above."""
    for section, traits in config.items():
        c[section].update({t: v for t, v in (traits or {}).items() if (section, t) not in GENERATED})


c = get_config()  # noqa: F821  (given by traitlets)
values = load_values()
configure(c, values)
pass_through(c, values["hub"].get("config") or {})
for _name, _code in sorted((values["hub"].get("extraConfig") or {}).items()):
    print(f"hub.extraConfig: {_name}")
    exec(compile(_code, f"hub.extraConfig[{_name}]", "exec"))  # noqa: S102  (the admin's own configuration)
