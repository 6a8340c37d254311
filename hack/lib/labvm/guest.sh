#!/usr/bin/env bash
# Runs inside the lab's virtual machine, as root: makes it a machine with an NFS server on the loopback
# device, then runs pytest (arguments: pytest's) or LAB_SCRIPT. The root is the host's, read-only.
set -euo pipefail
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
mkdir -p /run/lab/tmp

# cover DIR [LOWER...]: make DIR writable in memory, with the contents of LOWER in front of its own.
cover() {
  local dir=$1 lower='' part up
  shift
  for part in "$@" "$dir"; do [ -d "$part" ] && lower+=${lower:+:}$part; done
  up=/run/lab/cover$(echo "$dir" | tr / -)
  mkdir -p "$up/upper" "$up/work"
  mount -t overlay -o "lowerdir=$lower,upperdir=$up/upper,workdir=$up/work" cover "$dir"
}
for module in overlay nfsd nfs sch_netem erofs loop ext4 dm_thin_pool xfs fuse; do modprobe "$module"; done
cover /etc "$LAB_TOOLS/etc"
cover /usr/sbin "$LAB_TOOLS/usr/sbin"
cover /var/lib "$LAB_TOOLS/var/lib"
cover /tmp
libraries=$LAB_TOOLS/usr/lib/x86_64-linux-gnu
if [ -d "$libraries" ]; then export LD_LIBRARY_PATH=$libraries; fi

hostname lab
ip link set lo up
if [ "$LAB_DELAY_MS" != 0 ]; then
  # every packet passes lo once, so a round trip has the delay twice
  tc qdisc add dev lo root netem delay "$(awk -v ms="$LAB_DELAY_MS" 'BEGIN { printf "%d", ms * 500 }')us"
fi
mkdir -p /var/lib/nfs/rpc_pipefs /var/lib/nfs/v4recovery /var/lib/nfs/nfsdcltrack /etc/exports.d
: >/etc/exports
: >/var/lib/nfs/etab
: >/var/lib/nfs/rmtab
mount -t rpc_pipefs rpc_pipefs /var/lib/nfs/rpc_pipefs
mountpoint -q /proc/fs/nfsd || mount -t nfsd nfsd /proc/fs/nfsd
# a restarted server shall not wait 90 s for clients to reclaim their state
echo 10 >/proc/fs/nfsd/nfsv4leasetime
echo 10 >/proc/fs/nfsd/nfsv4gracetime
rpcbind -w
rpc.mountd --no-nfs-version 3
rpc.nfsd --no-nfs-version 3 --no-udp 8
mkdir -p /run/lab/nas
mount -t tmpfs -o size=600m,mode=755 nas /run/lab/nas

export TMPDIR=/run/lab/tmp PYTHONDONTWRITEBYTECODE=1 PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 GRPC_ENABLE_FORK_SUPPORT=0
export PATH=$LAB_VENV/bin:$LAB_NEWER/bin:$PATH PYTHONPATH=$LAB_ROOT/operator
cd "$LAB_ROOT"
if [ -n "$LAB_SCRIPT" ]; then exec bash -c "$LAB_SCRIPT"; fi
exec python -m pytest "$@"
