// Uses `weir.js` in Chromium, in pages of http://app.example:PORT, which the router at URL lists as an allowed origin.
//
//     browser_test.mjs URL PORT PATIENCE_MS
//
// With a file `snippet.js` beside it, it only opens a page that loads that, until it has sent something.
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { chromium } from "playwright-core";

const [url, port, patience] = process.argv.slice(2);
const files = { "/": "<!doctype html><title>a page</title>", "/weir.js": readFileSync("weir.js", "utf8") };
const snippet = existsSync("snippet.js");
if (snippet) files["/snippet.js"] = readFileSync("snippet.js", "utf8");
const site = createServer((asked, answer) => {
  const type = asked.url.endsWith(".js") ? "text/javascript" : "text/html";
  answer.writeHead(files[asked.url] ? 200 : 404, { "content-type": type }).end(files[asked.url]);
});
await new Promise((listening) => site.listen(Number(port), "127.0.0.1", listening));
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--host-resolver-rules=MAP *.example 127.0.0.1"],
});
const context = await browser.newContext();
context.setDefaultTimeout(Number(patience));
const page = await context.newPage();
const said = [];
page.on("console", (message) => said.push(message.text()));

/** Opens the page, with a new client. */
async function open() {
  await page.goto(`http://app.example:${port}/`);
  await page.evaluate(async (url) => {
    const { Client } = await import("/weir.js");
    window.weir = new Client({ url, source: "shop-web" });
  }, url);
}
const leave = () => page.goto("about:blank");
const isSent = () => page.evaluate(() => weir.flush(60_000));

if (snippet) {
  await page.goto(`http://app.example:${port}/`);
  const answered = page.waitForResponse((answer) => answer.request().method() === "POST");
  await page.evaluate(() => import("/snippet.js"));
  await answered;
  await browser.close();
  site.close();
  process.exit();
}

await open();
await page.evaluate(() => weir.info("left while it waited"));
await leave();

await open();
const sending = page.waitForRequest((request) => request.method() === "POST");
await page.evaluate(() => weir.info("left while it was on its way"));
await sending;
await leave();

await open();
await context.setOffline(true);
await page.evaluate(() => weir.info("offline"));
await page.waitForEvent("console", (message) => message.text().includes("is away"));
await page.evaluate(() => weir.info("offline, too"));
await leave();
await context.setOffline(false);

await open();
if (!(await isSent())) throw new Error(`what was kept is not sent: ${said.join("\n")}`);
const kept = await page.evaluate(() => Object.keys(localStorage).filter((name) => name.startsWith("weir:")));
if (kept.length) throw new Error(`${kept} is kept although it was sent`);
await page.evaluate(() => {
  weir.info("hidden");
  Object.defineProperty(document, "visibilityState", { value: "hidden" });
  document.dispatchEvent(new Event("visibilitychange"));
  if (weir.unsent) throw new Error("it still waits");
  weir.context = { user: 7 };
  weir.captureErrors();
  setTimeout(function fail() {
    throw new TypeError("no such item");
  });
  Promise.reject(new Error("no answer"));
  Promise.reject("just text");
  document.body.append(Object.assign(new Image(), { src: "/missing.png" }));
  const strange = { big: 1n, document };
  strange.self = strange;
  weir.info("strange", strange);
});
await page.waitForFunction(() => weir.unsent === 4 || weir.unsent === 0);
if (!(await isSent())) throw new Error(`errors are not sent: ${said.join("\n")}`);
await browser.close();
site.closeAllConnections();
site.close();
