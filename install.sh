#!/bin/sh
# Installs the environment that was tested, for the Makefile and the Dockerfile:
#
#     ./install.sh cpu|gpu INSTALLER...
#
# INSTALLER is a command that takes pip's arguments, as `python -m pip install`. The locks hold every dependency with its
# hash, so nothing is resolved (--no-deps). A few of them, and the package itself, are built here: with the locked
# setuptools and wheel, which come first. `gpu` adds NVIDIA's libraries.
set -eu
device=$1
shift
case $device in
  cpu) locks=requirements.lock ;;
  gpu) locks="requirements.lock requirements-gpu.lock" ;;
  *) echo "install.sh: $device: must be cpu or gpu" >&2; exit 2 ;;
esac
build=$(mktemp)
trap 'rm -f "$build"' EXIT
awk '/^[^ ]/ {keep = /^(setuptools|wheel)==/} keep' requirements.lock > "$build"
"$@" --no-deps --require-hashes -r "$build"
for lock in $locks; do
  "$@" --no-deps --no-build-isolation --require-hashes -r "$lock"
done
