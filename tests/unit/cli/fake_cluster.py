"""A cluster behind kubectl, as commands about people meet it: objects with versions, JSON patches, an operator.

It takes the place of kubectl's process: what the commands ask for is what kubectl would be asked for.
"""

from __future__ import annotations

import base64
import copy
import gzip
import hashlib
import json
from collections.abc import Callable
from typing import Any

from pdshub.cli.kubectl import Kubectl, KubectlError

Object = dict[str, Any]
KINDS = {
    "pdshubs.pdshub.dev": "pdshub",
    "configmap": "configmap",
    "persistentvolumeclaim": "claim",
    "persistentvolumeclaims": "claim",
    "pods": "pod",
    "archiveviews.pdshub.dev": "view",
}


def census(**content: Any) -> Object:
    """The ConfigMap of a census; ``raw``: what is packed instead of JSON, ``packed``: what is not even packed."""
    packed = content.pop("packed", None)
    body = content.pop("raw", None) or json.dumps({"version": 1, "time": "2026-11-26T00:00:00Z", **content}).encode()
    data = base64.b64encode(packed if packed is not None else gzip.compress(body)).decode()
    return {"metadata": {"name": "sbn-census", "namespace": "hub"}, "binaryData": {"census.json.gz": data}}


def hub(name: str = "sbn", namespace: str = "hub", **users: Any) -> Object:
    """A PDSHub with a list. ``from_``: users.from."""
    if "from_" in users:
        users["from"] = users.pop("from_")
    sign_in = {"google": {"clientId": "c"}}
    return {
        "metadata": {"name": name, "namespace": namespace, "generation": 1},
        "spec": {"signIn": sign_in, "users": users},
        "status": {"conditions": []},
    }


def condition(kind: str, status: str, reason: str, message: str, generation: int) -> Object:
    """A condition as the operator writes it."""
    return {
        "type": kind, "status": status, "reason": reason, "message": message, "observedGeneration": generation,
    }  # fmt: skip


class FakeCluster(Kubectl):
    """Kubectl whose cluster is here."""

    def __init__(self, *objects: tuple[str, Object]) -> None:
        super().__init__()
        self.__dict__.update(
            objects={}, calls=[], who="ada@desk", version=0, works=True, meanwhile=[], dropped=set(), broken={}, raw={}
        )
        for kind, found in objects:
            self.put(kind, found)
        self.operate()

    objects: dict[tuple[str, str, str], Object]
    calls: list[tuple[str, ...]]
    who: str
    version: int
    works: bool
    """Whether the operator does."""
    meanwhile: list[Callable[[FakeCluster], None]]
    """What others do, one before each write that is to come."""
    dropped: set[str]
    """Fields of spec.users that the cluster's PDSHubs do not have."""
    broken: dict[str, str]
    """Word of a command -> why the API server refuses it."""
    raw: dict[str, str]

    def set(self, **fields: Any) -> FakeCluster:
        """Changes what is not frozen here."""
        self.__dict__.update(fields)
        return self

    def put(self, kind: str, found: Object) -> None:
        """An object, as somebody writes it."""
        self.__dict__["version"] += 1
        made = json.loads(json.dumps(found))
        made["metadata"]["resourceVersion"] = str(self.version)
        self.objects[kind, made["metadata"].get("namespace", ""), made["metadata"]["name"]] = made

    def found(self, kind: str, name: str, namespace: str = "hub") -> Object:
        """An object as it is."""
        return self.objects[kind, namespace, name]

    @property
    def users(self) -> Object:
        """spec.users of the hub."""
        found: Object = self.found("pdshub", "sbn")["spec"]["users"]
        return found

    def run(self, *arguments: str, seconds: float | None = 60.0, stdin: str = "") -> str:
        self.calls.append(arguments)
        for word, why in self.broken.items():
            if all(part in " ".join(arguments) for part in word.split("&")):
                raise KubectlError(why)
        if arguments[:2] == ("auth", "whoami"):
            return json.dumps({"status": {"userInfo": {"username": self.who}}})
        if arguments[:2] == ("get", "--raw"):
            if arguments[2] not in self.raw:
                raise KubectlError("nodes is forbidden")
            return self.raw[arguments[2]]
        space = arguments[arguments.index("-n") + 1] if "-n" in arguments else ""
        kind, name = KINDS[arguments[1]], arguments[2]
        if arguments[0] == "patch":
            return json.dumps(self._patched(kind, space, name, json.loads(stdin), "--dry-run=server" in arguments))
        if name.startswith("-"):
            every = [o for (k, ns, _), o in self.objects.items() if k == kind and space in ("", ns)]
            return json.dumps({"items": every})
        if (kind, space, name) not in self.objects:
            raise KubectlError(f'{kind} "{name}" not found')
        return json.dumps(self.objects[kind, space, name])

    def _patched(self, kind: str, space: str, name: str, operations: list[Object], dry_run: bool) -> Object:
        if self.meanwhile:
            self.meanwhile.pop(0)(self)
        made = copy.deepcopy(self.objects[kind, space, name])
        before = copy.deepcopy(made.get("spec"))
        for operation in operations:
            _apply(made, operation)
        for gone in self.dropped:
            made.get("spec", {}).get("users", {}).pop(gone, None)
        if kind == "pdshub" and made["spec"] != before:
            made["metadata"]["generation"] += 1
        if not dry_run:
            self.put(kind, made)
            self.operate()
            made = self.objects[kind, space, name]
        return made

    def operate(self) -> None:
        """What the operator makes of every hub: the list that is in effect, and its conditions."""
        for (kind, space, name), found in list(self.objects.items()):
            if kind == "pdshub" and self.works:
                spec, generation = found["spec"].get("users") or {}, found["metadata"]["generation"]
                listed: dict[str, set[str]] = {role: set(spec.get(role) or []) for role in ("allowed", "admins")}
                for entry in spec.get("from") or []:
                    where = entry.get("configMap") or entry["secret"]
                    holder = self.objects.get(("configmap" if "configMap" in entry else "secret", space, where["name"]))
                    text = ((holder or {}).get("data") or {}).get(where["key"], "")
                    lines = (line.partition("#")[0].strip().lower() for line in text.splitlines())
                    listed[entry.get("as", "allowed")] |= set(filter(None, lines))
                out = set(spec.get("suspended") or [])
                body: Object = {
                    "version": 1, "allowed": sorted((listed["allowed"] | listed["admins"]) - out),
                    "admins": sorted(listed["admins"] - out), "suspended": sorted(out),
                }  # fmt: skip
                body["digest"] = hashlib.sha256(json.dumps(body).encode()).hexdigest()[:12]
                meta = {"name": f"{name}-people", "namespace": space}
                self.put("configmap", {"metadata": meta, "data": {"people.json": json.dumps(body)}})
                found["status"]["conditions"] = [
                    condition("UsersKnown", "True", "Read", "", generation),
                    condition("UsersEnforced", "True", "Enforced", f"the hub reads {body['digest']}", generation),
                ]


def _apply(thing: Any, operation: Object) -> None:
    """One operation of a JSON patch (RFC 6902), as strict as the API server is. Raises KubectlError."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
    for part in parts[:-1]:
        thing = thing[int(part)] if isinstance(thing, list) else thing.get(part)
        if thing is None:
            raise KubectlError(f"the server rejected our request: {operation['path']} is missing")
    last, op = parts[-1], operation["op"]
    if isinstance(thing, list) and op == "add":
        assert last == "-"
        thing.append(operation["value"])
        return
    there = thing[int(last)] if isinstance(thing, list) else thing.get(last)
    if op == "test" and there != operation["value"]:
        raise KubectlError(f"the server rejected our request: testing value {operation['path']} failed")
    if op in ("remove", "replace") and there is None:
        raise KubectlError(f"the server rejected our request: {operation['path']} is missing")
    if op in ("add", "replace"):
        thing[last] = operation["value"]
    elif op == "remove":
        del thing[int(last) if isinstance(thing, list) else last]
