"""Figures of archive views: ``./hack/bench archive``.

On the machine: survey and catalog of 1,000,000 entries (bench_survey.py). In the lab's virtual machine, over kernel
NFS: what people do with an archive (work.py), through every contender (contenders.py), and what 50 pods cost a node
(many.py). guest.py runs there, __main__.py outside; page.py writes both halves down beside their bars.
"""
