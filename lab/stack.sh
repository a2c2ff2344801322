# shellcheck shell=bash
# One running copy of docker-compose.yml: its ports, its rendered configuration, its volumes. Sourced after common.sh.
# stack NAME PROJECT PORT_OFFSET MODE sets it up under target/NAME; the functions below then speak to it.

stack() {
  STACK=$TARGET/$1
  PROJECT=$2
  KAFKA_PORT_1=$((19092 + $3)) KAFKA_PORT_2=$((19093 + $3)) KAFKA_PORT_3=$((19094 + $3))
  PROMETHEUS_PORT=$((9090 + $3)) ALERTMANAGER_PORT=$((9093 + $3)) OPTIMIZER_PORT=$((9308 + $3)) GRAFANA_PORT=$((3000 + $3))
  MODE=$4
  PROMETHEUS=http://127.0.0.1:$PROMETHEUS_PORT
  ALERTMANAGER=http://127.0.0.1:$ALERTMANAGER_PORT
  OPTIMIZER=http://127.0.0.1:$OPTIMIZER_PORT
  GRAFANA=http://127.0.0.1:$GRAFANA_PORT
  export PROMETHEUS ALERTMANAGER OPTIMIZER GRAFANA
}

# stack_render OPTIMIZER_IMAGE: everything that compose reads, under target/NAME.
stack_render() {
  local socket=/var/run/docker.sock
  mkdir -p "$STACK/slow" "$STACK/secrets"
  "$LAB/render.sh" "$STACK/config" "$MODE"
  echo 0 >"$STACK/slow/us"
  # The token is read by three users of three images. It opens a lab on 127.0.0.1, so its file may be read by all.
  od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$STACK/secrets/webhook-token"
  chmod 644 "$STACK/secrets/webhook-token"
  {
    cat "$TARGET/lab/images.env"
    printf '%s=%s\n' OPTIMIZER_IMAGE "$1" CONFIG_DIR "$STACK/config" OPTIMIZER_CONFIG "$STACK/config/kafka-optimizer.yml" \
      SECRETS_DIR "$STACK/secrets" SLOW_DIR "$STACK/slow" DOCKER_GID "$(stat -c %g "$socket")" \
      KAFKA_PORT_1 "$KAFKA_PORT_1" KAFKA_PORT_2 "$KAFKA_PORT_2" KAFKA_PORT_3 "$KAFKA_PORT_3" PROMETHEUS_PORT "$PROMETHEUS_PORT" \
      ALERTMANAGER_PORT "$ALERTMANAGER_PORT" OPTIMIZER_PORT "$OPTIMIZER_PORT" GRAFANA_PORT "$GRAFANA_PORT"
  } >"$STACK/compose.env"
  stack_compose "$ROOT/docker-compose.yml"
}

# stack_compose FILE...: target/NAME/compose is `docker compose` with the right project and variables, for people and for tests.
stack_compose() {
  {
    printf '#!/bin/sh\nexec docker compose -p %s --env-file %q' "$PROJECT" "$STACK/compose.env"
    printf ' -f %q' "$@"
    printf ' "$@"\n'
  } >"$STACK/compose"
  chmod 755 "$STACK/compose"
}

compose() { "$STACK/compose" "$@"; }
with_grafana() { grep -q '^GRAFANA_IMAGE=.' "$STACK/compose.env"; }

# stack_up: starts everything and says what became healthy when.
stack_up() {
  local profile=() service state now before='' begun=$SECONDS starting
  with_grafana && profile=(--profile grafana)
  compose --progress quiet "${profile[@]}" up -d --no-build >"$STACK/up.log" 2>&1 &
  starting=$! # it waits for the controller before it starts the brokers; meanwhile we tell what is up
  while :; do
    now=$(docker ps -a --filter "label=com.docker.compose.project=$PROJECT" \
      --format '{{.Label "com.docker.compose.service"}} {{.State}}/{{.Status}}' | sort)
    while read -r service state; do
      case $state in
      *starting*) ;;
      running/*) grep -qx "$service" <<<"$before" || {
        printf '  %3d s  %s\n' $((SECONDS - begun)) "$service is up"
        before+=$'\n'$service
      } ;;
      exited/* | dead/*) die "$service ended at once: $(compose logs --no-log-prefix --tail 5 "$service" 2>&1)" ;;
      esac
    done <<<"$now"
    if [ ! -d /proc/$starting ]; then
      wait $starting || die "compose could not start the stack: $(tail -n 3 "$STACK/up.log")"
      [[ $now =~ starting|created ]] || break
    fi
    [ $((SECONDS - begun)) -lt 180 ] || die "not everything became healthy within 180 s: $now"
    sleep 0.5
  done
  wait_until 60 "the optimizer's readiness ($OPTIMIZER/-/ready)" curl -sf -m 2 -o /dev/null "$OPTIMIZER/-/ready"
  printf '  %3d s  %s\n' $((SECONDS - begun)) "the optimizer is ready"
}

# stack_gone: removes every container, network and volume of the project, also what an interrupted run left.
stack_gone() {
  local left
  mapfile -t left < <(docker ps -aq --filter "label=com.docker.compose.project=$PROJECT")
  [ ${#left[@]} = 0 ] || docker rm -f -v "${left[@]}" >/dev/null
  mapfile -t left < <(docker network ls -q --filter "label=com.docker.compose.project=$PROJECT")
  [ ${#left[@]} = 0 ] || docker network rm "${left[@]}" >/dev/null
  mapfile -t left < <(docker volume ls -q --filter "label=com.docker.compose.project=$PROJECT")
  [ ${#left[@]} = 0 ] || docker volume rm "${left[@]}" >/dev/null
}

# stack_down: the same if there is an engine, and no test finds its addresses any more.
stack_down() {
  ! engine_runs || stack_gone
  rm -f "$STACK/env"
}

# kafka_tool BROKER TOOL ARGS: one of Kafka's tools, inside that broker's container and against that broker.
kafka_tool() {
  local broker=$1 tool=$2
  shift 2
  # Without the broker's agent, shim and heap: the tool would start them a second time.
  compose exec -T -e KAFKA_OPTS= -e LD_PRELOAD= -e KAFKA_HEAP_OPTS=-Xmx192m "kafka-$broker" \
    "/opt/kafka/bin/$tool" --bootstrap-server "kafka-$broker:9092" "$@"
}

# load_start ARGS: a container of load; prints its id. load_stop ID ends it.
load_start() { compose --progress quiet run -d --no-deps load load produce "$@" 2>>"$STACK/up.log"; }
load_stop() { docker rm -f "$1" >/dev/null 2>&1 || true; }
