// Prints records as they arrive, over a WebSocket.
//
//     npm install ws
//     node watch.mjs "ws://127.0.0.1:8080/api/tail?query=level>=WARN"

import WebSocket from "ws";

const stream = new WebSocket(process.argv[2] ?? "ws://127.0.0.1:8080/api/tail");
stream.on("message", (message) => {
  const e = JSON.parse(message);
  console.log(e.timestamp, e.service_name, e.content);
});
stream.on("error", (error) => console.error(error.message));
stream.on("close", (code, reason) => console.error(`closed: ${code} ${reason}`));
