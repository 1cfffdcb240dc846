#!/usr/bin/env bash
# The whole way in one go: sample log, pipeline, pushed model, server, a query over gRPC.
set -euo pipefail
ROOT=${ROOT:-ctrl_root}
mkdir -p "$ROOT"

ctrl run --dataset sample --root "$ROOT"

port_file=$(mktemp)
rows=$(mktemp --suffix=.csv)
items=$(mktemp --suffix=.csv)
ctrl serve --root "$ROOT" --dataset sample --port 0 --port-file "$port_file" &
server=$!
trap 'kill $server 2>/dev/null || true; wait $server 2>/dev/null || true; rm -f "$port_file" "$rows" "$items"' EXIT
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

# Every item once, by the first row that has it.
awk -F, 'NR == 1 {for (i = 1; i <= NF; i++) if ($i == "item_id") id = i} !seen[$id]++' \
  "$ROOT/sample/data/sample.csv" > "$items"
echo
echo "The best five of all items for a shopper:"
ctrl rank --target "127.0.0.1:$(cat "$port_file")" --dataset sample --items "$items" --k 5 \
  --user user_id=u205 gender=male "age_group=30 to 44" city=Eastvale device=phone hour=20
