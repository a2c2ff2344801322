#!/usr/bin/env bash
# promtool, amtool and Prometheus itself, without installing them.
# usage: lab/tools.sh       prints PROMTOOL=..., AMTOOL=... and PROMETHEUS_PROGRAM=..., as a shell may read it
. "$(dirname "$0")/common.sh"

PROMTOOL=${PROMTOOL:-$("$LAB/debs.sh" promtool usr/bin/promtool)}
AMTOOL=${AMTOOL:-$("$LAB/debs.sh" prometheus-alertmanager usr/bin/amtool)}
PROMETHEUS_PROGRAM=${PROMETHEUS_PROGRAM:-$("$LAB/debs.sh" prometheus usr/bin/prometheus)}
printf 'PROMTOOL=%s\nAMTOOL=%s\nPROMETHEUS_PROGRAM=%s\n' "$PROMTOOL" "$AMTOOL" "$PROMETHEUS_PROGRAM"
