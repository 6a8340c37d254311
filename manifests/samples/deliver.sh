#!/bin/sh
# One delivery: what is new goes into the archive, and then the stamp says that it is whole.
#
#   deliver.sh FROM ARCHIVE STAMP
#
# FROM: a folder that the pipeline has filled. ARCHIVE: the folder of the archive that it belongs into, on whatever is
# mounted there: the NAS, EFS, FSx, or a bucket through rclone. STAMP: a file of the archive's source, the stampFile of
# the view's survey. PDSHub looks at it every 30 s and surveys when it has changed.
set -eu
from=$1 archive=$2 stamp=$3
# no owners and permissions: a bucket has none, and an NFS server may refuse them
rsync --recursive --times --omit-dir-times --partial-dir=.rsync-partial -- "$from/" "$archive/"
printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$(basename "$from")" > "$stamp"
