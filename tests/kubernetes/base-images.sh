#!/usr/bin/env bash
# Makes the base images of the Dockerfiles where none can be pulled, from Debian's packages, with buildah.
#
#   base-images.sh
#
# localhost/python-build:1 has pip; localhost/python-run:1 has python3 and nothing more. What is there already is kept.
# Needs root, mmdebstrap and buildah.
set -euo pipefail

made() { buildah inspect --type image "$1" >/dev/null 2>&1; }

make_image() { # image, packages
    if made "$1"; then return; fi
    local folder container
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' RETURN
    mmdebstrap --quiet --variant=minbase --include="$2" \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        bookworm "$folder/rootfs.tar"
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$folder/rootfs.tar" / >/dev/null
    buildah commit --quiet "$container" "$1" >/dev/null
    buildah rm "$container" >/dev/null
    echo "made $1" >&2
}

make_image localhost/python-run:1 python3,ca-certificates
make_image localhost/python-build:1 python3,python3-venv,python3-pip,ca-certificates
