# shellcheck shell=bash
# Sourced by the commands in hack/: checks the machine, sees to a Python 3.11 with venv, then hands over to
# the Python modules beside this file. Nothing before `devcluster` may need more than bash and apt.

HACK_LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

stop() {
  printf '%s\n' "$@" >&2
  exit 1
}

python_is_good() {
  python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

devcluster() {
  if ! python_is_good; then
    { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; } || stop \
      "This needs Python 3.11 or newer with venv, and can install it only as root on Debian or Ubuntu." \
      "Install python3 and python3-venv, then run this again."
    echo "Installing python3 and python3-venv"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
      --no-install-recommends python3 python3-venv ca-certificates; } >/dev/null || stop \
      "apt-get could not install python3 and python3-venv: check 'apt-get update', then run this again."
    python_is_good || stop \
      "This distribution's python3 is $(python3 -V 2>&1), older than 3.11." \
      "Install Python 3.11 or newer with venv and put it first on PATH as python3, then run this again."
  fi
  PYTHONPATH=$HACK_LIB PYTHONDONTWRITEBYTECODE=1 exec python3 -m devcluster "$@"
}

# Everything that makes containers needs root; the container engine and the packages come from apt.
needs_root_and_apt() {
  [ "$(id -u)" = 0 ] || stop \
    "Run this as root: it installs packages and runs privileged containers." \
    "Without root: install docker (a daemon your user can talk to), Go 1.26, kind 0.33, helm 3.22, kubectl 1.34" \
    "and create the cluster with hack/kind/*.yaml by hand."
  command -v apt-get >/dev/null || stop \
    "This sets a machine up by apt and so needs Debian or Ubuntu." \
    "Elsewhere install first: podman with runc (or docker), debootstrap, gcc with static libc, Python 3.11, Go 1.26."
}

# supply MODULE ...: a command of package supply, in the environment that has its tools.
supply() {
  local venv module=$1
  shift
  venv=$( (devcluster venv --supply) | tail -n 1) || stop "no Python environment: see the message above"
  PYTHONPATH=$HACK_LIB PYTHONDONTWRITEBYTECODE=1 exec "$venv/bin/python" -m "supply.$module" "$@"
}
