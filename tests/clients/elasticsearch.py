"""Sends documents with Elasticsearch's own client, version 8 or 9.

    elasticsearch.py bulk MODULE URL [TOKEN]     documents as JSON on standard input; prints what the client says
    elasticsearch.py load URL PREFIX FILE        until standard input is closed; adds acknowledged ids to FILE
    elasticsearch.py fill URL                    until it is refused, prints that, then waits for room
"""

import importlib
import itertools
import json
import sys
import threading


def client(module, url, **options):
    return importlib.import_module(module).Elasticsearch(url, retry_on_timeout=False, **options)


def bulk(name, url, token=None):
    # Where `tests/run` installs version 8, apart from 9.
    if name == "elasticsearch8":
        sys.path.insert(0, sys.prefix + "/elasticsearch8")
    module = importlib.import_module(name)
    helpers = importlib.import_module(name + ".helpers")
    options = {"api_key": ("any", token)} if token else {}
    connection = client(name, url, http_compress=True, **options)
    said = {"version": ".".join(map(str, module.__version__))}
    try:
        info = connection.info()
        said["number"], said["tagline"] = info["version"]["number"], info["tagline"]
        said["ping"], said["health"] = connection.ping(), connection.cluster.health()["status"]
        said["license"] = connection.license.get()["license"]["type"]
        said["exists"] = bool(connection.indices.exists(index="logs"))
        documents = json.load(sys.stdin)
        half = len(documents) // 2
        actions = [{"_op_type": "create", "_index": "logs", "_id": f"{n}", "_source": d} for n, d in enumerate(documents[:half])]
        said["stored"] = helpers.bulk(connection, actions)[0]
        actions = ({"_index": "streamed", **d} for d in documents[half:])
        results = list(helpers.streaming_bulk(connection, actions, chunk_size=2))
        said["stored"] += sum(ok for ok, _ in results)
        said["ids"] = len({item["index"]["_id"] for _, item in results})
        # What can't be done has its own error.
        actions = [
            {"_op_type": "update", "_index": "logs", "_id": "1", "doc": {}},
            {"_op_type": "delete", "_index": "logs", "_id": "1"},
            {"_index": "logs", "message": "the last"},
        ]
        stored, errors = helpers.bulk(connection, actions, raise_on_error=False)
        said["stored"] += stored
        said["errors"] = [next(iter(error.values()))["status"] for error in errors]
        answer = connection.bulk(operations=[{"create": {"_index": "logs"}}, {"message": "filtered"}], filter_path="errors,items.*.error")
        said["filtered"] = answer.body
        said["stored"] += 1
        try:
            connection.search(index="logs")
        except module.NotFoundError as error:
            said["search"] = error.error
    except module.ApiError as error:
        said["error"] = [type(error).__name__, error.status_code, error.error]
    print(json.dumps(said))


def load(url, prefix, path):
    from elasticsearch9 import ApiError, TransportError, helpers

    connection = client("elasticsearch9", url, max_retries=0)
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    with open(path, "a") as acknowledged:
        for batch in itertools.count():
            if stop.is_set():
                return
            ids = [f"{prefix}-{batch}-{n}" for n in range(10)]
            try:
                helpers.bulk(connection, [{"_op_type": "create", "_index": "logs", "id": id} for id in ids])
            except (ApiError, TransportError):
                stop.wait(0.01)
                continue
            acknowledged.write("".join(id + "\n" for id in ids))
            acknowledged.flush()


def fill(url):
    from elasticsearch9 import ApiError, helpers

    connection = client("elasticsearch9", url, max_retries=0)
    documents = [{"_index": "logs", "message": "x" * 5000} for _ in range(5)]
    while True:
        try:
            helpers.bulk(connection, documents)
        except helpers.BulkIndexError as error:
            print(json.dumps(error.errors[0]["index"]), flush=True)
            break
        except ApiError as error:
            print(error.status_code, error.error, flush=True)
            break
    # Its own way of waiting.
    stored, _ = helpers.bulk(connection, documents, max_retries=1000, initial_backoff=0.1, max_backoff=0.1)
    print("stored" if stored == len(documents) else stored, flush=True)


{"bulk": bulk, "load": load, "fill": fill}[sys.argv[1]](*sys.argv[2:])
