#!/usr/bin/env bash
# cargo, after installing the packages that our dependencies are built with; may ask.
# usage: lab/cargo.sh WORDS...
. "$(dirname "$0")/common.sh"

need_build_packages >&2
cd "$ROOT"
exec cargo "$@"
