"""Logs with `weir_logging` as it is told on standard input; `tests/e2e/small_clients/driver.rs` describes how.

    driver.py URL CAPACITY TIMEOUT_S DEADLINE_S
"""

import sys

import weir_logging

url, capacity, timeout, deadline = sys.argv[1:]
options = {"url": url, "capacity": int(capacity), "timeout": float(timeout), "deadline": float(deadline)}
weir_logging.setup_logger(**options)
log = weir_logging.get_logger("driver")
handler = weir_logging.logging.getLogger().handlers[0]
for line in sys.stdin:
    command, *arguments = line.split()
    if command == "log":
        for number in range(int(arguments[1])):
            log.info("record", extra={"id": f"{arguments[0]}-{number}"})
    print(f"lost {handler.lost}", flush=True)
handler.close()
print(f"lost {handler.lost}", flush=True)
