// Logs in to the page of a running router over TLS, and sees a record arrive: node tls.mjs URL TOKEN
//
// The browser accepts any certificate, as a person does who has looked at it.

import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const [url, token] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const context = await browser.newContext({ ignoreHTTPSErrors: true });
const page = await context.newPage();
const problems = [];
const asked = [];
page.on("request", (request) => asked.push(request.url()));
page.on("websocket", (socket) => asked.push(socket.url()));
page.on("pageerror", (error) => problems.push(error.stack));
page.on("console", (message) => {
  if (/Content Security Policy|Mixed Content/.test(message.text())) problems.push(message.text());
});

try {
  await page.goto(url);
  await page.fill("#login-token", token);
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => !document.querySelector("#page").inert);
  const sent = await page.evaluate(async () => {
    const record = { source: "shop", message: "sent over TLS" };
    const headers = { "Content-Type": "application/json" };
    return (await fetch("/ingest", { method: "POST", headers, body: JSON.stringify(record) })).status;
  });
  assert.equal(sent, 200);
  await page.waitForFunction(() => document.body.innerText.includes("sent over TLS"));
  const cookies = await context.cookies();
  assert.deepEqual(cookies.map(({ name, secure, httpOnly }) => [name, secure, httpOnly]), [["weir_session", true, true]]);
  const open = asked.filter((address) => !/^(https|wss):/.test(address));
  assert.deepEqual(open, [], "nothing is asked for without TLS");
  assert.deepEqual(problems, []);
  console.log("done");
} catch (error) {
  console.log(`failed ${error.stack.replaceAll("\n", " | ")}`);
} finally {
  await browser.close();
  process.exit();
}
