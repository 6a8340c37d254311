"""What a running hub learns without a restart: a file that pages and spawners read.

Its pages say while the archive is not whole, and carry the texts of the spec: the node's name, whom to write to, the
message of the day. Servers learn which generation users see at their start.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pdshub.api.hub import PDSHubSpec
from pdshub.render.names import Names

GENERATION_ENV = "PDSHUB_ARCHIVE_GENERATION"
DIRECTORY = "/usr/local/etc/pdshub/notice"
FILE = "notice.json"

# A directory is mounted, not a file: the kubelet never refreshes files mounted by subPath. The object is looked at
# when a page is rendered, so that the hub needs no restart. JupyterHub prints announcements unescaped: escape here.
EXTRA_CONFIG = f'''\
import html
import json


class _ArchiveNotice:
    """Looks like text to templates; is what {FILE} says now."""

    def text(self):
        try:
            with open("{DIRECTORY}/{FILE}") as file:
                return str(json.load(file).get("message", ""))
        except (OSError, ValueError):
            return ""

    def __bool__(self):
        return bool(self.text())

    def __str__(self):
        return html.escape(self.text())

    def __html__(self):
        return str(self)


_template_vars = dict(c.JupyterHub.get("template_vars", {{}}))
_template_vars.setdefault("announcement", _ArchiveNotice())
c.JupyterHub.template_vars = _template_vars
'''


# A callable is asked at each start of a server (JupyterHub, Spawner.environment): no revision of the release, and so
# no restart of the hub, for a new generation. Empty while users see the sources live.
GENERATION_CONFIG = f'''\
import json


def _archive_generation(spawner):
    try:
        with open("{DIRECTORY}/{FILE}") as file:
            return str(json.load(file).get("generation", ""))
    except (OSError, ValueError):
        return ""


_environment = dict(c.KubeSpawner.get("environment", {{}}))
_environment.setdefault("{GENERATION_ENV}", _archive_generation)
c.KubeSpawner.environment = _environment
'''


def render(names: Names, archive: bool) -> dict[str, Any]:
    """The ``hub`` values of the notice; ``archive``: servers have one."""
    return {
        "extraConfig": {
            "20-pdshub-notice": EXTRA_CONFIG,
            **({"30-pdshub-generation": GENERATION_CONFIG} if archive else {}),
        },
        "extraVolumes": [{"name": "pdshub-notice", "configMap": {"name": names.notice, "optional": True}}],
        "extraVolumeMounts": [{"name": "pdshub-notice", "mountPath": DIRECTORY, "readOnly": True}],
    }


def texts(spec: PDSHubSpec) -> dict[str, str]:
    """The spec's words for the hub's pages, by the file's keys; without those that are empty.

    They are plain text, and untrusted: whoever shows them escapes them.
    """
    said = {"title": spec.title, "contact": spec.contact, "motd": spec.message}
    return {key: text.strip() for key, text in said.items() if text.strip()}


def content(message: str, generation: str, words: Mapping[str, str] | None = None) -> str:
    """What the file says; ``words`` are :func:`texts`."""
    return json.dumps({"message": message, **({"generation": generation} if generation else {}), **(words or {})})


def config_map(names: Names, message: str, generation: str, words: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The ConfigMap that carries the notice; an empty message shows nothing, an empty generation is none."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": names.notice, "namespace": names.namespace, "labels": names.labels},
        "data": {FILE: content(message, generation, words)},
    }
