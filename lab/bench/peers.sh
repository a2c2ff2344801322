#!/usr/bin/env bash
# Builds the peers of make bench from their public packages at pinned versions, and caches them.
# usage: lab/bench/peers.sh OUT_DIR      creates OUT_DIR/NAME, a program, or OUT_DIR/NAME.error with the reason why there is none
# ONLY=NAME,NAME builds some of them.
. "$(dirname "$0")/../common.sh"

KAFKA_EXPORTER=github.com/danielqsj/kafka_exporter@v1.9.0
KMINION=github.com/cloudhut/kminion/v2@v2.3.5
KLAG_EXPORTER=0.1.29

BUILT=$CACHE/peers
out=${1:?usage: lab/bench/peers.sh OUT_DIR}

# peer NAME VERSION COMMAND...: the command builds bin/NAME in the directory that is its last argument. A build that failed is
# tried again after a day, so that a registry which refuses a package is not asked in each run.
peer() {
  local name=$1 dir=$BUILT/$1-$2
  shift 2
  [ -z "${ONLY:-}" ] || [[ ,$ONLY, == *,$name,* ]] || return 0
  if [ ! -x "$dir/bin/$name" ] && [ -z "$(find "$dir/error" -mmin -1440 2>/dev/null)" ]; then
    say "lab: building ${dir##*/}"
    rm -rf "$dir" && mkdir -p "$dir"
    if "$@" "$dir" >"$dir/log" 2>&1 && [ -x "$dir/bin/$name" ]; then :; else
      grep -v '^$' "$dir/log" | tail -n 2 | paste -sd' ' | cut -c1-300 | sed 's/^/cannot be built: /' >"$dir/error"
    fi
  fi
  if [ -x "$dir/bin/$name" ]; then
    ln -s "$dir/bin/$name" "$out/$name"
  else
    cp "$dir/error" "$out/$name.error"
    say "lab: $name $(cat "$dir/error")"
  fi
}

go_program() {
  have go || {
    say "there is no Go toolchain"
    return 1
  }
  GOBIN=$2/bin timeout 900 go install "$1"
}

# It links librdkafka, which needs SASL's headers.
rust_program() {
  timeout 3000 cargo install --quiet --locked --root "$3" "$1" --version "=$2" --features curl-static
}

mkdir -p "$BUILT"
exec 8>"$BUILT/lock"
flock 8 # two runs would build in the same directory
need_commands pkg-config:pkg-config cmake:cmake cc:gcc c++:g++ /usr/include/sasl/sasl.h:libsasl2-dev curl-config:libcurl4-openssl-dev
rm -rf "$out"
mkdir -p "$out"
peer kafka_exporter "${KAFKA_EXPORTER#*@}" go_program "$KAFKA_EXPORTER"
peer kminion "${KMINION#*@}" go_program "$KMINION"
peer klag-exporter "$KLAG_EXPORTER" rust_program klag-exporter "$KLAG_EXPORTER"
