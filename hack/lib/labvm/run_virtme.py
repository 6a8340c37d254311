"""Run by virtme-ng's own Python: virtme-run, with the host's files cached in the guest.

virtme-ng mounts its 9p root without a cache, so that every import asks the host again; under emulation that
is most of a run's time. Nothing changes these files during a run, so a loose cache is right. virtme-ng has
no option for it: its mount script is changed here, and a version without the expected text is refused.
"""

from __future__ import annotations

import sys

from virtme import mkinitramfs
from virtme.commands import run

PLAIN, CACHED = "access=any,msize=", "access=any,cache=loose,msize="


def main() -> int:
    script = mkinitramfs._MOUNT_ROOT_HOST
    if script.count(PLAIN) != 1:
        sys.exit("virtme-ng mounts its root in another way than this script knows: pin the version it was made for")
    mkinitramfs._MOUNT_ROOT_HOST = script.replace(PLAIN, CACHED)
    return run.main()


if __name__ == "__main__":
    sys.exit(main())
