#!/usr/bin/env bash
# The whole way in one go: sample log, pipeline, pushed model, server, a query over gRPC.
set -euo pipefail
ROOT=${ROOT:-ctrl_root}
mkdir -p "$ROOT"

ctrl run --dataset sample --root "$ROOT"

port_file=$(mktemp)
rows=$(mktemp --suffix=.csv)
ctrl serve --root "$ROOT" --dataset sample --port 0 --port-file "$port_file" &
server=$!
trap 'kill $server 2>/dev/null || true; wait $server 2>/dev/null || true; rm -f "$port_file" "$rows"' EXIT
for _ in $(seq 120); do
  [ -s "$port_file" ] && break
  kill -0 $server || exit 1
  sleep 0.5
done
[ -s "$port_file" ] || { echo "demo: the server was not ready within a minute" >&2; exit 1; }

head -6 "$ROOT/sample/data/sample.csv" > "$rows"
echo
echo "Predictions for the first five rows of the sample log:"
ctrl predict --target "127.0.0.1:$(cat "$port_file")" --dataset sample --input "$rows"
