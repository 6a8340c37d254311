"""The hub's pages: templates of this package over JupyterHub's own, their words, and a spawner that says why it failed.

Templates are small: they extend JupyterHub's (``templates/…``) and replace single blocks.
Source: JupyterHub 5, "Working with templates and UI".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pdshub_hub import notice

TEMPLATES = Path(__file__).parent / "templates"
SPAWNER = "pdshub_hub.spawner.PDSHubSpawner"
_REPLACED = ("kubespawner.KubeSpawner", "kubespawner.spawner.KubeSpawner", "kubespawner")
"""How configurations name the spawner of which ours is a kind."""


def _words(user: Any) -> notice.Words:
    """Called with each page that is made (``template_vars`` may be callables)."""
    return notice.read()


def setup(c: Any) -> None:
    """Add templates, their variable ``pdshub``, and the spawner; what an admin has set goes first."""
    paths = c.JupyterHub.template_paths
    if isinstance(paths, list):
        paths.append(str(TEMPLATES))
    else:  # not set yet: traitlets keeps what is to be done to the default, which is JupyterHub's own folder
        paths.insert(0, str(TEMPLATES))
    c.JupyterHub.template_vars = {"pdshub": _words, **dict(c.JupyterHub.get("template_vars") or {})}
    if c.JupyterHub.get("spawner_class") in _REPLACED:
        c.JupyterHub.spawner_class = SPAWNER
