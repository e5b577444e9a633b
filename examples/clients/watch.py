"""Prints records as they arrive, over a WebSocket.

    pip install websockets
    python watch.py "ws://127.0.0.1:8080/api/tail?query=level>=WARN"
"""

import asyncio
import json
import sys

import websockets


async def main(url):
    async for stream in websockets.connect(url):  # connects again when the connection is lost
        try:
            async for message in stream:
                e = json.loads(message)
                print(e["timestamp"], e["service_name"], e["content"], flush=True)
        except websockets.ConnectionClosed:
            continue


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8080/api/tail"))
