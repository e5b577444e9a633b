"""A client of the live stream that reads nothing until a line arrives on standard input, and then everything.

Prints what it got: the number of records, the number of records that it was told it missed, and the text of the last.
"""

import json
import sys

from websockets.sync.client import connect

url, last = sys.argv[1], sys.argv[2]
with connect(url, max_size=None, max_queue=1, compression=None) as stream:
    print("connected", flush=True)
    sys.stdin.readline()
    records = missed = 0
    for message in stream:
        e = json.loads(message)
        if "entry_id" in e:
            records += 1
        elif e["type"] == "gap":
            missed += e["missed"]
        if e["message"] == last:
            break
    print(records, missed, flush=True)
