#!/bin/sh
# Runs every scenario that ships: shipped.sh SUAN SOURCE
set -eu
exec "$1" scenario "$2"/share/scenarios/*.scn "$2"/src/cap/*/example.scn
