"""Logs in forked processes: each message has to arrive once.

    python_fork.py URL
"""

import multiprocessing
import os
import sys
import threading

import weir_logging


def work(number):
    weir_logging.get_logger("pool").info("in a pool %d", number)


def spawned(url):
    weir_logging.setup_logger(url=url)
    weir_logging.get_logger("spawn").info("in a spawn")


def main(url):
    weir_logging.setup_logger(url=url)
    log = weir_logging.get_logger("fork")
    log.info("before")
    child = os.fork()
    if child == 0:
        log.info("in a fork")
        thread = threading.Thread(target=log.info, args=("in a fork's thread",))
        thread.start()
        thread.join()
        # Ends as a worker of gunicorn does.
        sys.exit()
    assert os.waitpid(child, 0)[1] == 0
    log.info("in the parent")
    # A new process for each task; they end without `atexit`.
    with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1) as pool:
        pool.map(work, range(2), chunksize=1)
        pool.close()
        pool.join()
    process = multiprocessing.get_context("spawn").Process(target=spawned, args=(url,))
    process.start()
    process.join()
    assert process.exitcode == 0


if __name__ == "__main__":
    main(*sys.argv[1:])
