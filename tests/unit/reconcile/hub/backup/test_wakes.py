"""What the loop of backups is told of, and which hubs it looks at because of it."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from pdshub.kube import Object
from pdshub.reconcile.hub.backup.loop import BackupLoop

A, B, C = ("a", "demo"), ("b", "demo"), ("c", "demo")


def hub(namespace: str, saves: bool = True, generation: int = 1) -> Object:
    spec = {"backup": {"x": 1}} if saves else {}
    return {"metadata": {"namespace": namespace, "name": "demo", "generation": generation}, "spec": spec}


def asked(namespace: str, name: str = "one", **status: Any) -> Object:
    meta = {"namespace": namespace, "name": name}
    return {"kind": "HubBackup", "metadata": meta, "spec": {"hub": "demo"}, "status": status}


class Told:
    """A loop whose looks are counted."""

    def __init__(self) -> None:
        self.looks: list[tuple[str, str]] = []

        async def look(context: Any, namespace: str, name: str) -> float:
            self.looks.append((namespace, name))
            return 3600.0

        self.loop = BackupLoop(cast(Any, None), look)

    async def since(self) -> set[tuple[str, str]]:
        """Which hubs were looked at since the last question."""
        for _ in range(200):
            await asyncio.sleep(0.005)
            if self.loop.queue.idle:
                break
        found, self.looks[:] = set(self.looks), []
        return found


def test_who_is_looked_at() -> None:
    async def main() -> None:
        told = Told()
        told.loop.put(A, None, hub("a"))
        told.loop.put(B, None, hub("b", saves=False))
        assert await told.since() == {A}, "a hub without backups costs nothing"
        told.loop.put(A, hub("a"), hub("a"))
        assert await told.since() == set(), "a status that changed is nothing"
        told.loop.put(A, hub("a"), hub("a", generation=2))
        assert await told.since() == {A}
        told.loop.put(A, hub("a"), hub("a", saves=False, generation=3))
        assert await told.since() == {A}, "its conditions go"
        told.loop.all()
        assert await told.since() == set()
        await told.loop.close(1.0)

    asyncio.run(main())


def test_what_is_asked_for_is_looked_at_and_a_job_that_ends_wakes_who_waits() -> None:
    async def main() -> None:
        told = Told()
        told.loop.on_asked(None, asked("a"), False)
        assert await told.since() == {A}
        told.loop.on_asked(None, asked("b"), False)
        told.loop.on_asked(None, asked("c", phase="Completed"), False)
        assert await told.since() == {B, C}
        told.loop.on_asked(asked("a"), asked("a", phase="Running", job="one-i0"), True)
        assert await told.since() == set(), "what a look wrote itself is known to it"
        told.loop.on_asked(asked("a", phase="Running", job="one-i0"), asked("a", phase="Running", job=""), True)
        assert await told.since() == {B}, "who waits for the repository; c waits for nothing"
        told.loop.on_asked(asked("a", phase="Running", job="one-i1"), None, False)
        assert await told.since() == {A, B}, "it was deleted while it ran"
        told.loop.all()
        assert await told.since() == {B}
        told.loop.on_asked(asked("b"), asked("b", phase="Failed"), True)
        told.loop.all()
        assert await told.since() == set()
        await told.loop.close(1.0)

    asyncio.run(main())


def test_a_namespace_that_is_opened() -> None:
    async def main() -> None:
        told = Told()
        told.loop.put(A, None, hub("a"))
        await told.since()
        told.loop.on_opened(A)
        told.loop.on_opened(B)
        assert await told.since() == {A}
        told.loop.on_asked(None, asked("c"), False)
        await told.since()
        told.loop.put(C, hub("c", saves=False), None)
        assert await told.since() == {C}, "its run has to end"
        await told.loop.close(1.0)

    asyncio.run(main())
