#!/bin/bash
# kafka-run-class.sh [-name X] [-loggc] CLASS ARGS: the part of Kafka's own script that the lab needs.
KAFKA=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
while :; do
  case $1 in
  -name) shift 2 ;;
  -loggc | -daemon) shift ;;
  *) break ;;
  esac
done
if [ -n "$KAFKA_CLI" ]; then # a tool: quick to start, small, and never an agent or shim of the broker beside it
  unset KAFKA_OPTS KAFKA_JMX_OPTS LD_PRELOAD
  KAFKA_HEAP_OPTS=${KAFKA_CLI_HEAP_OPTS:--Xmx192m}
  KAFKA_JVM_PERFORMANCE_OPTS="-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto"
fi
: "${KAFKA_HEAP_OPTS:=-Xmx256m}"
: "${KAFKA_JVM_PERFORMANCE_OPTS:=-server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent -Djava.awt.headless=true}"
# Kafka 4 reads the first, Kafka 3.9 the second.
: "${KAFKA_LOG4J_OPTS:=-Dlog4j2.configurationFile=/etc/kafka/docker/tools-log4j2.yaml -Dlog4j.configuration=file:/etc/kafka/docker/tools-log4j.properties}"
# Word splitting is meant: each of these holds several options.
# shellcheck disable=SC2086
exec java $KAFKA_HEAP_OPTS $KAFKA_JVM_PERFORMANCE_OPTS $KAFKA_JMX_OPTS -Dkafka.logs.dir="$KAFKA/logs" \
  $KAFKA_LOG4J_OPTS -cp "$KAFKA/libs/*" $KAFKA_OPTS "$@"
