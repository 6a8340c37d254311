"""A surveyor that was taken over, against the operator's client: redirects, bombs, endless and slow answers."""

from __future__ import annotations

import asyncio
import gzip
import json
import resource
from typing import Any

import pytest
from aiohttp import web

from pdshub import survey_api
from pdshub.api.survey import MAX_VALUES, State, values_at_most
from pdshub.survey_api import SurveyApi, SurveyError
from tests.unit.test_survey_api import OPERATOR, A, Answer, state, text, with_surveyor


def redirect(status: int, to: str) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(request.path)
        if request.path == "/elsewhere":
            return web.Response(text="{}")
        return web.Response(status=status, headers={"Location": to})

    seen.clear()
    return answer


seen: list[str] = []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["/elsewhere", "http://169.254.169.254/latest/meta-data", "https://10.0.0.1:10250/"])
def test_no_redirect_is_followed(status: int, to: str) -> None:
    async def ask(api: SurveyApi, address: str) -> None:
        for call in (
            lambda: api.state(OPERATOR, address),
            lambda: api.changes(OPERATOR, address, A, A),
            lambda: api.put_spec(OPERATOR, address, {"secret": 1}),
        ):
            with pytest.raises(SurveyError, match=f"with {status}"):
                await call()

    asyncio.run(with_surveyor(redirect(status, to), ask))
    assert seen == ["/state", "/diff", "/spec"]


def raw(body: bytes, **headers: str) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.headers.get("Accept-Encoding") == "identity"
        return web.Response(body=body, headers=headers)

    return answer


BOMBS: list[tuple[str, bytes]] = [
    ("lists", b'{"x": [' + b"[]," * 1_000_000 + b"[]]}"),
    ("objects", b'{"x": [' + b"{}," * 1_000_000 + b"{}]}"),
    ("generations", b'{"generations": [' + b"{}," * 1_000_000 + b"{}]}"),
    ("depth", b"[" * 300_000),
    ("depth of what is ignored", b'{"x": ' + b"[" * 300_000 + b"]" * 300_000 + b"}"),
    ("a long number", b'{"spec": ' + b"9" * 4_000_000 + b"}"),
    ("a long number that is ignored", b'{"x": ' + b"9" * 4_000_000 + b"}"),
    ("not a number", b'{"survey": {"settling": NaN}}'),
    ("half a pair", b'{"view": "\\ud800"}'),
    ("no UTF-8", b'{"view": "\xff\xfe"}'),
]


@pytest.mark.parametrize("body", [b[1] for b in BOMBS], ids=[b[0] for b in BOMBS])
def test_a_bomb_is_no_answer(body: bytes) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF)
    with pytest.raises(SurveyError) as refused:
        asyncio.run(with_surveyor(raw(body), state))
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert len(str(refused.value)) < 1000
    assert after.ru_utime - before.ru_utime < 20, "processor time; read in quadratic time it were minutes"
    assert after.ru_maxrss - before.ru_maxrss < 300 << 10  # KiB


def test_nothing_is_unpacked() -> None:
    bomb = gzip.compress(bytes(64 << 20))
    for encoding in ("gzip", "deflate", "br", "zstd"):
        with pytest.raises(SurveyError):
            asyncio.run(with_surveyor(raw(bomb, **{"Content-Encoding": encoding}), state))
    good = gzip.compress(b"{}")
    with pytest.raises(SurveyError, match="not understood"):
        asyncio.run(with_surveyor(raw(good, **{"Content-Encoding": "gzip"}), state))


async def endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(b" " * (1 << 20))
        await asyncio.sleep(0)  # who reads it runs in this loop, too: a buffer that is never full would starve it


async def slow(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(b" ")
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(("answer", "says"), [(endless, "more than 8 MB"), (slow, "did not answer within")])
def test_an_answer_without_an_end(answer: Answer, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey_api, "TIMEOUT", 5.0 if answer is endless else 0.5)
    with pytest.raises(SurveyError, match=says):
        asyncio.run(with_surveyor(answer, state))


def test_words_of_an_error_are_one_short_line() -> None:
    """They come into the view's conditions, events and the operator's log."""
    with pytest.raises(SurveyError) as refused:
        asyncio.run(with_surveyor(text("\x1b[31mfake\nerror: forged\u202e" + "x" * 5000, 500), state))
    said = str(refused.value)
    assert said.isprintable() and len(said) < survey_api.WORDS + 100 and "fake error: forged" in said


def test_the_bound_on_values_is_one() -> None:
    for value in ({}, [], [[]], {"a": [1, 2, {"b": None}]}, "a", [["x,y"]], {"a": {"b": {"c": [1, 2, 3]}}}):

        def count(held: Any) -> int:
            inside = held.values() if isinstance(held, dict) else held if isinstance(held, list) else ()
            return 1 + sum(map(count, inside))

        assert values_at_most(json.dumps(value).encode()) >= count(value)
    generations = [{"name": "sha256:" + "a" * 64, "counts": {"files": n}} for n in range(100)]
    assert values_at_most(json.dumps(State.model_validate({"generations": generations}).body()).encode()) < MAX_VALUES


def test_what_it_says_of_files_is_one_line_of_text() -> None:
    """It comes into the view's status and conditions, and `kubectl get` prints these as they are."""
    nasty = "main:x\x1b[2J\nReady is True\u202e"
    said = {"survey": {"message": nasty, "phase": nasty}, "verify": {"message": nasty, "examples": [nasty]}}
    found = asyncio.run(with_surveyor(text(json.dumps(said)), state))
    shown = "main:x\\x1b[2J\\nReady is True\\u202e"
    assert {found.survey.message, found.survey.phase, found.verify.message, *found.verify.examples} == {shown}
