"""The gate alone, without HTTP: whatever happens in whatever order, nobody is lost and no place leaks."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable

import pytest

from gateway import pause
from gateway.pause import LET_IN_AT_MOST, Gate, Room, Turn
from service_kit.errors import ServiceError

HOUR_S = 3600.0


def gate(max_waiting: int = 1000, max_s: float = HOUR_S) -> Gate:
    return Gate("llm", Room(max_waiting, 2**20), max_s)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)


async def test_long_answers_do_not_pile_up_behind_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more every half second, but not past what a backend takes: whisper-api would refuse with 429 who waited."""
    monkeypatch.setattr(pause, "LET_IN_EVERY_S", 0.001)
    one = gate()
    one.pause_for("me", "w", 60)
    turns = [one.join(0) for _ in range(100)]
    one.resume("me")
    await until(lambda: one.in_flight == LET_IN_AT_MOST)
    await asyncio.sleep(0.1)
    assert one.in_flight == LET_IN_AT_MOST
    for turn in turns:  # in their order, each as one of them ends
        await turn.come
        one.leave()
    assert (one.in_flight, len(one.queue), one.shut) == (0, 0, False)


async def test_a_backend_that_had_more_gets_as_many_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """vLLM answers a hundred at once: held to fewer, its queue would grow for ever under the load of before."""
    monkeypatch.setattr(pause, "LET_IN_EVERY_S", 0.001)
    one = gate()
    for _ in range(LET_IN_AT_MOST + 20):
        one.enter()
    for _ in range(2):  # the second time with nobody there
        one.pause_for("me", "w", 60)
        while one.in_flight:
            one.leave()
        turns = [one.join(0) for _ in range(100)]
        one.resume("me")
        await until(lambda: one.in_flight == LET_IN_AT_MOST + 20)
        for turn in turns:
            await turn.come
            one.leave()
        assert not one.shut


class TestWhoRenewsForEver:
    async def test_is_refused_once_the_longest_pause_is_over(self) -> None:
        one = gate(max_s=0.05)
        one.pause_for("stuck", "w", 60)
        turn = one.join(0)
        await asyncio.wait_for(turn.come, 10)
        for _ in range(3):
            with pytest.raises(ServiceError) as refused:
                one.pause_for("stuck", "w", 60)
            assert (refused.value.status, refused.value.code) == (409, "pause_used_up")
        assert not one.shut

    async def test_may_pause_again_after_a_resume(self) -> None:
        one = gate(max_s=0.02)
        one.pause_for("me", "w", 60)
        await until(lambda: one.pause is None)
        one.resume("me")
        one.pause_for("me", "w", 60)
        assert one.shut

    async def test_another_is_not_refused(self) -> None:
        one = gate(max_s=0.02)
        one.pause_for("stuck", "w", 60)
        await until(lambda: one.pause is None)
        one.pause_for("me", "w", 60)
        assert one.shut

    async def test_is_forgotten_as_a_lease_is(self) -> None:
        """An owner that was killed after all: its next run has the same name, perhaps."""
        one = gate(max_s=0.02)
        one.pause_for("me", "w", 0.05)
        await until(lambda: one.pause is None)
        await asyncio.sleep(0.2)
        one.pause_for("me", "w", 60)
        assert one.shut


@pytest.mark.parametrize("seed", range(20))
async def test_no_place_leaks_whatever_happens(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pause, "LET_IN_EVERY_S", 0.0005)
    dice = random.Random(seed)
    room = Room(40, 2**20)
    one = Gate("llm", room, 0.02)
    waiting: list[Turn] = []
    inside = 0
    for _ in range(400):
        match dice.randrange(7):
            case 0:
                with_lease_s = dice.choice([0.001, 60])
                with contextlib.suppress(ServiceError):
                    one.pause_for(dice.choice(["a", "b"]), "w", with_lease_s)
            case 1:
                with contextlib.suppress(ServiceError):
                    one.resume(dice.choice(["a", "b"]))
            case 2 | 3:
                if not one.shut:
                    one.enter()
                    inside += 1
                else:
                    with contextlib.suppress(ServiceError):
                        waiting.append(one.join(10))
            case 4 if waiting:  # also one whose turn has come in this very moment
                waiting.pop(dice.randrange(len(waiting))).give_up()
            case 5 if inside:
                inside -= 1
                one.leave()
            case 6:
                await asyncio.sleep(dice.choice([0, 0, 0.001]))
        come = [turn for turn in waiting if turn.come.done()]
        assert one.in_flight == inside + len(come)
        assert (room.waiting, room.held_bytes) == (len(one.queue), 10 * len(one.queue))
        assert len(one.queue) == len(waiting) - len(come)
        assert one.shut == (one.pause is not None or bool(one.queue))
        if dice.random() < 0.3 and come:
            waiting.remove(come[0])
            inside += 1
    for owner in "ab":
        if one.pause is not None and one.pause.owner == owner:
            one.resume(owner)
    for _ in range(inside):
        one.leave()
    for turn in waiting:
        await asyncio.wait_for(turn.come, 10)
        one.leave()
    assert (one.in_flight, room.waiting, room.held_bytes, one.shut) == (0, 0, 0, False)
