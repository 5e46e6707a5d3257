#!/usr/bin/env bash
# From a fresh machine to four executed notebooks.
#
#   ./run_all.sh                              real tweets, packaged model: 10 to 20 minutes on 2 CPU cores
#   ./run_all.sh --profile smoke              seconds, figures without meaning
#   ./run_all.sh --profile emotion --out DIR  the course's own data and model from the Hub, into DIR
#   ./run_all.sh --setup                      only make or refresh .venv
#
# The first call makes .venv and installs requirements.txt into it; later calls start at once, or bring what changed.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python="$root/.venv/bin/python"

works() { "$python" -c 'import pip' 2>/dev/null; }  # not where the Python that .venv was made with is gone

setup() {
  local wanted installed
  wanted=$(cat "$root/requirements.txt" "$root/pyproject.toml" | cksum)
  installed=$(cat "$root/.venv/installed" 2>/dev/null || true)
  if works && [ "$installed" = "$wanted $root" ]; then return; fi
  echo "Installing into .venv (about 4 minutes at first) ..." >&2
  # Where .venv works and was made in this folder, it stays, with what else is in it: pip brings what has changed.
  if ! works || [[ "$installed" != *" $root" ]]; then make_venv; fi
  echo "unfinished $root" > "$root/.venv/installed"
  (cd "$root" && "$python" -m pip install --quiet --disable-pip-version-check -r requirements.txt)
  echo "$wanted $root" > "$root/.venv/installed"
  # Real sentences for later; where they cannot be had, the line that says so is shown, and again when they are needed.
  "$python" -c 'from textlab import hub; hub.packaged_data()' 2>&1 | tail -n 1 >&2 || true
}

make_venv() {
  local base=${PYTHON:-python3}
  if ! "$base" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "run_all.sh: $base is $("$base" --version 2>&1 || echo missing), but Python 3.11 or newer is needed;" \
         "install it, or name it: PYTHON=python3.12 ./run_all.sh" >&2
    exit 2
  fi
  if ! "$base" -m venv --clear "$root/.venv"; then
    echo "run_all.sh: $base cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2
    exit 2
  fi
}

setup
if [ "${1:-}" = "--setup" ]; then exit 0; fi
exec "$python" -m textlab run all "$@"
