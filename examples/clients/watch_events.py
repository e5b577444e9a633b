"""Prints records as they arrive, as server-sent events.

    pip install httpx
    python watch_events.py "http://127.0.0.1:8080/api/tail?query=level>=WARN"
"""

import json
import sys

import httpx

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080/api/tail"
# Nothing may arrive for a long time; every 15 seconds there is at least a comment.
with httpx.stream("GET", url, timeout=httpx.Timeout(10, read=60)) as stream:
    stream.raise_for_status()
    for line in stream.iter_lines():
        if line.startswith("data: "):
            e = json.loads(line.removeprefix("data: "))
            print(e["timestamp"], e["service_name"], e["content"], flush=True)
