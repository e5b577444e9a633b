// Logs with `weir.js` in Chromium as it is told on standard input; `tests/e2e/small_clients/driver.rs` describes how.
//
//     browser_driver.mjs URL CAPACITY TIMEOUT_S DEADLINE_S
//
// The page's own server passes its records on to URL. Where that leads nowhere, it closes the connection.
import { readFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [url, capacity, timeout, deadline] = process.argv.slice(2);
const files = { "/": "<!doctype html><title>a page</title>", "/weir.js": readFileSync("weir.js", "utf8") };
const site = createServer((asked, answer) => {
  if (asked.method === "GET") {
    const type = asked.url.endsWith(".js") ? "text/javascript" : "text/html";
    return answer.writeHead(files[asked.url] ? 200 : 404, { "content-type": type }).end(files[asked.url]);
  }
  const { host, ...headers } = asked.headers;
  const passedOn = request(url + asked.url, { method: asked.method, headers, agent: false }, (from) => {
    answer.writeHead(from.statusCode, from.headers);
    from.pipe(answer);
  });
  passedOn.on("error", () => asked.socket.destroy());
  answer.on("close", () => passedOn.destroy());
  asked.pipe(passedOn);
});
await new Promise((listening) => site.listen(0, "127.0.0.1", listening));
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const page = await browser.newPage();
page.on("console", (said) => said.type() === "warning" && process.stderr.write(`${said.text()}\n`));
page.on("pageerror", (error) => process.stderr.write(`${error.stack}\n`));
await page.goto(`http://127.0.0.1:${site.address().port}/`);
await page.evaluate(
  async ([token, capacity, timeoutMs]) => {
    const { Client } = await import("/weir.js");
    window.weir = new Client({ token, source: "driver", capacity, timeoutMs, print: true });
  },
  [process.env.WEIR_TOKEN, Number(capacity), timeout * 1000],
);
for await (const line of createInterface({ input: process.stdin })) {
  const [, prefix, count] = line.split(" ");
  const lost = await page.evaluate(
    ([prefix, count]) => {
      for (let number = 0; number < count; number++) weir.info("record", { id: `${prefix}-${number}` });
      return weir.lost;
    },
    [prefix, Number(count)],
  );
  console.log(`lost ${lost}`);
}
const lost = await page.evaluate(async (ms) => (await weir.close(ms), weir.lost), deadline * 1000);
await browser.close();
site.closeAllConnections();
site.close();
console.log(`lost ${lost}`);
