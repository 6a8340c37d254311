"""What restic's exit code and last words mean, as a reason of JobAnswer: one table, and nothing is started here.

Exit codes of restic >= 0.18: 0 done, 1 failed, 3 some source data could not be read, 10 no repository, 11 locked, 12
wrong password, 130 interrupted. Source: restic's manual, Scripting, Exit codes. Everything else is exit code 1, whose
text has to be read: it comes from the backend's library, so the words below are those of minio-go, net/http, OpenSSH
and Linux as much as restic's.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Reason = Literal[
    "NoRepository",
    "WrongKey",
    "Locked",
    "Unreachable",
    "Full",
    "ReadOnly",
    "Damaged",
    "Deadline",
    "NotFound",
    "NotEmpty",
    "BadRequest",
    "Failed",
]
INTERRUPTED = 130


class Failed(Exception):
    """An action that cannot be done, with the reason that goes into the answer. The text is for people."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.message = message


class _Word(NamedTuple):
    pattern: re.Pattern[str]
    reason: Reason
    help: str = ""


_CODES: dict[int, tuple[Reason, str]] = {
    10: ("NoRepository", "there is no repository at this place"),
    11: ("Locked", "another program works with the repository, or one that was killed left its lock"),
    12: ("WrongKey", "the key in the Secret does not open this repository"),
}


def _word(pattern: str, reason: Reason, help: str = "") -> _Word:
    return _Word(re.compile(pattern, re.IGNORECASE), reason, help)


_NOTHING_NEW = _word(r"Save\(<lock/", "ReadOnly", "it can be read, and it takes nothing new")
"""The words of a server that does not say why. A lock is the first and the smallest thing that is written."""
_WORDS = (
    _word(
        r"remove invalid locks",
        "Locked",
        "a lock cannot be read: once nobody works with the repository, restic unlock --remove-all takes it away",
    ),
    _word(
        r"already contains (keys|snapshots)",
        "NoRepository",
        "the place has keys or snapshots and no config: put that back, or if nothing was ever saved empty the place",
    ),
    _word(
        r"RequestTimeTooSkewed|difference between the request time and",
        "Unreachable",
        "the clock of this node is not that of the server",
    ),
    _word(r"wrong password or no key found", "WrongKey", _CODES[12][1]),
    _word(
        r"no space left on device|disk quota exceeded|insufficient storage|storage ?full|quota ?exceeded"
        r"|not enough space|\b507\b",
        "Full",
        "the repository's place is full",
    ),
    _word(
        r"ciphertext verification failed|decryption failed|decompression failed|hash mismatch|data mismatch"
        r"|invalid data returned|wrong data returned|repository contains errors|repository index is damaged"
        r"|not found in index|not found in repository|is damaged|could be damaged|could not be loaded|data corruption"
        r"|unexpected (file|pack)|pack .{0,200}(contains|does not exist)|error for tree|zero size, invalid repository"
        r"|invalid blob length|(decrypting|decompressing) blob|from \d+ packs failed|reached EOF of pack"
        r"|(Load|ReadFull)\(<data/.{0,600}(no such file or directory|(key|file) does not exist)",
        "Damaged",
    ),
    _word(
        r"no matching ID|no snapshot found|multiple IDs with prefix|path .{0,4000}not found|not found in snapshot"
        r"|is not a directory|not a directory|should be a (dir|file)",
        "NotFound",
    ),
    _word(r"invalid pattern|unknown (flag|command|shorthand)|invalid argument .* for", "BadRequest"),
    _word(
        r"host key verification failed|host identification has changed|host key is known",
        "Unreachable",
        "the machine is not the one of known_hosts",
    ),
    _word(r"permission denied \((publickey|password|keyboard)", "Unreachable", "the machine refuses the Secret's key"),
    _word(r"certificate signed by unknown authority|x509:|tls: ", "Unreachable", "its certificate is not believed"),
    _word(r"no user exists for uid", "Failed", "ssh knows no name for this uid: libnss-wrapper is not in the image"),
    _word(
        r"InvalidAccessKeyId|SignatureDoesNotMatch|access key id you provided|signature we calculated|\b401\b",
        "Unreachable",
        "the server refuses the keys of the Secret",
    ),
    _word(
        r"dial tcp|no such host|connection refused|connection reset|i/o timeout|network is unreachable"
        r"|no route to host|bucket (does not exist|not found)|NoSuchBucket|InvalidBucketName|bucket name"
        r"|ssh command exited|unable to start the sftp|handshake|unexpected EOF|server misbehaving"
        r"|context deadline exceeded|request timed out|bad gateway|service unavailable|gateway time-?out",
        "Unreachable",
    ),
    _word(r"read-only file system", "ReadOnly", "the repository's place cannot be written to"),
    _word(
        r"access ?denied|\b403\b|forbidden|permission denied|operation not permitted|blob not removed"
        r"|method not allowed|\b405\b",
        "ReadOnly",
        "the server refuses to write or to delete",
    ),
    _NOTHING_NEW,  # last: whatever the server says comes first
)
_REFUSED = "the server refuses the keys of the Secret, or they may not see this place"


def _found(words: str) -> _Word | None:
    return next((word for word in _WORDS if word.pattern.search(words)), None)


def judge(code: int, words: str, *, contact: bool = False) -> tuple[Reason, str]:
    """The reason, and a sentence that helps ('' when restic's own words say enough), of a restic that did not end well.

    ``contact``: it was the first call, which only reads; whoever refuses that is as good as unreachable.
    """
    if code in _CODES:
        return _CODES[code]
    if word := _found(words):
        if contact and word.reason == "ReadOnly":
            return "Unreachable", _REFUSED
        return word.reason, word.help
    return ("Deadline", "it was interrupted") if code == INTERRUPTED else ("Failed", "")


class Patience(NamedTuple):
    """How long restic may try in vain: so many times at least, and for so many seconds."""

    tries: int
    seconds: float


IN_VAIN = Patience(4, 0.0)
"""Where the server says why it takes nothing."""
UNSAID = Patience(2, 60.0)
"""Where it does not: it may be better in a moment."""


def patience(text: str) -> Patience | None:
    """How long restic may try again what a line of it says that it does; None: as long as it likes, a quarter of an
    hour, as the network may come back. Where nothing is taken that is too long: it is so in each Job of the run."""
    if "retrying after" not in text:
        return None
    word = _found(text)
    if word is None or word.reason not in ("Full", "ReadOnly"):
        return None
    return UNSAID if word is _NOTHING_NEW else IN_VAIN


def failed(code: int, words: str, *, contact: bool = False) -> Failed:
    """The same as an exception, with restic's words behind the sentence."""
    reason, sentence = judge(code, words, contact=contact)
    own = words.strip() or f"restic ended with {code}"
    return Failed(reason, f"{sentence}: {own}" if sentence else own)
