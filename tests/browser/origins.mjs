// Sends records from pages of other origins in a real browser: node origins.mjs URL PORT
//
// The pages are http://app.example:PORT, which the router lists in `allowed_origins`, and http://evil.example:PORT,
// which it does not. Prints `done` when everything that may be sent was sent.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { chromium } from "playwright-core";

const [url, port] = process.argv.slice(2);
const site = createServer((_, answer) => {
  answer.setHeader("content-type", "text/html");
  answer.end("<!doctype html><title>a page</title>");
});
await new Promise((listening) => site.listen(Number(port), "127.0.0.1", listening));
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--host-resolver-rules=MAP *.example 127.0.0.1"],
});

async function open(host) {
  const page = await browser.newPage();
  await page.goto(`http://${host}:${port}/`);
  return page;
}

/** Sends with `fetch`, and returns status and text of the answer, or the name of the error. */
const fetched = (page, path, options) =>
  page.evaluate(
    async ([target, options]) => {
      try {
        const answer = await fetch(target, options);
        return [answer.status, await answer.text()];
      } catch (error) {
        return error.name;
      }
    },
    [url + path, options],
  );

/** Sends with `sendBeacon`, and returns the status of the answer. */
async function beacon(page, kind, record) {
  const answered = page.waitForResponse((answer) => answer.request().method() === "POST");
  const queued = await page.evaluate(
    ([target, kind, record]) => {
      const json = JSON.stringify(record);
      const bodies = {
        text: () => json,
        form: () => new URLSearchParams(record),
        untyped: () => new Blob([json]),
        json: () => new Blob([json], { type: "application/json" }),
      };
      return navigator.sendBeacon(target, bodies[kind]());
    },
    [`${url}/ingest`, kind, record],
  );
  assert.equal(queued, true);
  return (await answered).status();
}

const json = (record, more = {}) => ({
  method: "POST",
  headers: { "content-type": "application/json", ...more },
  body: JSON.stringify(record),
});

try {
  const app = await open("app.example");
  const sent = await fetched(app, "/ingest", json({ message: "fetch" }, { "idempotency-key": "1", traceparent: "x" }));
  assert.deepEqual(sent, [200, '{"accepted":1}']);
  const [status, said] = await fetched(app, "/ingest", { ...json({}), body: "{" });
  assert.equal(status, 400, "a page can read why it was refused");
  assert.match(said, /JSON/);
  for (const kind of ["text", "form", "untyped", "json"]) {
    assert.equal(await beacon(app, kind, { message: `beacon ${kind}`, level: "error" }), 200, kind);
  }
  const event = { specversion: "1.0", id: "1", source: "/app", type: "page.opened" };
  const structured = { "content-type": "application/cloudevents+json" };
  assert.deepEqual(await fetched(app, "/cloudevents", json(event, structured)), [204, ""]);
  for (const path of ["/api/levels", "/api/sinks", "/", "/metrics", "/health"]) {
    assert.equal(await fetched(app, path, {}), "TypeError", `${path} can't be read`);
  }
  const evil = await open("evil.example");
  assert.equal(await fetched(evil, "/ingest", json({ message: "evil fetch" })), "TypeError");
  const simple = { method: "POST", mode: "no-cors", body: '{"message":"evil text"}' };
  assert.deepEqual(await fetched(evil, "/ingest", simple), [0, ""]);
  for (const kind of ["text", "form", "untyped"]) {
    assert.equal(await beacon(evil, kind, { message: `evil ${kind}` }), 403, kind);
  }
  console.log("done");
} catch (error) {
  console.log(`failed ${error.stack.replaceAll("\n", " ")}`);
}
await browser.close();
site.close();
