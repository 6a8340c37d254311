"""Calls kubectl: with the user's own settings and rights."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Any

from pdshub.archive.words import PROGRESS
from pdshub.wellknown import PLUGIN

Json = dict[str, Any]
SECONDS = 60.0
ANSWER, LINE, LINES = 256 << 20, 64 << 10, 1000
"""Characters of a container's answer, of a line of what it says beside it, and how many of these lines are kept."""


class KubectlError(Exception):
    """kubectl is missing or refused; the text has its words."""


@dataclass(frozen=True)
class Kubectl:
    """How to reach the cluster: flags that are handed on."""

    flags: tuple[str, ...] = ()
    program: str = ""

    def run(self, *arguments: str, seconds: float | None = SECONDS, stdin: str = "") -> str:
        """What kubectl prints; ``stdin`` is what it reads. Raises KubectlError."""
        program = self.found()
        try:
            done = subprocess.run(
                [program, *self.flags, *arguments],
                input=stdin,
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
        return _printed(arguments[0], done.returncode, done.stdout, done.stderr)

    def found(self) -> str:
        """The program of kubectl. Raises KubectlError."""
        program = self.program or os.environ.get("KUBECTL") or shutil.which("kubectl")
        if not program:
            raise KubectlError("kubectl is not on PATH")
        return program

    def get(self, *arguments: str) -> Json:
        """An object or a list. Raises KubectlError."""
        return _object(self.run("get", *arguments, "-o", "json"), f"kubectl get {' '.join(arguments)}")

    def items(self, *arguments: str) -> list[Json]:
        """The objects of a list. Raises KubectlError."""
        return list(self.get(*arguments).get("items") or [])

    def patch(self, kind: str, name: str, change: Json) -> None:
        """A merge patch, in the plugin's own name. Raises KubectlError."""
        text = json.dumps(change, separators=(",", ":"))
        self.run("patch", kind, name, f"--field-manager={PLUGIN}", "--type=merge", "-p", text)

    def change(self, where: Sequence[str], operations: Sequence[Json], *, dry_run: bool = False) -> Json:
        """The object after a JSON patch (RFC 6902) in the plugin's own name; ``where``: kind, name and flags.

        ``dry_run``: the API server only says what it would become. Raises KubectlError.
        """
        only = ["--dry-run=server"] if dry_run else []
        # not as an argument: a list of people may be longer than arguments may be
        line = ["patch", *where, f"--field-manager={PLUGIN}", "--type=json", "--patch-file=/dev/stdin", *only]
        text = self.run(*line, "-o", "json", stdin=json.dumps(list(operations), separators=(",", ":")))
        return _object(text, f"kubectl patch {' '.join(where)}")

    def whoami(self) -> str:
        """The user's name as the API server knows it; empty where it does not tell."""
        try:
            answer = json.loads(self.run("auth", "whoami", "-o", "json", seconds=10.0))
            return str(answer["status"]["userInfo"]["username"])
        except (KubectlError, ValueError, KeyError, TypeError):
            return ""

    def execute(
        self,
        namespace: str,
        target: str,
        container: str,
        command: Sequence[str],
        told: Callable[[str], None],
        stdin: str | None = None,
    ) -> str:
        """What a command inside a container prints, however long it takes; ``told`` hears how far it is.

        ``stdin``: what it reads, if anything. Raises KubectlError.
        """
        reads = [] if stdin is None else ["-i"]
        line = ["exec", *reads, "-n", namespace, target, "-c", container, "--", *command]
        program = self.found()
        words: list[str] = []

        def listen(stream: IO[str]) -> None:
            while said := stream.readline(LINE):
                if said.startswith(PROGRESS):
                    told(said.removeprefix(PROGRESS).rstrip("\n"))
                elif len(words) < LINES:
                    words.append(said)

        try:
            process = subprocess.Popen(
                [program, *self.flags, *line],
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            raise KubectlError(f"{program}: {error.strerror}") from error
        assert process.stdout and process.stderr  # noqa: S101 - asked for above
        with process:  # waits for its end
            listener = threading.Thread(target=listen, args=(process.stderr,))
            listener.start()
            speaker = threading.Thread(target=_say, args=(process.stdin, stdin or ""))
            speaker.start()
            printed = process.stdout.read(ANSWER + 1)
            if len(printed) > ANSWER:
                process.kill()
            listener.join()
            speaker.join()
        if len(printed) > ANSWER:
            raise KubectlError(f"{target} answers with more than {ANSWER >> 20} MB")
        return _printed("exec", process.returncode, printed, "".join(words))


def _object(text: str, what: str) -> Json:
    """The JSON object that was printed. Raises KubectlError."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise KubectlError(f"{what}: no JSON: {error}") from None
    if not isinstance(found, dict):
        raise KubectlError(f"{what}: no object")
    return found


def _say(stream: IO[str] | None, text: str) -> None:
    """All of it, and the end; who does not listen any more says why by itself."""
    if stream is None:
        return
    try:
        stream.write(text)
        stream.close()
    except OSError:
        return


def _printed(verb: str, code: int, printed: str, words: str) -> str:
    """What was printed, unless the command failed. Raises KubectlError."""
    if code:
        useful = _first_useful((words or printed).strip())
        raise KubectlError(useful or f"kubectl {verb} ended with code {code}")
    return printed


def _first_useful(words: str) -> str:
    """kubectl's message without what it says about the container it chose and the code of the command in it."""
    lines = [
        line
        for line in words.splitlines()
        if line.strip() and not line.startswith(("Defaulted container", "command terminated with"))
    ]
    return "\n".join(lines).removeprefix("error: ")
