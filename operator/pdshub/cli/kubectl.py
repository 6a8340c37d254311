"""Calls kubectl: with the user's own settings and rights."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
SECONDS = 60.0


class KubectlError(Exception):
    """kubectl is missing or refused; the text has its words."""


@dataclass(frozen=True)
class Kubectl:
    """How to reach the cluster: flags that are handed on."""

    flags: tuple[str, ...] = ()
    program: str = ""

    def run(self, *arguments: str, seconds: float | None = SECONDS) -> str:
        """What kubectl prints. Raises KubectlError."""
        program = self.program or os.environ.get("KUBECTL") or shutil.which("kubectl")
        if not program:
            raise KubectlError("kubectl is not on PATH")
        try:
            done = subprocess.run(
                [program, *self.flags, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=seconds,
                check=False,
            )
        except OSError as error:
            raise KubectlError(f"{program}: {error.strerror}") from error
        except subprocess.TimeoutExpired:
            raise KubectlError(f"kubectl {arguments[0]}: no answer within {seconds:.0f} s") from None
        if done.returncode:
            words = (done.stderr or done.stdout).strip()
            raise KubectlError(_first_useful(words) or f"kubectl {arguments[0]} ended with code {done.returncode}")
        return done.stdout

    def get(self, *arguments: str) -> Json:
        """An object or a list. Raises KubectlError."""
        text = self.run("get", *arguments, "-o", "json")
        try:
            found = json.loads(text)
        except ValueError as error:
            raise KubectlError(f"kubectl get {' '.join(arguments)}: no JSON: {error}") from None
        if not isinstance(found, dict):
            raise KubectlError(f"kubectl get {' '.join(arguments)}: no object")
        return found

    def items(self, *arguments: str) -> list[Json]:
        """The objects of a list. Raises KubectlError."""
        return list(self.get(*arguments).get("items") or [])

    def patch(self, kind: str, name: str, change: Json) -> None:
        """A merge patch. Raises KubectlError."""
        self.run("patch", kind, name, "--type=merge", "-p", json.dumps(change, separators=(",", ":")))

    def execute(self, namespace: str, target: str, container: str, command: Sequence[str]) -> str:
        """What a command inside a container prints. Raises KubectlError."""
        return self.run("exec", "-n", namespace, target, "-c", container, "--", *command, seconds=None)


def _first_useful(words: str) -> str:
    """kubectl's message without what it says about the container it chose and the code of the command in it."""
    lines = [
        line
        for line in words.splitlines()
        if line.strip() and not line.startswith(("Defaulted container", "command terminated with"))
    ]
    return "\n".join(lines).removeprefix("error: ")
