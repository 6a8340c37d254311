"""The two resources of pdshub.dev/v1alpha1 as pydantic models; ``crds/`` is generated from them.

Imports no other room of the package.
"""

from pdshub.api.hub import PDSHub, PDSHubSpec
from pdshub.api.view import ArchiveView, ArchiveViewSpec

__all__ = ["ArchiveView", "ArchiveViewSpec", "PDSHub", "PDSHubSpec"]
