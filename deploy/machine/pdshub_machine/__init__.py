"""Points of return of one machine: snapshots of its etcd, checkpoints of its root. Standard library only.

A machine as kubeadm makes it: etcd is a static pod, and the root file system may lie in an LVM thin pool. Each command
can be killed at any moment and given again; what it leaves half made is never counted, and goes with its next run.
"""
