"""Run by virtme-ng's own Python: virtme-run, with two changes to what its initramfs does.

virtme-ng mounts its 9p root without a cache, so that every import asks the host again; under emulation that
is most of a run's time. Nothing changes these files during a run, so a loose cache is right.

Its init finds the script's input, output and exit code by names that udev gives. The guest runs the host's
programs, and a container or a small machine has no udev: the script would talk to the console and its exit code
be lost. So the names are made before; devtmpfs is the same in all its mounts.

virtme-ng has no option for either: its mount script is changed here, and a version without the expected text is
refused.
"""

from __future__ import annotations

import sys

from virtme import mkinitramfs
from virtme.commands import run

PORTS = 6
"""Ports that virtme-run gives a script: three streams, two for /dev/stdout and /dev/stderr, the exit code."""
NAMES = """
mount -n -t devtmpfs devtmpfs /newroot/dev
mount -n -t sysfs sysfs /newroot/sys
mkdir -p /newroot/dev/virtio-ports
tries=0
while [ $tries -lt 120 ]; do
  found=0
  for port in /newroot/sys/class/virtio-ports/*; do
    name=`cat $port/name 2>/dev/null`
    [ -n "$name" ] || continue
    /bin/busybox ln -sfn ../${{port##*/}} /newroot/dev/virtio-ports/$name
    found=$((found + 1))
  done
  [ $found -lt @PORTS@ ] || break
  tries=$((tries + 1))
  sleep 0.25
done
umount /newroot/sys
umount /newroot/dev
""".replace("@PORTS@", str(PORTS))
"""Ports are announced one by one after the driver is loaded, hence the wait (braces doubled for str.format)."""

PLAIN, CACHED = "access=any,msize=", "access=any,cache=loose,msize="


def main() -> int:
    script = mkinitramfs._MOUNT_ROOT_HOST
    if script.count(PLAIN) != 1:
        sys.exit("virtme-ng mounts its root in another way than this script knows: pin the version it was made for")
    mkinitramfs._MOUNT_ROOT_HOST = script.replace(PLAIN, CACHED) + NAMES
    return run.main()


if __name__ == "__main__":
    sys.exit(main())
