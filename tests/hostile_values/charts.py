"""The charts that are attacked, with every part of them switched on."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from pdshub.api.hub import PDSHubSpec
from pdshub.installation import Defaults
from pdshub.reconcile.hub.manifest.kinds import ONCE_APPLIED
from pdshub.render.chart import ChartRef
from pdshub.render.merge import merge
from pdshub.render.names import Names
from pdshub.render.values import values
from tests.hostile_values.places import Json

ROOT = Path(__file__).parents[2]
AIRGAP = ROOT / "charts/jupyterhub-airgap"
NAMES = Names("ns", "demo")
KINDS: Container[str] = frozenset(
    {
        *ONCE_APPLIED,
        "rbac.authorization.k8s.io/v1 ClusterRole",
        "rbac.authorization.k8s.io/v1 ClusterRoleBinding",
        "scheduling.k8s.io/v1 PriorityClass",
        "gateway.networking.k8s.io/v1 HTTPRoute",
    }
)
"""What a hub may not have, and zero-to-jupyterhub makes where it is told to: the values in it are tried as well."""
_SPEC: Json = {
    "signIn": {"development": {}},
    "hostname": "hub.example.org",
    "archive": {"viewRef": "sbn"},
    "users": {"allowed": ["ada"], "admins": ["root"]},
}
_IMAGES = {part: f"localhost/pdshub/{part}:1" for part in ("hub", "proxy", "user")}
_FILES = {"f": {"mountPath": "/f", "stringData": "x"}}
_ON: Json = {
    "ingress": {"enabled": True, "hosts": ["a.example.org"]},
    "singleuser": {"extraFiles": _FILES},
    "hub": {"services": {"s": {}}, "existingSecret": "e"},
    "imagePullSecrets": [{"name": "a"}],
}
_MAIL = {"contactEmail": "root@example.org"}
_ON_PUBLIC: Json = {
    "imagePullSecret": {"create": True, "registry": "r", "username": "u", "password": "p", "email": "e"},
    "hub": {"extraFiles": _FILES, "pdb": {"enabled": True}, "db": {"type": "sqlite-pvc"}},
    "proxy": {
        "chp": {"pdb": {"enabled": True}},
        "https": {"enabled": True, "type": "letsencrypt", "hosts": ["a.example.org"], "letsencrypt": _MAIL},
        "traefik": {"pdb": {"enabled": True}},
    },
    "scheduling": {
        "userPlaceholder": {"enabled": True, "replicas": 1},
        "corePods": {"nodeAffinity": {"matchNodePurpose": "require"}},
    },
    "prePuller": {
        "hook": {"enabled": True, "pullOnlyOnChanges": False},
        "continuous": {"enabled": True},
        "extraImages": {"i": {"name": "i", "tag": "1"}},
        "pullProfileListImages": True,
    },
}
_POLICIES = {"networkPolicy": {"enabled": True}}
_BEYOND: Json = {"hub": _POLICIES, "singleuser": _POLICIES, "proxy": {"chp": _POLICIES}}
_BEYOND_PUBLIC: Json = {
    "proxy": {"traefik": _POLICIES},
    "scheduling": {"userScheduler": {"enabled": True, "pdb": {"enabled": True}}, "podPriority": {"enabled": True}},
    "httpRoute": {"enabled": True, "hostnames": ["a.example.org"], "gateway": {"name": "g"}},
}
"""Parts that make what a hub may not have."""


@dataclass(frozen=True)
class HubChart:
    """A chart: where helm finds it, its schema, and the values that it is rendered with when nobody attacks."""

    name: str
    where: Path
    schema: Json
    defaults: Json
    """The chart's own values: helm's schema is asked about these with the others laid over them."""
    plain: Json
    """What the operator renders, with all that a hub may have switched on."""
    values: Json
    """The same with what a hub may not have: see :data:`KINDS`."""
    needs: Mapping[tuple[str, ...], Json] = field(default_factory=dict)
    """What else has to be said so that the values below a path are printed."""

    def base(self, path: tuple[str, ...], *, plain: bool = False) -> Json:
        """The values for an attack at a path."""
        more = next((said for begin, said in self.needs.items() if path[: len(begin)] == begin), None)
        values = self.plain if plain else self.values
        return merge(values, more) if more else values


def airgap() -> HubChart:
    """The chart of this project."""
    schema = json.loads((AIRGAP / "values.schema.json").read_text())
    defaults = yaml.safe_load((AIRGAP / "values.yaml").read_text())
    return HubChart("jupyterhub-airgap", AIRGAP, schema, defaults, *_laid(_rendered(None), _ON, _BEYOND))


def packaged(archive: Path) -> HubChart:
    """A packaged zero-to-jupyterhub. Raises KeyError where it has no schema."""
    with tarfile.open(archive) as tar:
        # JSON is YAML, too
        schema, defaults = (
            yaml.load(_read(tar, f"jupyterhub/{name}"), yaml.CSafeLoader)
            for name in ("values.schema.json", "values.yaml")
        )
    secret = {"proxy": {"https": {"type": "secret", "secret": {"name": "s"}}}}
    manual = {"proxy": {"https": {"type": "manual", "manual": {"key": "k", "cert": "c"}}}}
    needs = {("proxy", "https", "secret"): secret, ("proxy", "https", "manual"): manual}
    on, beyond = merge(_ON, _ON_PUBLIC), merge(_BEYOND, _BEYOND_PUBLIC)
    return HubChart(
        archive.stem, archive, schema, defaults, *_laid(_rendered("https://example.org"), on, beyond), needs
    )


def _laid(rendered: Json, on: Json, beyond: Json) -> tuple[Json, Json]:
    plain = merge(rendered, on)
    return plain, merge(plain, beyond)


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    """A file of a packaged chart. Raises KeyError."""
    found = tar.extractfile(name)
    assert found is not None
    return found.read()


def _rendered(repository: str | None) -> Json:
    """The values that the operator renders for a hub with an archive."""
    spec = PDSHubSpec.model_validate(_SPEC)
    defaults = Defaults.model_validate({"images": _IMAGES})
    chart = ChartRef("Repository" if repository else "Airgap", "jupyterhub", repository, "4.4.0", "x")
    return values(spec, defaults, chart, NAMES, "sbn", "sbn")
