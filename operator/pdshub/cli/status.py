"""``kubectl pdshub status``: every hub on one screen, or one of them, and what is in the way."""

from __future__ import annotations

import argparse
import time
from typing import Any

from pdshub.archive.findings import printable
from pdshub.cli import archive, held, hub_choice, status_words, users, words
from pdshub.cli.archive import Said
from pdshub.cli.census import Census
from pdshub.cli.kubectl import Kubectl
from pdshub.cli.terminal import safe
from pdshub.cli.tried import Reader

Json = dict[str, Any]


def run(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Answers ``status``: a block for each hub that is meant, and a line for each view. Code 0 whatever blocks."""
    hubs = hub_choice.every(kubectl, args)
    views = kubectl.items(archive.VIEWS)
    found, blocks, now = list[Json](), list[str](), time.time()
    for hub in hubs:
        census, notes = users.counted(kubectl, hub) if (hub.get("spec") or {}) else (Census(), [])
        read = Reader(kubectl)
        servers = held.of_hub(status_words.view_of(hub, views), read, hub_choice.key(hub)[0])
        summary = status_words.summary(hub, census, views, now, servers)
        notes = [*notes, *read.notes]
        found.append({**summary, "notes": notes})
        lines = [status_words.screen(safe(summary)), *(f"  note         {printable(note)}" for note in notes)]
        blocks.append("\n".join(lines))
    if not args.hub:
        blocks.append(words.views(safe(views)))
    text = "\n\n".join(blocks if hubs else ["no hubs", *blocks])
    return {"hubs": hubs, "views": views, "summary": found}, text, 0


def arguments(top: Any, common: argparse.ArgumentParser) -> None:
    """The command line of ``status``."""
    text = "hubs and archive views on one screen: release, archive, users, storage, backups, certificate, what blocks"
    sub: argparse.ArgumentParser = top.add_parser("status", parents=[common], help=text, description=text)
    hub_choice.arguments(sub)
    sub.set_defaults(run=run)
