#!/usr/bin/env bash
# One broker with secured listeners, a project of its own, beside the stack of the live tests.
# usage: lab/security-stack.sh up|down      up writes target/live-security/env, which the live tests read
. "$(dirname "$0")/common.sh"
. "$LAB/stack.sh"
STACK=$TARGET/live-security
PROJECT=kafka-optimizer-security
FIRST_PORT=${SECURITY_PORT:-31000} # and the six after it
CERTIFICATES=$STACK/certificates
LISTENERS=(PLAIN TLS MTLS EXPIRED PASSWORDS OPENPASSWORDS TOKENS)

up() {
  need_commands openssl:openssl
  stack_gone
  rm -rf "$STACK" && mkdir -p "$CERTIFICATES"
  certificates
  render
  compose --progress quiet up -d --wait --wait-timeout 120 || die "the broker did not start: $(compose logs --no-log-prefix --tail 20 kafka 2>&1)"
  users_and_rights
  write_env
}

# ---- certificates: short-lived, elliptic (quick to make)

KEY=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)

# authority NAME
authority() {
  openssl req -x509 "${KEY[@]}" -days 2 -subj "/CN=$1" -keyout "$CERTIFICATES/$1.key" -out "$CERTIFICATES/$1.pem" 2>/dev/null
}

# certificate NAME AUTHORITY DAYS EXTENSIONS
certificate() {
  local at=$CERTIFICATES/$1 by=$CERTIFICATES/$2
  openssl req -new "${KEY[@]}" -subj "/CN=$1" -keyout "$at.key" -out "$at.csr" 2>/dev/null
  printf '%s\n' "$4" >"$at.ext"
  openssl x509 -req -in "$at.csr" -CA "$by.pem" -CAkey "$by.key" -CAcreateserial -days "$3" -extfile "$at.ext" -out "$at.pem" 2>/dev/null
  cat "$at.key" "$at.pem" >"$at.chain"
}

certificates() {
  local of_broker='subjectAltName=IP:127.0.0.1,DNS:kafka.example.com'
  authority ca
  authority other-ca
  certificate broker ca 2 "$of_broker"
  certificate expired ca 0 "$of_broker" # its end is its beginning
  certificate client ca 2 extendedKeyUsage=clientAuth
  certificate stranger other-ca 2 extendedKeyUsage=clientAuth
  chmod 644 "$CERTIFICATES"/* # the broker is another user; these keys open a lab on 127.0.0.1
}

# ---- the broker

render() {
  local port=$FIRST_PORT listener
  {
    cat "$TARGET/lab/images.env"
    printf 'CERTIFICATES=%s\n' "$CERTIFICATES"
    for listener in "${LISTENERS[@]}"; do
      printf 'PORT_%s=%s\n' "$listener" $((port++))
    done
  } >"$STACK/compose.env"
  stack_compose "$LAB/security.yml"
}

# The user `monitor` with the rights that SECURITY.md lists, and none else; of the topic `sealed` it may not read the configuration.
# Tools take seconds to start, so they run at once.
users_and_rights() {
  # shellcheck disable=SC2016
  compose exec -T -e KAFKA_OPTS= -e KAFKA_HEAP_OPTS=-Xmx96m kafka bash -c '
    at="--bootstrap-server kafka:9092"
    tools=/opt/kafka/bin
    acls() { $tools/kafka-acls.sh $at --add --allow-principal User:monitor "$@"; }
    password() { $tools/kafka-configs.sh $at --alter --entity-type users --entity-name monitor --add-config "$1=[iterations=$2,password=pencil]"; }
    jobs=()
    password SCRAM-SHA-256 4096 & jobs+=($!)
    password SCRAM-SHA-512 16384 & jobs+=($!) # as many as Kafka allows
    $tools/kafka-topics.sh $at --create --if-not-exists --topic secured --partitions 2 --replication-factor 1 & jobs+=($!)
    $tools/kafka-topics.sh $at --create --if-not-exists --topic sealed --partitions 1 --replication-factor 1 & jobs+=($!)
    acls --operation Describe --cluster --topic "*" --group "*" & jobs+=($!)
    acls --operation DescribeConfigs --cluster --topic "*" & jobs+=($!)
    acls --operation AlterConfigs --operation Alter --cluster & jobs+=($!)
    $tools/kafka-acls.sh $at --add --deny-principal User:monitor --operation DescribeConfigs --topic sealed & jobs+=($!)
    for job in "${jobs[@]}"; do wait "$job" || exit 1; done' >"$STACK/users.log" 2>&1 ||
    die "users and rights: $(tail -n 20 "$STACK/users.log")"
}

write_env() {
  local port=$FIRST_PORT listener
  {
    printf 'KAFKA_OPTIMIZER_LIVE_SECURITY_CERTIFICATES=%s\n' "$CERTIFICATES"
    for listener in "${LISTENERS[@]}"; do
      printf 'KAFKA_OPTIMIZER_LIVE_SECURITY_%s=127.0.0.1:%s\n' "$listener" $((port++))
    done
  } >"$STACK/env.new"
  mv "$STACK/env.new" "$STACK/env"
  say "lab: addresses are in ${STACK#"$ROOT"/}/env"
}

case ${1:-} in
up) up ;;
down) stack_down ;;
*) die "usage: lab/security-stack.sh up|down" ;;
esac
