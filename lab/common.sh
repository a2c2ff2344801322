# shellcheck shell=bash
# Words the lab's scripts share. Sourced, never run.
set -euo pipefail

LAB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(dirname "$LAB")
TARGET=$ROOT/target
CACHE=$TARGET/lab-cache # downloads and what is made of them; safe to delete
ENGINE_STATE=${KAFKA_OPTIMIZER_LAB_STATE:-/var/lib/kafka-optimizer-lab}
export LAB ROOT TARGET CACHE ENGINE_STATE

say() { printf '%s\n' "$*"; }
die() {
  printf '%s: error: %s\n' "${0##*/}" "$*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# Asks a person at a terminal before the machine is changed; without a terminal it only says so.
may_change_machine() {
  [ "$(id -u)" = 0 ] || die "$1 needs root; run it as root, or do it yourself and start again"
  say "lab: $1"
  if [ -t 0 ] && [ -t 1 ]; then
    local answer
    read -r -p "lab: go on? [y/N] " answer
    case $answer in y | Y | yes) ;; *) die "stopped, nothing changed" ;; esac
  fi
}

# need_commands COMMAND:PACKAGE ... installs the Debian packages of the commands that are missing. A path stands for a file.
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
  apt_get update -qq || true # a stale index still installs; the install below decides
  apt_get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
    die "apt-get could not install: ${missing[*]}"
}

# Several scripts may install at once: each waits for the other's lock.
apt_get() { DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o APT::Get::Lock::Timeout=300 "$@"; }

# The Debian archive this machine already uses: the lab names no host of its own.
debian_archive() {
  local codename
  codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
  apt-get indextargets --format '$(REPO_URI)' \
    'Created-By: Packages' 'Origin: Debian' 'Component: main' "Codename: $codename" 2>/dev/null | sed -n 1p
}

# engine_runs: quick, and quiet when nothing listens.
engine_runs() { have docker && timeout 15 docker info >/dev/null 2>&1; }

# wait_until SECONDS WHAT COMMAND...: polls twice a second, fails loudly at the limit.
wait_until() {
  local limit=$1 what=$2 end
  shift 2
  end=$((SECONDS + limit))
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || die "$what: not within $limit s"
    sleep 0.5
  done
}

# end_jobs: ends what this shell started in the background, and what that started, by process id.
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

# A name for the content of its input: what was built from the same input need not be built again.
content_id() { sha256sum | cut -c1-12; }
