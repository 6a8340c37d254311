"""What the hub's pages say while the archive is not whole: a file in the hub that each page reads."""

from __future__ import annotations

import json
from typing import Any

from pdshub.render.names import Names

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


def render(names: Names) -> dict[str, Any]:
    """The ``hub`` values of the notice."""
    return {
        "extraConfig": {"20-pdshub-notice": EXTRA_CONFIG},
        "extraVolumes": [{"name": "pdshub-notice", "configMap": {"name": names.notice, "optional": True}}],
        "extraVolumeMounts": [{"name": "pdshub-notice", "mountPath": DIRECTORY, "readOnly": True}],
    }


def config_map(names: Names, message: str) -> dict[str, Any]:
    """The ConfigMap that carries the notice; an empty message shows nothing."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": names.notice, "namespace": names.namespace, "labels": names.labels},
        "data": {FILE: json.dumps({"message": message})},
    }
