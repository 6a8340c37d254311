"""What a program does in an archive when it looks at all of it: scripts for `python -c`, with the folder as argument.
They print JSON."""

WALK = r"""
import json, os, subprocess, sys, time
root, found = sys.argv[1], {}
def walk():
    errors, files = [], 0
    for top, _, names in os.walk(root, onerror=lambda e: errors.append(str(e))):
        for name in names:
            try:
                os.stat(os.path.join(top, name)); files += 1
            except OSError as error:
                errors.append(str(error))
    return files, errors
def listed(*argv):
    done = subprocess.run(argv, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if ' -r' in f' {line}']
    return len(lines), done.stderr.splitlines()
ways = {'walk': walk, 'ls': lambda: listed('ls', '-lR', root), 'find': lambda: listed('find', root, '-ls')}
for name, do in ways.items():
    began = time.monotonic()
    files, errors = do()
    found[name] = [round(time.monotonic() - began, 3), files, errors[:3]]
print(json.dumps(found))
"""
"""Walks a tree in three ways (os.walk and stat, ls -lR, find -ls): way -> [seconds, files, errors]."""

READ = r"""
import hashlib, json, os, sys, time
root, found, errors = sys.argv[1], {}, {}
began = time.monotonic()
for top, _, names in os.walk(root):
    for name in names:
        path = os.path.join(top, name)
        one = time.monotonic()
        try:
            with open(path, 'rb') as file:
                found[os.path.relpath(path, root)] = hashlib.sha256(file.read()).hexdigest()
        except OSError as error:
            errors[os.path.relpath(path, root)] = [error.errno, round(time.monotonic() - one, 2)]
print(json.dumps([found, errors, round(time.monotonic() - began, 2)]))
"""
"""Reads every file: [path -> SHA-256, path -> [errno, seconds], seconds]."""
