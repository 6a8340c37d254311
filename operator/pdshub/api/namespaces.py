"""Which namespaces an ArchiveView may be shown in: as the spec asks for it, and as the operator found them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from pdshub.api.base import Model, Name, StatusModel

LabelValue = Annotated[str, Field(max_length=63)]


class NamespaceSelector(Model):
    """Namespaces by their labels. Source: Kubernetes, Labels and Selectors."""

    match_labels: dict[str, LabelValue] = Field(
        min_length=1, max_length=8, description="Labels that a namespace has, all of them."
    )

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether a namespace with these labels is chosen."""
        return bool(self.match_labels) and all(labels.get(key) == value for key, value in self.match_labels.items())


class AllowedNamespaces(Model):
    """Namespaces whose hubs may show a view: those that are named, and those that the selector chooses."""

    names: list[Name] = Field(default_factory=list, max_length=256, description="Namespaces by name.")
    selector: NamespaceSelector | None = Field(default=None, description="Namespaces by label, beside those named.")

    def allows(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether the hubs of a namespace that has these labels may show the view."""
        return namespace in self.names or self.selects(labels)

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether a namespace is chosen by its labels."""
        return self.selector is not None and self.selector.selects(labels)


class SelectedNamespaces(StatusModel):
    """Namespaces that the operator found a selector to choose: nodes may read no namespaces."""

    match_labels: dict[str, LabelValue] = Field(default_factory=dict, description="The selector that was looked at.")
    names: list[str] = Field(default_factory=list, description="Namespaces with hubs of this view that it chooses.")


def shows(allowed: AllowedNamespaces | None, found: SelectedNamespaces | None, namespace: str) -> bool:
    """Whether a node may show a view to pods of a namespace: by its name, or by what the operator found for just this
    selector. A view that allows no namespaces by name or label may be shown in none, one without the field in each."""
    if allowed is None or namespace in allowed.names:
        return True
    if allowed.selector is None or found is None:
        return False
    return found.match_labels == allowed.selector.match_labels and namespace in found.names
