"""Kafka's side of tests, with the client of librdkafka: topics, messages, offsets, and a cluster in memory.

    kafka.py cluster BROKERS                         runs librdkafka's own cluster, and prints its addresses
    kafka.py create ADDRESS TOPIC PARTITIONS [SETTING=VALUE...]
    kafka.py produce ADDRESS TOPIC [SETTING=VALUE...]
                                                     each line of standard input is a message: JSON with `value` or
                                                     `base64`, and perhaps `partition`, `key`, `headers`
    kafka.py load ADDRESS TOPIC PARTITIONS COUNT RATE
                                                     numbered events, so many a second
    kafka.py secure PORT BROKER CERTIFICATE KEY USER PASSWORD
                                                     passes connections on to a broker that come with TLS and SASL
    kafka.py committed ADDRESS GROUP TOPIC PARTITIONS
                                                     prints how many messages the group has committed
"""

import base64
import hashlib
import hmac
import json
import os
import socket
import ssl
import struct
import sys
import threading
import time

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

PATIENCE = 60
NO_TEXT = struct.pack(">h", -1)


def producer(address, **settings):
    return Producer({"bootstrap.servers": address, "acks": "all", "linger.ms": 5, **settings})


def done(error, _message):
    if error is not None:
        print(f"not acknowledged: {error}", file=sys.stderr, flush=True)
        sys.exit(1)


def finish(out):
    if out.flush(PATIENCE) > 0:
        sys.exit("messages are not acknowledged")


def send(out, *args, **kwargs):
    while True:
        try:
            return out.produce(*args, **kwargs)
        except BufferError:
            out.poll(0.1)


def cluster(brokers):
    out = Producer({"test.mock.num.brokers": int(brokers), "bootstrap.servers": "ignored", "log_level": 0})
    found = out.list_topics(timeout=PATIENCE).brokers.values()
    print(",".join(f"{broker.host}:{broker.port}" for broker in found), flush=True)
    # Ends with the test, which holds the other end.
    sys.stdin.read()


def read(settings):
    return dict(setting.split("=", 1) for setting in settings)


def create(address, topic, partitions, *settings):
    admin = AdminClient({"bootstrap.servers": address, **read(settings)})
    for result in admin.create_topics([NewTopic(topic, int(partitions), 1)]).values():
        result.result(PATIENCE)


def produce(address, topic, *settings):
    out = producer(address, **read(settings))
    for line in sys.stdin:
        message = json.loads(line)
        value = base64.b64decode(message["base64"]) if "base64" in message else message["value"]
        send(out, topic, value, key=message.get("key"), partition=message.get("partition", 0),
             headers=message.get("headers"), on_delivery=done)
        out.poll(0)
    finish(out)


def load(address, topic, partitions, count, rate):
    partitions, count, rate = int(partitions), int(count), int(rate)
    out = producer(address)
    began = time.monotonic()
    for number in range(count):
        event = {"level": "info", "message": "m", "source_module": "shop", "number": number}
        send(out, topic, json.dumps(event), key=str(number), partition=number % partitions, on_delivery=done)
        out.poll(0)
        early = began + number / rate - time.monotonic()
        if early > 0:
            out.poll(early)
    finish(out)


def committed(address, group, topic, partitions):
    consumer = Consumer({"bootstrap.servers": address, "group.id": group})
    wanted = [TopicPartition(topic, number) for number in range(int(partitions))]
    print(sum(max(found.offset, 0) for found in consumer.committed(wanted, timeout=PATIENCE)))
    consumer.close()


def frame(stream):
    return exactly(stream, struct.unpack(">i", exactly(stream, 4))[0])


def exactly(stream, length):
    read = b""
    while len(read) < length:
        piece = stream.recv(length - len(read))
        if not piece:
            raise ConnectionError("closed")
        read += piece
    return read


def answer(stream, request, content):
    content = request[4:8] + content
    stream.sendall(struct.pack(">i", len(content)) + content)


def body(request):
    """What follows the head: key, version, number and the name of the client."""
    return request[10 + struct.unpack(">h", request[8:10])[0]:]


def proven(stream, request, code, explanation, message):
    version = struct.unpack(">h", request[2:4])[0]
    lifetime = struct.pack(">q", 0) if version > 0 else b""
    answer(stream, request, struct.pack(">h", code) + explanation + struct.pack(">i", len(message)) + message + lifetime)


def text(value):
    return struct.pack(">h", len(value)) + value


def scram(digest, password, prove):
    """The server's side of RFC 5802. `prove` sends a message and returns the client's next one."""
    salt, rounds = os.urandom(16), 4096
    first = prove(None)
    bare = first.split(b",", 2)[2]
    nonce = bare.split(b"r=")[1] + base64.b64encode(os.urandom(12))
    server = b"r=" + nonce + b",s=" + base64.b64encode(salt) + b",i=" + str(rounds).encode()
    last = prove(server)
    without_proof, proof = last.rsplit(b",p=", 1)
    if without_proof != b"c=biws,r=" + nonce:
        return None
    signed = bare + b"," + server + b"," + without_proof
    salted = hashlib.pbkdf2_hmac(digest, password, salt, rounds)
    client_key = hmac.digest(salted, b"Client Key", digest)
    signature = hmac.digest(hashlib.new(digest, client_key).digest(), signed, digest)
    if bytes(a ^ b for a, b in zip(base64.b64decode(proof), signature)) != client_key:
        return None
    return b"v=" + base64.b64encode(hmac.digest(hmac.digest(salted, b"Server Key", digest), signed, digest))


def authenticated(client, broker, user, password):
    # The client first asks which versions the broker understands.
    request = frame(client)
    broker.sendall(struct.pack(">i", len(request)) + request)
    reply = frame(broker)
    client.sendall(struct.pack(">i", len(reply)) + reply)
    request = frame(client)
    mechanism = body(request)[2:].decode()
    answer(client, request, struct.pack(">hi", 0, 1) + text(mechanism.encode()))
    pending = None

    def prove(message):
        nonlocal pending
        if message is not None:
            proven(client, pending, 0, NO_TEXT, message)
        pending = frame(client)
        return body(pending)[4:]

    if mechanism == "PLAIN":
        last = b"" if prove(None) == b"\0" + user + b"\0" + password else None
    else:
        last = scram("sha" + mechanism.rsplit("-", 1)[1], password, prove)
    if last is None:
        proven(client, pending, 58, text(repr(pending).encode()), b"")
        return False
    proven(client, pending, 0, NO_TEXT, last)
    return True


def pipe(source, sink):
    try:
        while piece := source.recv(65536):
            sink.sendall(piece)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(client, context, broker_port, user, password):
    try:
        client = context.wrap_socket(client, server_side=True)
        broker = socket.create_connection(("127.0.0.1", broker_port))
        if authenticated(client, broker, user, password):
            threading.Thread(target=pipe, args=(broker, client), daemon=True).start()
            pipe(client, broker)
    except OSError as error:
        print(error, file=sys.stderr, flush=True)
    client.close()


def secure(port, broker_port, certificate, key, user, password):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", int(port)))
    while True:
        client, _ = listener.accept()
        threading.Thread(
            target=serve, args=(client, context, int(broker_port), user.encode(), password.encode()), daemon=True
        ).start()


if __name__ == "__main__":
    {"cluster": cluster, "create": create, "produce": produce, "load": load,
     "committed": committed, "secure": secure}[sys.argv[1]](*sys.argv[2:])
