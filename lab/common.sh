# shellcheck shell=bash
# Functions that the lab's scripts share. Sourced, never run.
set -euo pipefail

LAB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(dirname "$LAB")
TARGET=$ROOT/target
CACHE=$TARGET/lab-cache # downloads and what is built from them; safe to delete
ENGINE_STATE=${KAFKA_OPTIMIZER_LAB_STATE:-/var/lib/kafka-optimizer-lab}
export LAB ROOT TARGET CACHE ENGINE_STATE

say() { printf '%s\n' "$*"; }
die() {
  printf '%s: error: %s\n' "${0##*/}" "$*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# At a terminal, asks before the machine is changed; without one it only says what it does.
may_change_machine() {
  [ "$(id -u)" = 0 ] || die "$1 needs root; run it as root, or do it yourself and start again"
  say "lab: $1"
  if [ -t 0 ] && [ -t 1 ]; then
    local answer
    read -r -p "lab: go on? [y/N] " answer
    case $answer in y | Y | yes) ;; *) die "stopped, nothing changed" ;; esac
  fi
}

# need_commands COMMAND:PACKAGE...: installs the Debian packages of missing commands. An absolute path instead of a command is a file.
need_commands() {
  local pair missing=()
  for pair in "$@"; do
    case $pair in
    /*) [ -e "${pair%%:*}" ] ;;
    *) have "${pair%%:*}" ;;
    esac || missing+=("${pair#*:}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  have apt-get || die "please install: ${missing[*]} (no apt-get here to do it)"
  may_change_machine "installing packages: ${missing[*]}"
  apt_get update -qq || true # a stale index may still do; the install below decides
  apt_get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
    die "apt-get could not install: ${missing[*]}"
}

# What cargo builds librdkafka with: it has TLS from the system's OpenSSL.
need_build_packages() {
  need_commands cc:gcc c++:g++ make:make pkg-config:pkg-config
  pkg-config --exists openssl || need_commands /usr/include/openssl/ssl.h:libssl-dev
}

# Scripts that install at the same time wait for each other's lock.
apt_get() { DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o APT::Get::Lock::Timeout=300 "$@"; }

# The Debian archive that this machine already uses; the lab names no host of its own.
debian_archive() {
  local codename
  codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
  apt-get indextargets --format '$(REPO_URI)' \
    'Created-By: Packages' 'Origin: Debian' 'Component: main' "Codename: $codename" 2>/dev/null | sed -n 1p
}

# engine_runs: whether an engine answers; prints nothing.
engine_runs() { have docker && timeout 15 docker info >/dev/null 2>&1; }

# wait_until SECONDS WHAT COMMAND...: polls twice a second, and dies at the limit.
wait_until() {
  local limit=$1 what=$2 end
  shift 2
  end=$((SECONDS + limit))
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || die "$what: not within $limit s"
    sleep 0.5
  done
}

# end_jobs: ends this shell's background processes and their children, by process id.
end_jobs() {
  local pid
  for pid in $(jobs -p); do end_tree "$pid"; done
  wait || true
}
end_tree() {
  local child
  for child in $(ps -o pid= --ppid "$1"); do end_tree "$child"; done
  kill "$1" 2>/dev/null || true
}

# A short hash of standard input. What was built from the same input is not built again.
content_id() { sha256sum | cut -c1-12; }
