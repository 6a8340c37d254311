"""Takes secrets out of what goes to somebody who helps: out of objects by their keys, out of texts by their form. Pure.

What is in doubt is blanked: a word too few in a report costs a question, a password too many an account. Texts are
written by people who are not trusted: no pattern here takes longer than a line is long.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pdshub.archive.findings import printable

BLANK = "***"
DEEPEST, LONGEST_LINE, LONGEST_TEXT = 60, 4000, 20_000
_WORDS = (
    r"passw(?:or)?d|passwort|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|signing[_-]?key"
    r"|encryption[_-]?key|credential|cookie|authorization|crypt|session[_-]?id|xsrf|csrf|bearer|jwt|htpasswd"
    r"|dockerconfig|kubeconfig|connection[_-]?string|(?:db|database)[_-]?url|\bdsn|auth[_-]?state"
)
_KEY = re.compile(_WORDS, re.IGNORECASE)
_NAMES_ONE = re.compile(r"(?i)(?:names?|refs?|policy|type|class|path|file|mount|ttl|seconds|days)$")
"""How keys end that only say where a secret is, or how it is dealt with: secretName, tokenExpirationSeconds."""
_WHERE = frozenset({"name", "key", "namespace", "kind", "path", "mode", "defaultMode", "optional"})
"""Fields below such a key that say where a secret is, and not what."""
_DROPPED = frozenset({"managedFields", "kubectl.kubernetes.io/last-applied-configuration"})
_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}-----[^-]{0,100000}(?:-----END [A-Z0-9 ]{0,40}-----)?")
_VALUE = r"(?:\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?|[^\s,;&}\])\"'<>]+)"
_PATTERNS = (
    # all of a header: what follows its name may have any form
    (r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie2?|x-[a-z-]{0,30}(?:token|key|xsrf))(?![a-z])[\"']?\s{0,8}[:=].*",
     rf"\1: {BLANK}"),
    # KEY=value, KEY: value, "KEY": "value", KEY%3Dvalue
    (rf"(?i)((?:{_WORDS})[\w.-]{{0,40}}\\?[\"']?\s{{0,8}}(?:[:=]|%3D|=>)\s{{0,8}}\\?){_VALUE}", rf"\1{BLANK}"),
    (rf"(?i)([?&](?:code|state|sig|signature)=){_VALUE}", rf"\1{BLANK}"),
    # --password value; password is value; Bearer value
    (rf"(?i)(--?[\w-]{{0,30}}(?:{_WORDS})[\w-]{{0,30}}\s{{1,4}}){_VALUE}", rf"\1{BLANK}"),
    (rf"(?i)((?:{_WORDS})[\w-]{{0,20}}\s{{1,4}}(?:is|was)\s{{1,4}}){_VALUE}", rf"\1{BLANK}"),
    (r"(?i)\b(bearer|basic|token|negotiate)(\s{1,4})[\w.~+/=-]{8,}", rf"\1\2{BLANK}"),
    (r"(://)[^/\s\"'<>]{0,512}@", rf"\1{BLANK}@"),
    # a JSON web token; what well-known services give
    (r"\beyJ[\w-]{4,}(?:\.[\w-]*){1,4}", BLANK),
    (r"\b(?:(?:AKIA|ASIA)[A-Z0-9]{16}|gh[a-z]_\w{20,}|glpat-[\w-]{16,}|GOCSPX-[\w-]{8,}|ya29\.[\w.-]{8,}"
     r"|xox[a-z]-[\w-]{8,}|sk-[\w-]{16,}|AIza[\w-]{20,}|npm_\w{20,})", BLANK),
    # what JupyterHub's tokens and random keys look like; digests say sha256: before them, and stay
    (r"(?<![A-Za-z0-9])(?<!sha256:)(?<!sha512:)[0-9A-Fa-f]{32,128}(?![A-Za-z0-9])", BLANK),
    (r"(?<![\w+/=-])(?=[\w+/-]*[A-Z])(?=[\w+/-]*[a-z])(?=[\w+/-]*\d)[\w+/-]{40,}={0,2}(?![\w+/=-])", BLANK),
)  # fmt: skip
_TEXT = tuple((re.compile(pattern, re.ASCII), left) for pattern, left in _PATTERNS)
"""Form of a secret in a text -> what is left of it."""
_NEXT = re.compile(rf"(?i)(?:{_WORDS})[\w.-]{{0,40}}[\"']?\s{{0,8}}[:=]\s{{0,8}}[|>]?[+-]?\s{{0,8}}$")
"""A line whose value is on the next one."""


def line(text: str) -> str:
    """A line of text without what looks like a secret, and without what would act on a terminal."""
    cut = text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]} … {len(text) - LONGEST_LINE} characters more"
    # first: characters that are not shown could part a word, or hide one
    cut = printable(cut)
    for pattern, left in _TEXT:
        cut = pattern.sub(left, cut)
    return cut


def text(whole: str) -> str:
    """Lines of a log. Keys that go over several lines go as one, and so does what stands below its name."""
    lines, hidden = list[str](), False
    for one in _PEM.sub(BLANK, whole).split("\n"):
        lines.append(BLANK if hidden and one.strip() else line(one))
        hidden = bool(_NEXT.search(one[-200:]))
    return "\n".join(lines)


def named(key: str) -> bool:
    """Whether a key says that its value is a secret."""
    return bool(_KEY.search(key)) and not _NAMES_ONE.search(key)


def thing(value: Any, key: str = "", secret: bool = False, depth: int = 0) -> Any:
    """An object of the API without secrets. Keys stay, so that it can be seen what is there.

    Literal values of environment variables are blanked whatever they are called: programs are given passwords by them.
    ``secret``: what is around it is one.
    """
    if depth > DEEPEST:
        return "(too deep)"
    inside = secret or named(key) or key.lower().endswith("env")
    if isinstance(value, Mapping):
        if set(value) == {"name", "value"}:
            return {"name": thing(value["name"], "name", False, depth + 1), "value": BLANK}
        whole = value.get("kind") == "Secret"
        return {
            printable(str(name)): thing(held, str(name), (inside and name not in _WHERE) or (whole and name in _DATA),
                                        depth + 1)
            for name, held in value.items() if name not in _DROPPED
        }  # fmt: skip
    if isinstance(value, list):
        return [thing(held, key, secret, depth + 1) for held in value]
    if isinstance(value, bool) or value is None:
        return value
    if secret or named(key):
        return BLANK
    return text(value[:LONGEST_TEXT]) if isinstance(value, str) else value


_DATA = ("data", "stringData")
"""What a Secret holds, should one ever come here."""
