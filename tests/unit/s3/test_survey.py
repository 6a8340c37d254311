"""A survey of a real bucket: the same generation's content as of a walk, changes by ETag, requests that are counted."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pdshub.archive import record
from pdshub.archive.plan import open_plan
from pdshub.archive.survey import Options, Result, survey
from pdshub.archive.view import checked_spec, view_from_spec
from pdshub.archive.walk import SourceError
from pdshub.surveyor import making, objects
from tests.buckets import Service, service
from tests.unit.archive.archive_support import bundle, collection, label
from tests.unit.surveyor.support import needs_mkfs

FILES = {
    "pds4/x/bundle_x.xml": bundle("x", "1.0", ["urn:nasa:pds:x:data"]),
    "pds4/x/data/collection_data.xml": collection("x:data"),
    "pds4/x/data/p.xml": label("Observational", "urn:nasa:pds:x:data:p", files=["p.dat"]),
    "pds4/x/data/p.dat": "hello",
    **{f"pds4/x/data/f{n}.dat": f"content {n}" for n in range(8)},
}


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[Service]:
    with service(tmp_path) as found:
        found.fill({f"archive/{key}": body for key, body in FILES.items()})
        yield found


class Bench:
    """Surveys of one source, each with the former one's memory."""

    def __init__(self, s3: Service, folder: Path, **more: Any) -> None:
        self.s3, self.folder, self.number = s3, folder, 0
        s3.keys(folder / "keys/main")
        self.spec = {
            "sources": [s3.source(prefix="archive", **more)],
            "tree": [{"path": "a", "layers": [{"source": "main", "path": "pds4"}]}],
            "authority": {"settleSeconds": 0},
        }
        self.roots = {"main": folder / "mount/main"}
        self.listed: dict[str, objects.ObjectSource] = {}

    def run(self) -> Result:
        view, spec = view_from_spec("v", self.spec), checked_spec(self.spec)
        self.s3.relay.none()
        self.listed = objects.of(spec, self.roots, self.folder / "keys")
        previous = self.folder / f"g{self.number}" if self.number else None
        self.number += 1
        out = self.folder / f"g{self.number}"
        out.mkdir()
        options = Options(
            time.time_ns(), fs=objects.file_system(self.listed, self.roots), listed=self.listed, racy_ns=0
        )
        return survey(view, self.roots, out, options, previous)

    @property
    def files(self) -> dict[str, int]:
        found = {}
        for d in open_plan(self.folder / f"g{self.number}").tree():
            for group in d.get("groups", ()):
                found |= {f"{d['path']}/{n}": s for n, s in zip(group["names"], group["sizes"], strict=True)}
        return found


def test_a_survey_of_a_bucket(s3: Service, tmp_path: Path) -> None:
    bench = Bench(s3, tmp_path)
    result = bench.run()
    assert bench.files == {f"a{key[4:]}": len(body) for key, body in FILES.items()}
    assert s3.relay.asked == {"list": 1, "get": 2}, "one page, and one request for each label"
    assert objects.counted(bench.listed) == {"main": {"lists": 1, "gets": 2}}
    assert result.counters.labels_opened == 2
    shown = {d["key"] for d in open_plan(tmp_path / "g1").header["datasets"]}
    assert any("x:data" in key for key in shown)


def test_nothing_changed_costs_a_page(s3: Service, tmp_path: Path) -> None:
    bench = Bench(s3, tmp_path)
    bench.run()
    result = bench.run()
    assert s3.relay.asked == {"list": 1}
    assert (result.counters.directories_read, result.counters.labels_opened) == (0, 0)
    assert (tmp_path / "g1/plan.jsonl.gz").exists() == (tmp_path / "g2/plan.jsonl.gz").exists()
    assert list(open_plan(tmp_path / "g1").tree()) == list(open_plan(tmp_path / "g2").tree())


def test_the_same_size_and_another_etag_is_a_change(s3: Service, tmp_path: Path) -> None:
    bench = Bench(s3, tmp_path)
    bench.run()
    s3.put("archive/pds4/x/data/f3.dat", "CONTENT 3")
    result = bench.run()
    assert result.counters.directories_read == 1
    assert list(open_plan(tmp_path / "g1").tree()) != list(open_plan(tmp_path / "g2").tree())


def test_a_label_of_the_same_size_is_read_again(s3: Service, tmp_path: Path) -> None:
    bench = Bench(s3, tmp_path)
    bench.run()
    s3.put("archive/pds4/x/bundle_x.xml", FILES["pds4/x/bundle_x.xml"].replace(">1.0<", ">1.1<"))
    result = bench.run()
    assert s3.relay.asked == {"list": 1, "get": 1} and result.counters.labels_opened == 1
    versions = {d["version"] for d in open_plan(tmp_path / "g2").header["datasets"]}
    assert "1.1" in versions


def test_odd_keys_are_findings(s3: Service, tmp_path: Path) -> None:
    for key in ("archive/pds4/x/data/a\nb.dat",):
        s3.put(key, "odd")
    bench = Bench(s3, tmp_path)
    bench.run()
    odd = [f for f in open_plan(tmp_path / "g1").tail["findings"] if f["kind"] == "odd-key"]
    assert len(odd) == 1 and "control characters" in odd[0]["message"] and "\n" not in json.dumps(odd)[1:-1]
    assert len(bench.files) == len(FILES)


@pytest.mark.parametrize(
    ("more", "says"),
    [({"bucket": "no-such-bucket"}, "no such bucket"), ({"prefix": "archiv"}, "holds nothing")],
)
def test_what_cannot_be_listed_is_no_archive_that_shrank(
    s3: Service, tmp_path: Path, more: dict[str, Any], says: str
) -> None:
    bench = Bench(s3, tmp_path)
    bench.spec["sources"][0]["s3"] |= more
    with pytest.raises(SourceError, match=says):
        bench.run()


def test_keys_are_nowhere_but_in_their_files(s3: Service, tmp_path: Path) -> None:
    from tests.buckets import KEY, SECRET

    bench = Bench(s3, tmp_path)
    bench.run()
    written = b"".join(path.read_bytes() for path in (tmp_path / "g1").rglob("*") if path.is_file())
    scans, labels = record.read_record(tmp_path / "g1" / record.FILE)
    for secret in (SECRET, KEY):
        assert secret.encode() not in written and secret not in repr((scans, labels))


@needs_mkfs
def test_the_surveyors_task(s3: Service, tmp_path: Path) -> None:
    """As the surveyor's process does it; what the mount shows is put there by hand, as there is none here."""
    bench = Bench(s3, tmp_path)
    for key, body in FILES.items():
        path = tmp_path / "mount/main" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body)
    work = tmp_path / "work"
    work.mkdir()
    task = {
        "name": "v", "spec": bench.spec, "sources": str(tmp_path / "mount"), "keys": str(tmp_path / "keys"),
        "work": str(work), "now": time.time(), "staleSeconds": 0,
    }  # fmt: skip
    result = making.make(task, lambda text: None)
    assert result["counts"]["files"] == len(FILES) and result["requests"] == {"main": {"lists": 1, "gets": 2}}
