#!/usr/bin/env bash
# Runs a command of the lab, which is the Python package kafka_lab.
# usage: lab/run.sh COMMAND      without a command it lists them
. "$(dirname "$0")/common.sh"

need_commands python3:python3
export PYTHONPATH=$LAB PYTHONDONTWRITEBYTECODE=1
exec python3 -m kafka_lab "$@"
