"""The lab: tests on real kernels, in a virtual machine over this machine's own file system (``hack/lab``).

Standard library only; packages, cache and progress lines are those of ``devcluster``. ``guest.sh`` and
tests/lab run inside the machine, everything else here outside of it.
"""
