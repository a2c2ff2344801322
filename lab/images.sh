#!/usr/bin/env bash
# Every image of the stack: the official one where it can be pulled, else a stand-in built from package registries.
# usage: lab/images.sh              writes target/lab/images.env, which compose calls read
#        lab/images.sh packages     installs the packages that building stand-ins needs; may ask
#        lab/images.sh kafka-3.9    prints the name of an image of Kafka 3.9, built where it cannot be pulled
#        lab/images.sh optimizer    builds the optimizer's image from target/debug/kafka-optimizer and prints its name
#        lab/images.sh jars         fetches Kafka's jars and prints their directory, for programs that use its clients
# Variables that the caller sets (KAFKA_IMAGE, PROMETHEUS_IMAGE, ...) are used as they are.
. "$(dirname "$0")/common.sh"

OFFICIAL_KAFKA=apache/kafka:4.3.1
OFFICIAL_KAFKA_39=apache/kafka:3.9.2
OFFICIAL_PROMETHEUS=prom/prometheus:v3.5.3
OFFICIAL_ALERTMANAGER=prom/alertmanager:v0.33.1
OFFICIAL_NODE_EXPORTER=prom/node-exporter:v1.11.1
OFFICIAL_GRAFANA=grafana/grafana:12.1.0

OURS="kafka-optimizer-lab" # prefix of the stand-ins' names
OUT=$TARGET/lab
JAVA_MODULES=java.base,java.compiler,java.desktop,java.instrument,java.logging,java.management,java.management.rmi,java.naming,java.net.http,java.rmi,java.scripting,java.security.jgss,java.security.sasl,java.sql,java.xml,jdk.crypto.ec,jdk.httpserver,jdk.jcmd,jdk.management,jdk.management.agent,jdk.naming.dns,jdk.net,jdk.security.auth,jdk.unsupported,jdk.zipfs

# The classic builder is enough for these files, and needs no plugin.
docker_build() { DOCKER_BUILDKIT=0 docker build -q "$@" 2> >(grep -v -i -E 'deprecated|buildx|buildkit|environment-variable|^$' >&2) >/dev/null; }
image_exists() { docker image inspect "$1" >/dev/null 2>&1; }

# ---- official images

# Whether images can be pulled. Tried once a day, with the smallest one.
registry_answers() {
  local verdict=$CACHE/registry
  if [ -z "$(find "$verdict" -mmin -1440 2>/dev/null)" ]; then
    if timeout 60 docker pull -q "$OFFICIAL_NODE_EXPORTER" >/dev/null 2>&1; then echo yes; else echo no; fi >"$verdict.new"
    mv "$verdict.new" "$verdict"
  fi
  [ "$(cat "$verdict")" = yes ]
}

# official NAME: the image is here, or can be pulled now.
official() {
  image_exists "$1" && return
  registry_answers && timeout 600 docker pull -q "$1" >/dev/null 2>&1
}

# ---- stand-ins: each function prints its image's name, which ends in a hash of what it was built from

suite() { . /etc/os-release && [ "${ID:-}" = debian ] && printf '%s\n' "$VERSION_CODENAME"; }

# Of this machine's release, because our binary and the Java runtime were linked with its libc.
base_image() {
  local suite tag dir archive
  suite=$(suite) || die "no official images here, and stand-ins need Debian: set the variables of lab/README.md"
  tag=$OURS/base:$suite-$(printf '%s 1' "$suite" | content_id)
  if ! image_exists "$tag"; then
    archive=$(debian_archive)
    dir=$(mktemp -d "$CACHE/base.XXXXXX")
    mkdir -p "$CACHE/base-debs"
    debootstrap --variant=minbase --include=busybox --cache-dir="$CACHE/base-debs" "$suite" "$dir/root" "$archive" >&2 ||
      die "debootstrap failed: $(tail -n 2 "$dir/root/debootstrap/debootstrap.log" 2>/dev/null)"
    rm -rf "$dir"/root/var/cache/apt/* "$dir"/root/var/lib/apt/lists/* "$dir"/root/usr/share/{doc,man,locale,info}
    ln -s busybox "$dir/root/usr/bin/wget" # health checks call wget, as the official images have it
    tar -C "$dir/root" -c . | docker import - "$tag" >/dev/null
    rm -rf "$dir"
  fi
  printf '%s\n' "$tag"
}

java_runtime() {
  local dir
  dir=$CACHE/jre-$({ jlink --version && printf '%s 1' "$JAVA_MODULES"; } | content_id)
  if [ ! -d "$dir" ]; then
    rm -rf "$dir.part"
    jlink --add-modules "$JAVA_MODULES" --no-header-files --no-man-pages --output "$dir.part" >&2
    "$dir.part/bin/java" -Xshare:dump >/dev/null 2>&1 || true # a class archive: tools start faster
    mv "$dir.part" "$dir"
  fi
  printf '%s\n' "$dir"
}

# jars POM: the jars that POM names, from Maven Central.
jars() {
  local dir
  dir=$CACHE/jars-$(content_id <"$1")
  if [ ! -d "$dir" ]; then
    rm -rf "$dir.part"
    mvn -q -B -Dstyle.color=never -Dmaven.repo.local="$CACHE/m2" -f "$1" dependency:copy-dependencies \
      -DincludeScope=runtime -DoutputDirectory="$dir.part" >&2 || die "Maven could not fetch what $1 names"
    mv "$dir.part" "$dir"
  fi
  printf '%s\n' "$dir"
}

# tools_of LIST DIR: a small script for each command-line tool; LIST has a line "NAME CLASS" for each.
tools_of() {
  local name class
  while read -r name class; do
    # shellcheck disable=SC2016
    printf '#!/bin/bash\nKAFKA_CLI=1 exec "$(dirname "$(readlink -f "$0")")/kafka-run-class.sh" %s "$@"\n' "$class" >"$2/$name"
    chmod 755 "$2/$name"
  done <"$1"
}

# kafka_image VERSION POM TOOLS BASE RUNTIME LIBS. TOOLS lists the tools whose classes differ from tools.txt in this version.
kafka_image() {
  local version=$1 pom=$2 tools=$3 base=$4 runtime=$5 libs=$6 tag dir
  tag=$OURS/kafka:$version-$({ cat "$pom" "$tools" "$LAB"/images/kafka/{Dockerfile,tools.txt,bin/*,etc/*} && printf '%s %s' "$base" "${runtime##*/}"; } | content_id)
  if ! image_exists "$tag"; then
    dir=$(mktemp -d "$CACHE/kafka.XXXXXX")
    cp -al "$runtime" "$dir/jre"
    cp -al "$libs" "$dir/libs"
    cp -r "$LAB/images/kafka/"{Dockerfile,bin,etc} "$dir/"
    tools_of "$LAB/images/kafka/tools.txt" "$dir/bin"
    tools_of "$tools" "$dir/bin"
    docker_build --build-arg "BASE=$base" -t "$tag" "$dir"
    rm -rf "$dir"
  fi
  printf '%s\n' "$tag"
}

# Only `make test` needs it, so a demo does not build it.
kafka_39_image() {
  local pom=$LAB/images/kafka/pom-3.9.xml base runtime libs
  if [ -n "${KAFKA_39_IMAGE:-}" ]; then
    printf '%s\n' "$KAFKA_39_IMAGE"
  elif official "$OFFICIAL_KAFKA_39"; then
    printf '%s\n' "$OFFICIAL_KAFKA_39"
  else
    need_commands debootstrap:debootstrap mvn:maven jlink:default-jdk-headless >&2
    base=$(base_image)
    runtime=$(java_runtime)
    libs=$(jars "$pom")
    kafka_image 3.9.2 "$pom" "$LAB/images/kafka/tools-3.9.txt" "$base" "$runtime" "$libs"
  fi
}

# deb_image NAME BASE FILE=PATH...: a small image of files from Debian packages.
deb_image() {
  local name=$1 base=$2 tag dir pair
  shift 2
  tag=$OURS/$name:$({ cat "$LAB/images/$name/Dockerfile" && printf '%s\n' "$base" "$@"; } | content_id)
  if ! image_exists "$tag"; then
    dir=$(mktemp -d "$CACHE/$name.XXXXXX")
    cp "$LAB/images/$name/Dockerfile" "$dir/"
    for pair in "$@"; do cp -l "${pair#*=}" "$dir/${pair%%=*}"; done
    docker_build --build-arg "BASE=$base" -t "$tag" "$dir"
    rm -rf "$dir"
  fi
  printf '%s\n' "$tag"
}

optimizer_image() {
  local binary=${OPTIMIZER_BINARY:-$TARGET/debug/kafka-optimizer} base tag dir
  [ -x "$binary" ] || die "$binary is missing: run cargo build first"
  base=$(base_image)
  tag=$OURS/optimizer:$({ sha256sum <"$binary" && cat "$LAB/images/optimizer/Dockerfile" && printf '%s' "$base"; } | content_id)
  if ! image_exists "$tag"; then
    dir=$(mktemp -d "$CACHE/optimizer.XXXXXX")
    cp "$LAB/images/optimizer/Dockerfile" "$dir/"
    cp -l "$binary" "$dir/kafka-optimizer" 2>/dev/null || cp "$binary" "$dir/kafka-optimizer"
    mkdir "$dir/lib" # OpenSSL, of this machine; the base has none
    ldd "$binary" | sed -nE 's/.*=> (.*\/lib(ssl|crypto)\.so[^ ]*) .*/\1/p' | xargs -r cp -L -t "$dir/lib"
    docker_build --build-arg "BASE=$base" -t "$tag" "$dir"
    rm -rf "$dir"
  fi
  printf '%s\n' "$tag"
}

# ---- the slow disk

# Prints the shim's path if it loads into the Kafka image, else nothing.
slow_disk() {
  local kafka=$1 dir=$OUT/slowfsync built container
  mkdir -p "$dir"
  built=$dir/slowfsync-$({ cat "$LAB/slowfsync.c" && printf '%s' "$kafka"; } | content_id).so
  if [ ! -e "$built" ]; then
    if docker run --rm --entrypoint sh "$kafka" -c 'ls /lib/ld-musl-*' >/dev/null 2>&1; then
      local context
      context=$(mktemp -d "$CACHE/shim.XXXXXX")
      cp "$LAB/images/shim/Dockerfile" "$LAB/slowfsync.c" "$context/"
      docker_build --build-arg "KAFKA_IMAGE=$kafka" -t "$OURS/shim:latest" "$context" || return 0
      container=$(docker create "$OURS/shim:latest")
      docker cp "$container:/tmp/slowfsync.so" "$built.part" >/dev/null
      docker rm "$container" >/dev/null
      rm -rf "$context"
    else
      cc -shared -fPIC -O2 -o "$built.part" "$LAB/slowfsync.c" -ldl
    fi
    # The loader reports a library that it cannot load on standard error, and goes on without it.
    [ -z "$(docker run --rm -v "$built.part:/slow.so:ro" -e LD_PRELOAD=/slow.so --entrypoint /bin/true "$kafka" 2>&1)" ] || return 0
    mv "$built.part" "$built"
  fi
  printf '%s\n' "$built"
}

# ---- all of it

# part NAME COMMAND...: runs in the background; its standard output goes to a file, its standard error to a log.
part() {
  local name=$1
  shift
  (
    started=$SECONDS
    if "$@" >"$WORK/$name" 2>"$WORK/$name.log"; then
      # Nothing is said about what was there already.
      [ $((SECONDS - started)) -lt 2 ] || say "lab: $name ready ($((SECONDS - started)) s)" >&2
    else
      sed 's/^/    /' "$WORK/$name.log" | tail -n 15 >&2
      exit 1
    fi
  ) &
  PARTS[$name]=$!
}
# await NAME: waits for a part. answer NAME: prints what it printed.
await() { wait "${PARTS[$1]}" || die "$1 failed, see above"; }
answer() { cat "$WORK/$1"; }

# choose VARIABLE OFFICIAL: sets VARIABLE to the caller's image or the official one; fails if a stand-in is needed.
choose() {
  [ -z "${!1:-}" ] || return 0
  official "$2" || return 1
  printf -v "$1" '%s' "$2"
}

packages() {
  need_commands jq:jq curl:curl openssl:openssl
  if ! { [ -n "${KAFKA_IMAGE:-}" ] || official "$OFFICIAL_KAFKA"; }; then
    need_commands debootstrap:debootstrap mvn:maven jlink:default-jdk-headless cc:gcc
  else
    need_commands mvn:maven # for the JMX exporter's agent
  fi
}

main() {
  mkdir -p "$CACHE" "$OUT"
  exec 8>"$CACHE/images.lock"
  flock 8 # the demo and the tests may start at the same time
  packages # first, because it may ask
  WORK=$(mktemp -d "$CACHE/work.XXXXXX")
  trap 'rm -rf "$WORK"' EXIT
  declare -A PARTS=()

  part agent jars "$LAB/images/jmx/pom.xml"
  part base base_image
  local stand_ins=()
  choose KAFKA_IMAGE "$OFFICIAL_KAFKA" || stand_ins+=(kafka)
  choose PROMETHEUS_IMAGE "$OFFICIAL_PROMETHEUS" || stand_ins+=(prometheus)
  choose ALERTMANAGER_IMAGE "$OFFICIAL_ALERTMANAGER" || stand_ins+=(alertmanager)
  choose NODE_EXPORTER_IMAGE "$OFFICIAL_NODE_EXPORTER" || stand_ins+=(node-exporter)
  choose GRAFANA_IMAGE "$OFFICIAL_GRAFANA" || GRAFANA_IMAGE=
  case " ${stand_ins[*]} " in *" kafka "*)
    await agent # two Mavens at once would fetch the same files twice
    part libraries jars "$LAB/images/kafka/pom.xml"
    part runtime java_runtime
    ;;
  esac
  local deb=$LAB/debs.sh
  case " ${stand_ins[*]} " in *" prometheus "*) part prometheus-deb "$deb" prometheus usr/bin/prometheus ;; esac
  case " ${stand_ins[*]} " in *" prometheus "*) part promtool-deb "$deb" promtool usr/bin/promtool ;; esac
  case " ${stand_ins[*]} " in *" alertmanager "*) part alertmanager-deb "$deb" prometheus-alertmanager \
    usr/bin/prometheus-alertmanager usr/bin/amtool usr/share/prometheus/alertmanager/default.tmpl usr/share/prometheus/alertmanager/email.tmpl ;; esac
  case " ${stand_ins[*]} " in *" node-exporter "*) part node-exporter-deb "$deb" prometheus-node-exporter usr/bin/prometheus-node-exporter ;; esac

  await base
  local base name files
  base=$(answer base)
  for name in "${stand_ins[@]}"; do
    case $name in
    kafka) continue ;;
    prometheus)
      await prometheus-deb && await promtool-deb
      PROMETHEUS_IMAGE=$(deb_image prometheus "$base" "prometheus=$(answer prometheus-deb)" "promtool=$(answer promtool-deb)")
      ;;
    alertmanager)
      await alertmanager-deb
      mapfile -t files < <(answer alertmanager-deb)
      ALERTMANAGER_IMAGE=$(deb_image alertmanager "$base" "alertmanager=${files[0]}" "amtool=${files[1]}" "default.tmpl=${files[2]}" "email.tmpl=${files[3]}")
      ;;
    node-exporter)
      await node-exporter-deb
      NODE_EXPORTER_IMAGE=$(deb_image node-exporter "$base" "node_exporter=$(answer node-exporter-deb)")
      ;;
    esac
  done
  if [ -z "${KAFKA_IMAGE:-}" ]; then
    await runtime && await libraries
    KAFKA_IMAGE=$(kafka_image 4.3.1 "$LAB/images/kafka/pom.xml" /dev/null "$base" "$(answer runtime)" "$(answer libraries)")
  fi
  await agent
  local shim
  shim=$(slow_disk "$KAFKA_IMAGE")

  {
    printf '%s=%s\n' KAFKA_IMAGE "$KAFKA_IMAGE" PROMETHEUS_IMAGE "$PROMETHEUS_IMAGE" ALERTMANAGER_IMAGE "$ALERTMANAGER_IMAGE" \
      NODE_EXPORTER_IMAGE "$NODE_EXPORTER_IMAGE" GRAFANA_IMAGE "$GRAFANA_IMAGE"
    printf 'JMX_AGENT=%s\n' "$(answer agent)"/jmx_prometheus_javaagent-*.jar
    printf 'SLOW_DISK=%s\n' "$shim"
  } >"$OUT/images.env.new"
  mv "$OUT/images.env.new" "$OUT/images.env"
  say "lab: images ready in $SECONDS s: ${stand_ins[*]:-none} as stand-ins${GRAFANA_IMAGE:+, grafana too}"
  [ -n "$GRAFANA_IMAGE" ] || say "lab: Grafana is left out: its image cannot be pulled here, and no package registry has it"
  [ -n "$shim" ] || say "lab: the slow-disk shim does not load into $KAFKA_IMAGE: faults use the real disk"
}

engine_runs || die "no Docker engine answers: lab/engine.sh up"
case ${1:-} in
"") main ;;
packages)
  mkdir -p "$CACHE"
  packages
  ;;
kafka-3.9)
  mkdir -p "$CACHE"
  exec 8>"$CACHE/images.lock"
  flock 8
  kafka_39_image
  ;;
optimizer)
  mkdir -p "$CACHE"
  suite >/dev/null && need_commands debootstrap:debootstrap
  exec 8>"$CACHE/images.lock"
  flock 8
  optimizer_image
  ;;
jars)
  need_commands mvn:maven javac:default-jdk-headless >&2
  mkdir -p "$CACHE"
  exec 8>"$CACHE/images.lock"
  flock 8
  jars "$LAB/images/kafka/pom.xml"
  ;;
*) die "usage: lab/images.sh [packages|kafka-3.9|optimizer|jars]" ;;
esac
