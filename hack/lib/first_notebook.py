"""Sign in to a hub as a user, start a server, and print what a notebook there reads from /archive.

Usage: first_notebook.py ADDRESS USER, the password in PDSHUB_PASSWORD. Runs in the project's environment; the
person with the browser is the one of the end-to-end tests.
"""

from __future__ import annotations

import os
import sys

from tests.e2e.cluster import eventually
from tests.e2e.hubclient import Person

CODE = r"""
import os, time
began, files, labels = time.monotonic(), 0, []
for folder, _, names in os.walk('/archive'):
    if '/.pdshub' in folder:
        continue
    files += len(names)
    found = sorted(n for n in names if n.lower().endswith(('.xml', '.lbl')))
    products = [n for n in found if not n.lower().startswith(('bundle', 'collection', 'voldesc', 'index'))]
    labels += [os.path.join(folder, n) for n in products[:1]]
print(f'/archive holds {files} files, counted in {time.monotonic() - began:.2f} s')
if not labels:
    raise SystemExit('no label of a product anywhere below /archive')
import pdr
for label in labels[:20]:
    try:
        data = pdr.read(label)
        arrays = [(k, data[k]) for k in data.keys() if getattr(data[k], 'shape', None)]
    except Exception:
        continue
    if arrays:
        name, array = arrays[0]
        print(f'{label}\npdr reads {name}, {type(array).__name__} of shape {array.shape}')
        break
else:
    raise SystemExit(f'pdr found no data in {labels[:20]}')
"""


def main() -> None:
    address, user = sys.argv[1:3]
    person = Person(address, user, os.environ["PDSHUB_PASSWORD"]).sign_in()
    seconds = person.start()
    print(f"(the server answered {seconds:.1f} s after it was asked for)")
    kernel = person.kernel()
    # where hack/up has just renewed the NFS helper, its mounts come back in some seconds
    print(eventually(lambda: kernel.run(CODE).ok(), within=60, every=2, what="a notebook reads from /archive"))


main()
