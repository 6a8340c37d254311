"""A PDSHub from the traits of a JupyterHub with DockerSpawner. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from pdshub.dockerspawner import limits
from pdshub.dockerspawner.classes import GOOGLE
from pdshub.dockerspawner.draft import Draft, elsewhere, stranger
from pdshub.dockerspawner.settings import Assignment
from pdshub.dockerspawner.traits import Verdict, find
from pdshub.dockerspawner.values import Random, absent, known, why
from pdshub.dockerspawner.view import label

CLIENT_ID = "REPLACE-ME.apps.googleusercontent.com"
SECRET = {"name": "google-oauth", "key": "client-secret"}
_IMAGE = re.compile(r"[a-z0-9][A-Za-z0-9._/:@-]*")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_DOMAIN = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9-]+)+")
_SIZES = {"mem_limit": "memory", "mem_guarantee": "memory", "cpu_limit": "cpu", "cpu_guarantee": "cpu"}
_OF_GOOGLE = ("client_id", "hosted_domain", "oauth_callback_url")
_CULLERS = ("idle_culler", "idle-culler", "cull_idle")


def build(found: Mapping[tuple[str, str], Assignment], draft: Draft) -> dict[str, Any]:
    """The spec, without people and archive. Every trait gets an entry in the report."""
    draft.put({"clientId": CLIENT_ID, "clientSecretRef": dict(SECRET)}, "signIn", "google")
    for (owner, name), each in found.items():
        _trait(owner, name, each, draft)
    if GOOGLE not in draft.authenticator.family:
        draft.report.add(
            Verdict.NONE, draft.authenticator.name,
            "a PDSHub signs people in with Google accounts: make an OAuth client, and write its id to"
            " spec.signIn.google.clientId", draft.file,
        )  # fmt: skip
    elif draft.spec["signIn"]["google"]["clientId"] == CLIENT_ID:
        draft.report.note("the OAuth client's id is not in what was read: write it to spec.signIn.google.clientId")
    return draft.spec


def _trait(owner: str, name: str, each: Assignment, draft: Draft) -> None:
    report, of = draft.report, f"c.{owner}.{name}"
    trait = find(owner, name, draft.bases)
    if trait is None:
        stranger(owner, name, each, draft)
        return
    other = elsewhere(owner, draft)
    own = {draft.spawner.name, draft.authenticator.name} & draft.bases.keys() if other else set()
    if own and trait.verdict is Verdict.TAKEN:
        words = f"whether {' or '.join(sorted(own))}, which is code, makes use of it is not known"
        report.add(Verdict.UNREAD, of, words, draft.file, each.line)
        return
    if other and not own:
        report.contradiction(
            of, f"is set, and {draft.spawner.name} with {draft.authenticator.name} run", draft.file, each.line
        )
        return
    words = f"{trait.words} (an old name of {trait.now})" if trait.now else trait.words
    if isinstance(each.value, Random):
        words = f"{words}; it was another one at each start ({each.value.by})"
    if trait.verdict != Verdict.TAKEN:
        report.add(trait.verdict, of, words, draft.file, each.line)
        return
    taker = _TAKERS.get(trait.now or name)
    if name in _OF_GOOGLE and GOOGLE not in draft.authenticator.family:
        if name == "oauth_callback_url":
            _callback(each.value, draft)
        report.add(Verdict.NONE, of, "is of another provider than Google", draft.file, each.line)
        return
    if absent(each.value) and not known(each.value):
        report.contradiction(of, f"{why(each.value)}: put it there, or write the names by hand", draft.file, each.line)
        return
    if not known(each.value):
        report.add(
            Verdict.UNREAD, of, "its value is not known whole: write it into the PDSHub by hand", draft.file, each.line
        )
        if taker is None or not isinstance(each.value, Mapping | list):
            return
    refused = taker(each.value, draft) if taker else ""
    if refused:
        report.add(Verdict.NONE, of, refused, draft.file, each.line)
    else:
        report.add(Verdict.TAKEN, of, words, draft.file, each.line)


# what takes a value over: "" where it did, else why not


def _size(field_: str, kind: str) -> Callable[[Any, Draft], str]:
    def taken(value: Any, draft: Draft) -> str:
        if value is None:
            return ""
        size = limits.memory(value) if field_ == "memory" else limits.cores(value)
        if not size:
            return f"{value!r} is no size"
        draft.put(size, "server", "resources", field_, kind)
        return ""

    return taken


def _image(value: Any, draft: Draft) -> str:
    if not isinstance(value, str) or not _IMAGE.fullmatch(value) or len(value) > 512:
        return "it is no image's name"
    draft.put(value, "server", "image")
    draft.report.note(
        f"image {value}: it must come from a registry that the cluster reaches, run as uid 1000 without root, and hold"
        " a JupyterHub of the hub's version; without spec.server.image servers get PDSHub's own"
    )
    return ""


def _images(value: Any, draft: Draft) -> str:
    named = (
        dict(value) if isinstance(value, Mapping) else {each: each for each in value} if isinstance(value, list) else {}
    )
    profiles: list[dict[str, Any]] = []
    for shown, image in named.items():
        if not isinstance(shown, str) or not isinstance(image, str) or not _IMAGE.fullmatch(image):
            continue
        name, number = label(shown, "image"), 2
        while name in [profile["name"] for profile in profiles]:
            name, number = f"{label(shown, 'image')}-{number}", number + 1
        profiles.append({"name": name, "displayName": shown[:128] or name, "image": image})
    if not profiles or len(profiles) > 16:
        return "users might start any image" if value == "*" else "it is no list of at most 16 images"
    draft.put(profiles, "server", "profiles")
    return ""


def _seconds(value: Any, draft: Draft) -> str:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return "it is no number of seconds"
    draft.put(min(max(int(value), 10), 3600), "server", "startTimeoutSeconds")
    return ""


def _host_config(value: Any, draft: Draft) -> str:
    if not isinstance(value, Mapping):
        return "it is not known"
    for field_, limit in limits.of_docker(value).items():
        draft.put(limit, "server", "resources", field_, "limit")
    rest = sorted(str(key) for key in value if key not in limits.OF_DOCKER | limits.OF_BINDS)
    if rest:
        draft.report.add(
            Verdict.NONE, "extra_host_config",
            f"{', '.join(rest)}: servers are restricted pods, without privileges, devices and networks of their own",
            draft.file,
        )  # fmt: skip
    return ""


def _client(value: Any, draft: Draft) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 512:
        return "it is not known: write it by hand"
    draft.put(value, "signIn", "google", "clientId")
    return ""


def _domains(value: Any, draft: Draft) -> str:
    found = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    domains = [each for each in found if isinstance(each, str) and _DOMAIN.fullmatch(each)]
    if len(domains) != len(found) or len(domains) > 32:
        return "it is no list of domains"
    if domains:
        draft.put(domains, "signIn", "google", "hostedDomains")
    return ""


def _callback(value: Any, draft: Draft) -> str:
    host = urlsplit(value).hostname if isinstance(value, str) and len(value) <= 1024 else None
    if not host or not _HOST.fullmatch(host):
        return "it names no host"
    draft.spec.setdefault("hostname", host)
    if value != f"https://{host}/hub/oauth_callback":
        draft.report.contradiction(
            "oauth_callback_url", f"{value}: a PDSHub is at https://{host}/hub/oauth_callback; say so to the provider",
            draft.file,
        )  # fmt: skip
    return ""


def _services(value: Any, draft: Draft) -> str:
    if not isinstance(value, list):
        return "it is not known"
    for service in value:
        name = str(service.get("name")) if isinstance(service, Mapping) else "one that is not known"
        command = service.get("command") if isinstance(service, Mapping) else None
        words = [str(word) for word in command] if isinstance(command, list) else str(command or "").split()
        if not any(culler in word for word in words for culler in _CULLERS):
            draft.report.add(
                Verdict.NONE, f"service {name}", "services of a hub: spec.values, hub.services", draft.file
            )
            continue
        for flag, path in (("timeout", "idleSeconds"), ("cull-every", "everySeconds"), ("max-age", "maxAgeSeconds")):
            if seconds := _flag(words, flag):
                draft.put(max(seconds, {"idleSeconds": 60, "everySeconds": 10}.get(path, 0)), "culling", path)
        draft.put(True, "culling", "enabled")
    return ""


def _flag(words: list[str], name: str) -> int:
    """The number after ``--name``, in seconds; 0 where there is none."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        for dashed in (f"--{name}", f"--{name.replace('-', '_')}"):
            text = (
                word.removeprefix(f"{dashed}=")
                if word.startswith(f"{dashed}=")
                else following
                if word == dashed
                else ""
            )
            if text.isascii() and text.isdigit() and len(text) < 10:
                return int(text)
    return 0


def _servers(value: Any, draft: Draft) -> str:
    if not isinstance(value, int) or isinstance(value, bool):
        return "it is no number"
    if 0 < value <= 100_000:
        draft.put(value, "quota", "servers")
    return ""


def _template_vars(value: Any, draft: Draft) -> str:
    announcement = value.get("announcement") if isinstance(value, Mapping) else None
    if not isinstance(announcement, str):
        return "pages are PDSHub's"
    draft.put(re.sub(r"<[^<>]{0,200}>", "", announcement[:8000])[:2000], "message")
    return ""


def _notebook_dir(value: Any, draft: Draft) -> str:
    if isinstance(value, str) and not value.startswith(("/home/jovyan", "~")):
        draft.report.note(
            f"homes were mounted at {value}; in a PDSHub they are at /home/jovyan: paths in notebooks change"
        )
    return ""


_TAKERS: Mapping[str, Callable[[Any, Draft], str]] = {
    **{name: _size(field_, name.partition("_")[2]) for name, field_ in _SIZES.items()},
    "image": _image, "allowed_images": _images, "start_timeout": _seconds, "extra_host_config": _host_config,
    "client_id": _client, "hosted_domain": _domains, "oauth_callback_url": _callback, "services": _services,
    "active_server_limit": _servers, "template_vars": _template_vars, "notebook_dir": _notebook_dir,
}  # fmt: skip
