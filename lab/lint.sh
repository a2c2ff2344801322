#!/usr/bin/env bash
# Checks the lab's Python: ruff (lints and format), mypy, and the unit tests, which need no engine.
# usage: lab/lint.sh [fix]      ruff and mypy are installed once, under target/lab-cache, at the versions of lint-requirements.txt
. "$(dirname "$0")/common.sh"

VERSIONS=$LAB/lint-requirements.txt

# tools_folder: a virtual environment, named by what is installed in it.
tools_folder() {
  local folder
  folder=$CACHE/lint-$({ python3 --version && cat "$VERSIONS"; } | content_id)
  if [ ! -d "$folder" ]; then
    python3 -c 'import ensurepip, venv' 2>/dev/null || need_commands /usr/share/python-wheels:python3-venv >&2
    mkdir -p "$CACHE"
    exec 8>"$CACHE/lint.lock"
    flock 8 # two runs would install in the same place
    if [ ! -d "$folder" ]; then
      rm -rf "$folder.part"
      python3 -m venv "$folder.part" >&2 || die "python3 -m venv failed: install python3-venv"
      # The environment moves afterwards, so its programs are called through its Python.
      "$folder.part/bin/python" -m pip install --quiet --disable-pip-version-check -r "$VERSIONS" >&2 ||
        die "pip could not install ruff and mypy: check the network, or the versions in ${VERSIONS#"$ROOT"/}"
      mv "$folder.part" "$folder"
    fi
    exec 8>&-
  fi
  printf '%s\n' "$folder"
}

need_commands python3:python3
python=$(tools_folder)/bin/python
cd "$LAB"
SOURCES=(kafka_lab counts.py test_counts.py)
export PYTHONDONTWRITEBYTECODE=1
case ${1:-} in
fix)
  "$python" -m ruff check --quiet --cache-dir "$CACHE/ruff" --fix "${SOURCES[@]}"
  "$python" -m ruff format --quiet --cache-dir "$CACHE/ruff" "${SOURCES[@]}"
  ;;
"") ;;
*) die "usage: lab/lint.sh [fix]" ;;
esac
"$python" -m ruff format --quiet --check --cache-dir "$CACHE/ruff" "${SOURCES[@]}" ||
  die "not formatted: lab/lint.sh fix"
"$python" -m ruff check --quiet --cache-dir "$CACHE/ruff" "${SOURCES[@]}"
"$python" -m mypy --cache-dir "$CACHE/mypy" --no-error-summary
python3 -m unittest discover --quiet --start-directory kafka_lab/tests --top-level-directory .
python3 -m unittest --quiet test_counts
