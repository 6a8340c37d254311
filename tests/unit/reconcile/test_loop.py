"""The loops: one look at a time, nothing that is enqueued lost, no failure final."""

from __future__ import annotations

import asyncio
import itertools

from pdshub.reconcile.common.workqueue import WorkQueue


def test_what_is_enqueued_during_a_look_leads_to_one_more() -> None:
    async def main() -> list[int]:
        looks: list[int] = []
        gate = asyncio.Event()

        async def look(key: str) -> float:
            looks.append(1)
            if len(looks) == 1:
                await gate.wait()
            return 3600.0

        loops: WorkQueue[str] = WorkQueue(look)
        loops.enqueue("a")
        await asyncio.sleep(0.01)
        for _ in range(5):
            loops.enqueue("a")
        gate.set()
        await asyncio.sleep(0.2)
        await loops.close(1.0)
        return looks

    assert len(asyncio.run(main())) == 2


def test_a_failure_ends_neither_its_loop_nor_another() -> None:
    async def main() -> tuple[int, int]:
        counts = {"good": 0, "bad": 0}
        second = asyncio.Event()

        async def look(key: str) -> float:
            counts[key] += 1
            if key == "bad":
                if counts[key] == 2:
                    second.set()
                raise RuntimeError("broken")
            return 0.05

        loops: WorkQueue[str] = WorkQueue(look)
        loops.enqueue("good")
        loops.enqueue("bad")
        await asyncio.wait_for(second.wait(), 10)
        await loops.close(1.0)
        return counts["good"], counts["bad"]

    good, bad = asyncio.run(main())
    assert good > 1 and bad == 2


def test_an_object_that_is_gone_is_forgotten_and_may_come_back() -> None:
    async def main() -> tuple[list[str], int]:
        answers = itertools.chain([None, 3600.0])

        async def look(key: str) -> float | None:
            return next(answers)

        loops: WorkQueue[str] = WorkQueue(look)
        loops.enqueue("a")
        await asyncio.sleep(0.05)
        gone = loops.keys
        loops.enqueue("a")
        await asyncio.sleep(0.05)
        back = len(loops.keys)
        await loops.close(1.0)
        return gone, back

    assert asyncio.run(main()) == ([], 1)


def test_closing_waits_for_what_is_under_way_and_starts_nothing() -> None:
    async def main() -> list[str]:
        said: list[str] = []

        async def look(key: str) -> float:
            await asyncio.sleep(0.1)
            said.append(key)
            return 0.0

        loops: WorkQueue[str] = WorkQueue(look)
        loops.enqueue("a")
        await asyncio.sleep(0.02)
        await loops.close(5.0)
        loops.enqueue("b")
        await asyncio.sleep(0.15)
        return said

    assert asyncio.run(main()) == ["a"]
