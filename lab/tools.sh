#!/usr/bin/env bash
# promtool and amtool, without installing them.
# usage: lab/tools.sh       prints PROMTOOL=... and AMTOOL=..., as a shell may read it
. "$(dirname "$0")/common.sh"

PROMTOOL=${PROMTOOL:-$("$LAB/debs.sh" promtool usr/bin/promtool)}
AMTOOL=${AMTOOL:-$("$LAB/debs.sh" prometheus-alertmanager usr/bin/amtool)}
printf 'PROMTOOL=%s\nAMTOOL=%s\n' "$PROMTOOL" "$AMTOOL"
