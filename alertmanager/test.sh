#!/bin/sh
# Checks the file for Alertmanager: syntax, and for each alert of ../prometheus/rules the receivers that get it. amtool is taken
# from $AMTOOL or PATH; 0.28 or newer.
set -eu
cd "$(dirname "$0")"
amtool=${AMTOOL:-amtool}

"$amtool" check-config alertmanager.yml

# Lines "NAME SEVERITY REMEDIATION", "-" for no remediation.
alerts=$(awk '
  function flush() { if (name != "") print name, severity, remediation; name = "" }
  /^ *- (alert|record):/ { flush() }
  /^ *- alert:/ { name = $3; severity = "?"; remediation = "-" }
  /^ *severity:/ { severity = $2 }
  /^ *remediation:/ { remediation = $2 }
  END { flush() }' ../prometheus/rules/*.yml)

count=0
while read -r alert severity remediation; do
  case $alert,$remediation in
    KafkaWatchdog,-) receivers=dead-mans-switch ;;
    *,-) receivers=people ;;
    *) receivers=optimizer,people ;;
  esac
  set -- "alertname=$alert" "severity=$severity" kafka_cluster=main broker_id=1
  [ "$remediation" = - ] || set -- "$@" "remediation=$remediation"
  "$amtool" config routes test --config.file=alertmanager.yml --verify.receivers="$receivers" "$@" >/dev/null 2>&1 || {
    echo "FAILED: $alert ($severity) must reach $receivers, it reaches:" >&2
    "$amtool" config routes test --config.file=alertmanager.yml "$@" >&2 2>/dev/null
    exit 1
  }
  count=$((count + 1))
done <<EOF
$alerts
EOF
echo "$count alerts: all reach the receivers they should."
