#!/usr/bin/env bash
# The whole test suite, from a fresh clone: sets up .venv as run_all.sh does, adds what only tests need, runs ruff and pytest.
# Arguments go to pytest: `tests/run.sh -k ratings`, `tests/run.sh -m slow`.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
"$root/run_all.sh" --setup
"$root/.venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$root/tests/requirements.txt"

# pip cannot bring a browser. Where apt may, it does; elsewhere the tests that need one are skipped and say so.
if ! command -v chromium >/dev/null && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  { apt-get update -qq && apt-get install -y -qq chromium; } >/dev/null 2>&1 ||
    echo "tests/run.sh: apt could not install chromium; the browser tests will be skipped" >&2
fi
cd "$root"
.venv/bin/ruff check --quiet . && .venv/bin/ruff format --check --quiet . || {
  echo "tests/run.sh: see \`.venv/bin/ruff check\` and \`.venv/bin/ruff format --diff\`" >&2
  exit 1
}
# The whole suite runs on two cores, a thread for each: two threads for each of two would wait for each other. The
# notebooks, which take longest, come early: reordered, they would be last, with the other core idle.
[ $# -gt 0 ] || { export OMP_NUM_THREADS=1 && set -- -n 2 --dist loadfile --no-loadscope-reorder; }
exec .venv/bin/python -m pytest -m "not slow" -rs --durations 12 "$@"
