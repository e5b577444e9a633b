// Prints records as they arrive, as server-sent events. After a lost connection it continues where it was.
//
//     npm install eventsource
//     node watch_events.mjs "http://127.0.0.1:8080/api/tail?query=level>=WARN"

import { EventSource } from "eventsource";

const stream = new EventSource(process.argv[2] ?? "http://127.0.0.1:8080/api/tail");
stream.onmessage = (message) => {
  const e = JSON.parse(message.data);
  console.log(e.timestamp, e.service_name, e.content);
};
for (const kind of ["gap", "skipped", "reset"]) {
  stream.addEventListener(kind, (message) => console.error(JSON.parse(message.data).content));
}
