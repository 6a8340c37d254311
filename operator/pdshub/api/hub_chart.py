"""The Helm chart of a hub."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pdshub import generation_id
from pdshub.api.base import Model

CHART_VERSION = r"^v?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$"
"""One version by Semantic Versioning 2.0.0, whole: Helm takes more of a text for a range of versions."""
CHART_DIGEST = f"^{generation_id.NAME.pattern}$"
"""A SHA-256 digest as images and generations have them."""


class Chart(Model):
    """The Helm chart that the hub is installed from; fields left out are the installation's."""

    source: Literal["Repository", "Airgap"] | None = Field(
        default=None,
        description="Repository: zero-to-jupyterhub from a Helm repository. Airgap: the small chart that PDSHub ships.",
    )
    repository: str | None = Field(
        default=None, max_length=1024, pattern=r"^https?://", description="Address of the repository."
    )
    version: str | None = Field(
        default=None, max_length=64, pattern=CHART_VERSION, description="Exact chart version, never a range."
    )
    digest: str | None = Field(
        default=None,
        max_length=71,
        pattern=CHART_DIGEST,
        description="sha256:… of the packaged chart (.tgz) of that version; another one is not installed.",
    )
