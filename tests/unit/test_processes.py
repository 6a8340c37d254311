"""What tests start ends with all that it began: no helper of a browser writes into its profile afterwards."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.processes import end_group

WRITES = "import sys,time,pathlib\nfor n in range(10**6): pathlib.Path(sys.argv[1],str(n)).touch(); time.sleep(0.001)"
"""What a helper of Chromium does until somebody stops it."""


@pytest.mark.parametrize("stubborn", ["", "signal.signal(signal.SIGTERM, signal.SIG_IGN);"], ids=["ends", "stays"])
@pytest.mark.parametrize("helpers", [0, 1, 3])
def test_nothing_writes_after_the_end(tmp_path: Path, helpers: int, stubborn: str) -> None:
    begun = tmp_path / "begun"
    begun.mkdir()
    leader = (
        f"import signal,subprocess,sys,time;{stubborn}"
        f"[subprocess.Popen([sys.executable,'-c',{WRITES!r},sys.argv[1]]) for _ in range({helpers})];"
        "open(sys.argv[1]+'/leads','w').close();time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", leader, str(begun)], start_new_session=True)
    while not (begun / "leads").exists() or (helpers and not (begun / "0").exists()):
        assert process.poll() is None
        time.sleep(0.01)
    end_group(process, within=0.5 if stubborn else 60)
    assert process.poll() is not None
    before = len(list(begun.iterdir()))
    time.sleep(0.1)
    assert len(list(begun.iterdir())) == before
