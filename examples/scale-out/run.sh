#!/usr/bin/env bash
# Runs the whole set-up on this machine: a NATS server, an edge router, and workers that share one stream and write to one
# database. Sends records, kills a worker a few times meanwhile, and counts what is in the database.
#
#   POSTGRES_URL=postgres://postgres@127.0.0.1/postgres ./run.sh
#
# RECORDS=100000 WORKERS=2 KILLS=3 are the defaults. It needs weir, nats-server, psql and curl, and a database without
# tables named weir_….
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
: "${POSTGRES_URL:?the database, such as postgres://user:password@host/database}"
RECORDS=${RECORDS:-100000} WORKERS=${WORKERS:-2} KILLS=${KILLS:-3}
WEIR=${WEIR:-weir} NATS_SERVER=${NATS_SERVER:-nats-server} NATS_PORT=${NATS_PORT:-4222}
export POSTGRES_URL NATS_URL=nats://127.0.0.1:$NATS_PORT

work=$(mktemp -d)
declare -A running
stop() {
  kill "${running[@]}" 2>/dev/null || true
  wait "${running[@]}" 2>/dev/null || true
  rm -rf "$work"
}
trap stop EXIT

start() { # name configuration
  WEIR_DATA=$work/$1 WEIR_LISTEN=127.0.0.1:0 "$WEIR" run --config "$here/$2.toml" --filters "$work/filters" \
    >>"$work/$1.log" 2>&1 &
  running[$1]=$!
}

wait_for() { # what command...
  local what=$1 tries=0
  shift
  until "$@" >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ $tries -gt 1200 ]; then
      echo "never came true: $what" >&2
      tail -n 5 "$work"/*.log >&2
      exit 1
    fi
    sleep 0.1
  done
}

sql() { psql --no-psqlrc -qtAX "$POSTGRES_URL" -c "$1"; }
stored() { sql "SELECT count(*) FROM weir_logs" 2>/dev/null || echo 0; }
has_stored() { [ "$(stored)" -ge "$1" ]; }
edge_address() { grep -om1 'http://[0-9.:]*' "$work/edge.log"; }

"$NATS_SERVER" --addr 127.0.0.1 --port "$NATS_PORT" --jetstream --store_dir "$work/stream" >"$work/nats.log" 2>&1 &
running[nats]=$!
start edge edge
wait_for "the edge listens" edge_address
edge=$(edge_address)
for number in $(seq "$WORKERS"); do start "worker-$number" worker; done

began=$(date +%s.%N)
sent=0
while [ "$sent" -lt "$RECORDS" ]; do
  awk -v first="$sent" -v all="$RECORDS" 'BEGIN {
    for (n = first; n < all && n < first + 5000; n++)
      printf "{\"source\":\"shop\",\"level\":\"INFO\",\"message\":\"order %d is paid\",\"number\":%d}\n", n, n
  }' | curl -sS --fail-with-body --retry 60 --retry-delay 1 --retry-all-errors -o "$work/answer" \
    -H 'content-type: application/x-ndjson' -H "idempotency-key: $sent" --data-binary @- "$edge/ingest"
  sent=$((sent + 5000))
done
for kill in $(seq "$KILLS"); do
  wait_for "some are stored" has_stored $((RECORDS * kill / (KILLS + 1)))
  kill -9 "${running[worker-1]}"
  wait "${running[worker-1]}" 2>/dev/null || true
  start worker-1 worker
done
wait_for "all are stored" has_stored "$RECORDS"
ended=$(date +%s.%N)
read -r rows distinct < <(sql "SELECT count(*) || ' ' || count(DISTINCT extra_data->>'number') FROM weir_logs")
awk -v rows="$rows" -v began="$began" -v ended="$ended" -v workers="$WORKERS" 'BEGIN {
  printf "%d records with %d workers in %.1f s: %d a second\n", rows, workers, ended - began, rows / (ended - began)
}'
for name in "${!running[@]}"; do
  awk -v name="$name" -v ticks="$(getconf CLK_TCK)" -v records="$RECORDS" '{
    printf "%s: %.1f µs of processor time a record since its start\n", name, ($14 + $15) * 1e6 / ticks / records
  }' "/proc/${running[$name]}/stat"
done
if [ "$rows" != "$RECORDS" ] || [ "$distinct" != "$RECORDS" ]; then
  echo "stored $rows rows, $distinct different ones, of $RECORDS records" >&2
  exit 1
fi
echo "each of $RECORDS records is stored once; workers were killed $KILLS times"
