"""The proof of a view that has been there for some time: it comes a minute after the last release."""

from __future__ import annotations

import json

from tests.e2e.cluster import eventually
from tests.e2e.releases import VIEW, Release


def test_the_archive_proves_itself_unwritable_and_intact(release: Release) -> None:
    proven = eventually(
        lambda: release.cluster.condition("archiveview", VIEW, "Intact"),
        lambda c: c.get("status") == "True",
        within=240,
        what="a first proof on every node",
    )
    assert proven["message"]
    with release.person.kernel() as kernel:
        health = json.loads(kernel.run("print(open('/archive/.pdshub/health.json').read())").ok())
    assert health["proof"]["ok"] and health["proof"]["unwritable"]
