"""The one line of configuration that begins what PDSHub adds inside of the hub's process: package ``pdshub_hub``.

The hub image carries the package. Whoever runs a hub from an image of their own gets JupyterHub's pages instead, and
reads in the hub's log what is missing.
"""

from __future__ import annotations

from typing import Any

EXTRA_CONFIG = """\
import sys

try:
    from pdshub_hub import settings as _pdshub_settings
except ModuleNotFoundError as error:
    print(
        f"PDSHub: this hub image lacks the package pdshub_hub ({error}): no pages and no list of PDSHub;"
        " build the image from images/hub of PDSHub, or begin with it (FROM)",
        file=sys.stderr,
    )
else:
    _pdshub_settings.setup(c)
"""


def render() -> dict[str, Any]:
    """The ``hub`` values that carry this code."""
    return {"extraConfig": {"15-pdshub-people": EXTRA_CONFIG}}
