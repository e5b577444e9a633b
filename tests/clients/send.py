"""Sends numbered records with `requests` until standard input is closed.

    send.py URL PREFIX ACKNOWLEDGED

Each id that was acknowledged is a line in the file ACKNOWLEDGED, written only after the answer. A
router that goes away in the middle is no error: what it did not answer was not acknowledged.
"""

import itertools
import sys
import threading

import msgpack
import requests

THREADS = 4
BATCH = 20
# Digits as letters: some sinks treat messages that differ only in numbers as repetitions.
SPELLED = str.maketrans("0123456789", "abcdefghij")


def send(url, prefix, thread, stop, failed, acknowledged):
    session = requests.Session()
    for batch in itertools.count():
        if stop.is_set():
            return
        ids = [f"{prefix}-{thread}-{batch}-{n}" for n in range(BATCH)]
        records = [
            {"id": id, "source": "sender", "level": "INFO", "message": f"record {id.translate(SPELLED)}"}
            for id in ids
        ]
        try:
            if batch % 2:
                answer = session.post(url + "/ingest", json=records, timeout=30)
            else:
                answer = session.post(
                    url + "/ingest",
                    data=msgpack.packb(records),
                    headers={"Content-Type": "application/msgpack"},
                    timeout=30,
                )
        except requests.exceptions.RequestException:
            if stop.wait(0.01):
                return
            continue
        if answer.status_code == 200:
            assert answer.json()["accepted"] == BATCH, answer.text
            with acknowledged[0]:
                acknowledged[1].write("".join(id + "\n" for id in ids))
                acknowledged[1].flush()
        elif answer.status_code != 503:
            print(answer.status_code, answer.text, file=sys.stderr)
            failed.set()
            stop.set()


def main():
    url, prefix, path = sys.argv[1:]
    stop, failed = threading.Event(), threading.Event()
    acknowledged = (threading.Lock(), open(path, "a"))
    threads = [
        threading.Thread(target=send, args=(url, prefix, n, stop, failed, acknowledged))
        for n in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    return int(failed.is_set())


sys.exit(main())
