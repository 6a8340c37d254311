"""How far the surveyor is, as it is kept in the store: state.json."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from pdshub.files import read_json, write_json

Json = dict[str, Any]


@dataclass
class Progress:
    """Times are seconds since 1970. ``tried_…`` is of the last attempt that ended, well or not."""

    tried_content: str = ""
    tried_request: str = ""
    tried_stamp: str = ""
    started: float | None = None
    finished: float | None = None
    failed: float | None = None
    failures: int = 0
    message: str = ""
    restat_at: float | None = None
    settles: float | None = None
    settling: int = 0
    seconds: float = 0.0  # that the last survey took
    surveys: int = 0
    counters: Json = field(default_factory=dict)
    requests: Json = field(default_factory=dict)  # of each source in S3, that the last survey asked
    approved: list[str] = field(default_factory=list)
    audit: Json = field(default_factory=dict)
    verify: Json = field(default_factory=dict)
    content: Json = field(default_factory=dict)  # of the generation that was read last (content_runner.py)
    content_done: Json = field(
        default_factory=dict
    )  # generation -> digest of the rules by which nothing is left to read

    @classmethod
    def load(cls, path: Path) -> Self:
        """What was kept; a damaged or older file costs a survey, nothing else."""
        kept = read_json(path) or {}
        fresh = cls()
        for each in fields(cls):
            value, default = kept.get(each.name), getattr(fresh, each.name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if number if default is None or isinstance(default, int | float) else type(value) is type(default):
                setattr(fresh, each.name, value)
        return fresh

    def save(self, path: Path) -> None:
        """Writes the state, so that it survives a loss of power. Raises OSError."""
        write_json(path, asdict(self), durable=True)
