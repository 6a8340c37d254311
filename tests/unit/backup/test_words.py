"""restic's words as reasons, lines for people, and the answer in the bytes that it has."""

from __future__ import annotations

import json
from io import StringIO

import pytest

from pdshub.api.backup import ItemStatus, Unread
from pdshub.api.backup_job import LONGEST_ANSWER, JobAnswer, JobEntry, JobSnapshot
from pdshub.backup.answer import fitted
from pdshub.backup.verdict import IN_VAIN, UNSAID, Patience, judge, patience
from pdshub.backup.words import Words, plain

REAL = (
    (10, "Fatal: repository does not exist: unable to open config file: stat /r/config: no such file", "NoRepository"),
    (11, "unable to create lock in backend: repository is already locked by PID 26949 on vm by root", "Locked"),
    (12, "Fatal: wrong password or no key found", "WrongKey"),
    (1, "Save(<data/ab>) returned error, retrying after 1s: write /r/data/ab/x: no space left on device", "Full"),
    (1, "client.PutObject: Storage backend has reached its minimum free drive threshold. XMinioStorageFull", "Full"),
    (1, "mkdir /repository/data: read-only file system", "ReadOnly"),
    (1, "unable to remove snapshot: blob not removed, server response: 403 Forbidden (403)", "ReadOnly"),
    (1, "client.PutObject: Access Denied.", "ReadOnly"),
    (1, "Save(<lock/a668>) returned error, retrying after 1s: client.PutObject: We encountered an internal error, "
     "please try again.", "ReadOnly"),
    (1, "Save(<lock/a668>) returned error, retrying after 1s: dial tcp 10.0.0.1:443: connection refused",
     "Unreachable"),
    (1, "Fatal: unable to open config file: Stat: Get \"http://h\": dial tcp: lookup h: no such host", "Unreachable"),
    (1, "Stat: The specified bucket does not exist", "Unreachable"),
    (1, "Fatal: unable to open repository at rest:https://x/: Get: x509: certificate signed by unknown authority",
     "Unreachable"),
    (1, "subprocess ssh: Host key verification failed.", "Unreachable"),
    (1, "subprocess ssh: ada@h: Permission denied (publickey).", "Unreachable"),
    (1, "The AWS Access Key Id you provided does not exist in our records.", "Unreachable"),
    (1, "Fatal: repository contains errors", "Damaged"),
    (1, "error: load index 9f: ciphertext verification failed", "Damaged"),
    (1, "pack 6b contains 1 errors: [blob 2c: decrypting blob <data/2c> from 6b failed: "
     "ciphertext verification failed]",
     "Damaged"),
    (1, "id 0 not found in repository", "Damaged"),
    (1, "Fatal: cannot dump file: ReadFull(<data/11eb>): open /r/data/11/11eb: no such file or directory", "Damaged"),
    (1, "Load(<data/11eb>, 47, 700) failed: The specified key does not exist.", "Damaged"),
    (1, "Load(<data/11eb>, 47, 700) failed: The specified bucket does not exist", "Unreachable"),
    (1, "Load(<lock/ab>, 0, 0) failed: invalid data returned\n\nthe `unlock --remove-all` command can be used to "
     "remove invalid locks. Make sure that no other restic process is accessing the repository", "Locked"),
    (1, "Fatal: create repository at /r failed: repository already contains keys", "NoRepository"),
    (1, "Stat: The difference between the request time and the current time is too large.", "Unreachable"),
    (1, "path data/home/nowhere: not found", "NotFound"),
    (1, "no matching ID found for prefix \"ffff\"", "NotFound"),
    (1, "Fatal: --exclude: invalid pattern(s) provided:", "BadRequest"),
    (130, "context canceled", "Deadline"),
    (1, "something nobody knows", "Failed"),
    (2, "panic: runtime error", "Failed"),
)  # fmt: skip


@pytest.mark.parametrize(("code", "words", "reason"), REAL)
def test_restics_words_have_a_reason(code: int, words: str, reason: str) -> None:
    assert judge(code, words)[0] == reason


AGAIN = "returned error, retrying after 1.13s: "


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        (f"Save(<data/ab>) {AGAIN}no space left on device", IN_VAIN),
        (f"Save(<lock/ab>) {AGAIN}client.PutObject: Access Denied.", IN_VAIN),
        (f"Save(<lock/ab>) {AGAIN}client.PutObject: We encountered an internal error, please try again.", UNSAID),
        (f"Save(<data/ab>) {AGAIN}client.PutObject: We encountered an internal error, please try again.", None),
        (f"Save(<lock/ab>) {AGAIN}dial tcp 10.0.0.1:443: connection refused", None),
        ("Save(<lock/ab>) failed: Access Denied.", None),
    ],
)
def test_how_long_restic_may_try_again(text: str, limit: Patience | None) -> None:
    assert patience(text) == limit


def test_who_refuses_the_first_call_is_as_good_as_unreachable() -> None:
    assert judge(1, "Stat: Access Denied.", contact=True)[0] == "Unreachable"
    assert judge(1, "Stat: Access Denied.")[0] == "ReadOnly"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", "a\\nb"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("caf\udce9", "caf\\xe9"),
        ("\u202eevil", "\\u202eevil"),
        ("\ud800", "\\ud800"),
        ("星 ünï", "星 ünï"),
        ("x" * 50, "x" * 19 + "…"),
    ],
)
def test_lines_are_plain(text: str, shown: str) -> None:
    assert plain(text, 20) == shown


def test_secrets_are_hidden_in_every_form() -> None:
    out = StringIO()
    words = Words(["p@ss w/rd", "abc", ""], out)
    words.hide(["p@ss w/rd and more"])
    words.say("p@ss w/rd p%40ss%20w%2Frd p%40ss+w%2Frd p@ss w/rd and more abc")
    assert out.getvalue() == "*** *** *** *** abc\n"


def snapshots(count: int) -> list[JobSnapshot]:
    return [
        JobSnapshot(id=f"{n:064x}", item="home/" + "星" * 40, time="2026-11-26T12:00:00Z", digest="d" * 64)
        for n in range(count)
    ]


@pytest.mark.parametrize(
    "answer",
    [
        JobAnswer(ok=True, snapshots=snapshots(1000), more=7),
        JobAnswer(ok=True, entries=[JobEntry(name="n" * 255) for _ in range(1000)]),
        JobAnswer(ok=False, reason="Failed", message="ü" * 1024),
        JobAnswer(
            ok=True,
            message="x" * 1024,
            item=ItemStatus(
                item="home/" + "星" * 254,
                unread=[Unread(path="ü" * 1024, why="w" * 256) for _ in range(20)],
                unread_count=4711,
                message="m" * 1024,
            ),
        ),
    ],
)
def test_an_answer_fits_and_says_what_was_cut(answer: JobAnswer) -> None:
    data = fitted(answer)
    assert len(data) <= LONGEST_ANSWER
    found = JobAnswer.model_validate_json(data)
    assert found.ok == answer.ok and found.reason == answer.reason
    listed = len(answer.snapshots) + len(answer.entries)
    assert len(found.snapshots) + len(found.entries) + found.more == listed + answer.more
    if listed:
        assert len(found.snapshots) + len(found.entries) >= 10, "as many as fit"
        assert len(data) > LONGEST_ANSWER * 0.8
    if answer.item:
        assert found.item and found.item.unread_count == 4711 and found.item.unread


def test_a_short_answer_is_as_it_is() -> None:
    answer = JobAnswer(ok=True, message="done", snapshots=snapshots(2))
    assert JobAnswer.model_validate_json(fitted(answer)) == answer
    assert "digest" in json.loads(fitted(answer))["snapshots"][1]
