#!/usr/bin/env bash
# A Docker engine for the lab: uses the one that answers, else installs and starts its own. It stops only its own.
# usage: lab/engine.sh up|down|status      status prints: none | ours | foreign
. "$(dirname "$0")/common.sh"

PID_FILE=$ENGINE_STATE/engine.pid # "PID START_TIME": the start time detects a reused pid

start_time() { cut -d' ' -f22 "/proc/$1/stat" 2>/dev/null || true; }

our_pid() {
  local pid started
  [ -r "$PID_FILE" ] && read -r pid started <"$PID_FILE" || return 1
  [ -n "$pid" ] && [ "$(start_time "$pid")" = "$started" ] || return 1
  printf '%s\n' "$pid"
}

status() {
  if our_pid >/dev/null; then say ours; elif engine_runs; then say foreign; else say none; fi
}

start_engine() {
  need_commands dockerd:docker.io containerd:containerd runc:runc iptables:iptables
  engine_runs && return # where a service manager runs, installing the package started it
  may_change_machine "starting a Docker engine (data and log in $ENGINE_STATE)"
  mkdir -p "$ENGINE_STATE/docker" "$ENGINE_STATE/run"
  # With its own data root and exec root it touches nothing of another engine on this machine.
  setsid nohup dockerd --data-root "$ENGINE_STATE/docker" --exec-root "$ENGINE_STATE/run" \
    --pidfile "$ENGINE_STATE/dockerd.pid" --log-level warn \
    >"$ENGINE_STATE/engine.log" 2>&1 </dev/null 9>&- &
  local pid=$!
  disown
  printf '%s %s\n' "$pid" "$(start_time "$pid")" >"$PID_FILE"
  local end=$((SECONDS + 60))
  until engine_runs; do
    [ -d "/proc/$pid" ] && [ $SECONDS -lt $end ] ||
      die "the Docker engine did not start; its log ends: $(tail -n 5 "$ENGINE_STATE/engine.log")"
    sleep 0.3
  done
  say "lab: Docker engine $(docker version --format '{{.Server.Version}}') started, pid $pid"
}

# Debian 12 has no package of Compose v2. A later Debian's runs there unchanged.
compose_plugin() {
  docker compose version >/dev/null 2>&1 && return
  local found=()
  if [ -n "$(apt-cache policy docker-compose-v2 2>/dev/null)" ]; then
    need_commands docker-compose-v2:docker-compose-v2
  else
    mapfile -t found < <("$LAB/debs.sh" docker-compose usr/libexec/docker/cli-plugins/docker-compose)
    [ ${#found[@]} = 1 ] || die "Compose v2 could not be fetched"
    local plugins=$HOME/.docker/cli-plugins
    [ "$(id -u)" != 0 ] || plugins=/usr/local/lib/docker/cli-plugins
    install -D -m 755 "${found[0]}" "$plugins/docker-compose"
  fi
  docker compose version >/dev/null 2>&1 || die "no Compose v2: docker compose version still fails"
  say "lab: $(docker compose version)"
}

up() {
  # Usually there is nothing to do: no lock, no write.
  if engine_runs && docker compose version >/dev/null 2>&1; then return; fi
  if ! engine_runs; then
    [ "$(id -u)" = 0 ] || die "no Docker engine answers, and only root may start one"
    mkdir -p "$ENGINE_STATE"
    exec 9>"$ENGINE_STATE/lock"
    flock 9 # the demo and the tests may start at the same time
    engine_runs || start_engine
    exec 9>&-
  fi
  compose_plugin
}

down() {
  local pid
  pid=$(our_pid) || {
    rm -f "$PID_FILE"
    say "lab: no engine of the lab is running"
    return
  }
  if [ -n "$(docker ps -q)" ]; then
    say "lab: the engine is left up, because containers still run: $(docker ps --format '{{.Names}}' | tr '\n' ' ')"
    return
  fi
  kill -TERM "$pid"
  wait_until 60 "stopping the Docker engine" test ! -d "/proc/$pid"
  rm -f "$PID_FILE"
  say "lab: Docker engine stopped"
}

case ${1:-} in
up) up ;;
down) down ;;
status) status ;;
*) die "usage: lab/engine.sh up|down|status" ;;
esac
