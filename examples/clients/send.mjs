// Sends records to Weir from JavaScript, using only `fetch` (Node 18 or a browser on the same origin).
//
//     node send.mjs [http://127.0.0.1:8080/ingest]

const url = process.argv[2] ?? "http://127.0.0.1:8080/ingest";

/** Sends records and resolves once they are durable. Retry later after a 503. */
export async function send(records) {
  for (let attempt = 0; ; attempt++) {
    const answer = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(records),
    });
    if (answer.status !== 503 || attempt === 5) {
      if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
      return answer.json();
    }
    const seconds = Number(answer.headers.get("Retry-After") ?? 1);
    await new Promise((done) => setTimeout(done, seconds * 1000));
  }
}

const result = await send([
  { level: "info", source: "web", message: "page viewed", context: { user: { email: "alice@example.com" } } },
  { level: 50, source: "web", msg: "pino's error level is a number", time: Date.now() },
]);
console.log(result);
