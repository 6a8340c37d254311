"""Sign in to a hub as a user, start a server, and print what a notebook there reads from /archive.

Usage: first_notebook.py ADDRESS USER, the password in PDSHUB_PASSWORD. Runs in the project's environment; the
person with the browser is the one of the end-to-end tests.
"""

from __future__ import annotations

import os
import sys

from tests.e2e.hubclient import Person

CODE = r"""
import os, time
began, files, first = time.monotonic(), 0, None
for folder, _, names in os.walk('/archive'):
    if '/.pdshub' in folder:
        continue
    files += len(names)
    labels = sorted(n for n in names if n.lower().endswith(('.xml', '.lbl')))
    if labels and first is None:
        first = os.path.join(folder, labels[0])
print(f'/archive holds {files} files, counted in {time.monotonic() - began:.2f} s')
print('folders:', ', '.join(sorted(n for n in os.listdir('/archive') if not n.startswith('.'))))
if first is None:
    raise SystemExit('no label anywhere below /archive')
print(first)
with open(first, errors='replace') as f:
    print('\n'.join('    ' + line.rstrip() for line in f.read(600).splitlines()[:6]))
try:
    import pdr
    data = pdr.read(first)
    name = next((k for k in data.keys() if hasattr(data[k], 'shape')), None)
    if name:
        print(f'pdr reads {name}: {data[name].shape}')
except Exception as e:
    print('pdr:', e)
"""


def main() -> None:
    address, user = sys.argv[1:3]
    person = Person(address, user, os.environ["PDSHUB_PASSWORD"]).sign_in()
    seconds = person.start()
    print(f"(the server answered {seconds:.1f} s after it was asked for)")
    kernel = person.kernel()
    print(kernel.run(CODE).ok())


main()
