// Logs in to the page of a running router as a person does, and attacks it as a page of another site would, in a real
// browser: node login.mjs URL TOKENS
//
// TOKENS is a JSON object with the tokens `admin`, `alice` (role `read`), `shopper` (role `read`, only the source
// `shop`) and `sender` (role `ingest`). The router has a filter `level` and a sink.
//
// Each step waits for what must happen, and throws when it does not. To revoke a token or restart the router, the script
// prints `revoke NAME` or `restart` and waits for a line on standard input.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const url = process.argv[2];
const tokens = JSON.parse(process.argv[3]);
const axe = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const WIDE = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--host-resolver-rules=MAP evil.example 127.0.0.1"],
});
const problems = [];

/** Opens the page. `page.asked` has the addresses that it asks for. */
async function open(path, { context, ...options } = {}) {
  context ??= await browser.newContext({ viewport: WIDE, colorScheme: "dark", ...options });
  const page = await context.newPage();
  page.asked = [];
  page.on("request", (request) => page.asked.push(request.url()));
  page.on("websocket", (socket) => page.asked.push(socket.url()));
  page.on("pageerror", (error) => problems.push(error.stack));
  page.on("console", (message) => {
    if (/Content Security Policy/.test(message.text())) problems.push(message.text());
  });
  await page.goto(url + path);
  return page;
}

const loginShows = (page) => page.waitForSelector("#login-token");
const pageShows = (page) => page.waitForFunction(() => !document.querySelector("#page").inert);

async function logIn(page, name) {
  await loginShows(page);
  await page.fill("#login-token", tokens[name]);
  await page.keyboard.press("Enter");
}

async function openAs(name, path, options) {
  const page = await open(path, options);
  await logIn(page, name);
  await pageShows(page);
  return page;
}

/** A request with a token, as a program sends it. */
const ask = (name, path, { method = "GET", body } = {}) => fetch(url + path, {
  method,
  headers: { authorization: `Bearer ${tokens[name]}`, "content-type": "application/json" },
  body: body && JSON.stringify(body),
});

async function send(...records) {
  assert.equal((await ask("sender", "/ingest", { method: "POST", body: records })).status, 200);
}

async function told(request) {
  console.log(request);
  await answers.next();
}

/** Waits until the text of an element fits. */
const shows = (page, selector, pattern) =>
  page.waitForFunction(
    ([selector, source]) => new RegExp(source).test(document.querySelector(selector)?.textContent ?? ""),
    [selector, pattern.source],
  );

/** How many elements there are of each kind that only an admin may use. */
async function controls(page) {
  const found = {};
  const counted = async (name, selector) => { found[name] = await page.locator(selector).count(); };
  const go = async (view, ready) => {
    await page.click(`#tab-${view}`);
    await page.waitForSelector(ready);
  };
  await counted("the tab", "#tab-quarantine");
  await go("pipeline", ".node-filter[data-name=level]");
  await counted("the hint", ".flow-hint:not([hidden])");
  await page.click(".node-filter[data-name=level]");
  await page.waitForSelector("#record .digest");
  await counted("trying a module", "#record input[type=file]");
  await counted("a filter's quarantine", "#record >> text=Its quarantine");
  await page.click(".node-sink");
  await shows(page, "#record", /waiting.*frame/);
  await counted("a sink's quarantine", "#record >> text=Its quarantine");
  await page.keyboard.press("Escape");
  const data = await page.evaluateHandle(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(["no module"], "level.wasm"));
    return transfer;
  });
  await page.dispatchEvent(".node-filter[data-name=level]", "drop", { dataTransfer: data });
  await counted("dropping a module", ".try:not([hidden])");
  await go("levels", ".levels-table tbody tr");
  await counted("setting a level", ".levels select");
  await counted("adding a level", ".level-add");
  await page.click("#tab-live");
  await page.keyboard.press("?");
  await counted("the help", "dialog >> text=Quarantine");
  await page.keyboard.press("Escape");
  return found;
}

/** What a page can do with a router that is at `base`: whether it could read, and what it tried to change. */
const attack = async (base) => {
  const outcome = async (request) => {
    try {
      return (await request()).ok;
    } catch {
      return false;
    }
  };
  const json = { "content-type": "application/json" };
  const asked = (method, path, body, more) => () =>
    fetch(base + path, { method, credentials: "include", body: body && JSON.stringify(body), headers: body && json, ...more });
  const could = {
    "read records": await outcome(asked("GET", "/api/logs")),
    "read who it is": await outcome(asked("GET", "/api/session")),
    "set a level": await outcome(asked("PATCH", "/api/levels", { levels: { attacked: "ERROR" } })),
    "get a ticket": await outcome(asked("POST", "/api/ticket", {})),
    "watch": await new Promise((resolve) => {
      const socket = new WebSocket(`${base.replace(/^http/, "ws")}/api/tail?backlog=10`);
      socket.onopen = () => resolve(true);
      socket.onerror = () => resolve(false);
    }),
    "watch events": await new Promise((resolve) => {
      const events = new EventSource(`${base}/api/tail?backlog=10`, { withCredentials: true });
      events.onopen = () => resolve(true);
      events.onerror = () => { events.close(); resolve(false); };
    }),
  };
  // A page doesn't get the answers to these, so what they changed has to be asked elsewhere.
  const blind = (method, path, body) => outcome(asked(method, path, body, { mode: "no-cors", headers: { "content-type": "text/plain" } }));
  await blind("POST", "/api/quarantine/delete", { all: true });
  await blind("POST", "/api/session", { token: "weir_x" });
  await blind("POST", "/ingest", [{ source: "attacked", level: "ERROR", message: "attacked" }]);
  return could;
};

const steps = {
  async "without a session, there is the login view and nothing else"() {
    const page = await open("/?view=pipeline");
    await loginShows(page);
    assert.equal(await page.evaluate(() => document.activeElement.id), "login-token");
    assert.equal(await page.locator("#tabs").isVisible(), false);
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press("2");
    await page.keyboard.press("?");
    assert.equal(await page.locator("dialog[open]").count(), 0);
    assert.match(page.url(), /view=pipeline/);
    assert.deepEqual(page.asked.filter((address) => /\/api\//.test(address)), [`${url}/api/session`]);
    await page.context().close();
  },

  async "a wrong token, none, and one that can't read are explained"() {
    const page = await open("/");
    await loginShows(page);
    await page.click("#login >> text=Log in >> nth=-1");
    await shows(page, "#login-error", /Paste or type a token/);
    await page.fill("#login-token", "weir_wrong");
    await page.keyboard.press("Enter");
    await shows(page, "#login-error", /not known, or it was revoked/);
    assert.equal(await page.getAttribute("#login-token", "aria-invalid"), "true");
    await logIn(page, "sender");
    await shows(page, "#login-error", /sender may send records, but not read them/);
    assert.deepEqual(await page.context().cookies(), []);
    await page.context().close();
  },

  async "after logging in, the page goes on where its address says, and nothing holds the token"() {
    await send({ source: "shop", message: "an order" });
    const page = await openAs("admin", "/?view=search&q=%22an+order%22");
    await shows(page, "#list", /an order/);
    assert.equal(await page.inputValue("#query"), '"an order"');
    await page.click("#tab-live");
    await shows(page, "#connection-words", /live/);
    await shows(page, "#caller-name", /^admin$/);
    await page.click("#caller-name");
    await shows(page, "#caller-facts", /admin: everything/);
    assert.equal(await page.locator("#caller-facts").isVisible(), true);
    await page.keyboard.press("Escape");
    await page.waitForSelector("#caller-facts", { state: "hidden" });
    const held = await page.evaluate(() => [document.documentElement.outerHTML, ...[...document.querySelectorAll("input")].map((input) => input.value),
      JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.cookie, JSON.stringify(history.state)]);
    for (const text of [...held, ...page.asked]) assert.ok(!text.includes(tokens.admin), text);
    assert.ok(page.asked.some((address) => /^ws.*ticket=weir_/.test(address)), "the stream is opened with a ticket");
    const [cookie] = await page.context().cookies();
    assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.value === tokens.admin], [true, "Strict", false]);
    await page.reload();
    await pageShows(page);
    await page.context().close();
  },

  async "a reader sees nothing that only an admin may use, and the router refuses it"() {
    const admin = await openAs("admin", "/");
    for (const [name, number] of Object.entries(await controls(admin))) assert.ok(number > 0, `admin: ${name}`);
    await admin.context().close();
    const page = await openAs("alice", "/?view=quarantine");
    await page.waitForFunction(() => document.body.dataset.view === "live");
    for (const [name, number] of Object.entries(await controls(page))) assert.equal(number, 0, `reader: ${name}`);
    await page.keyboard.press("4");
    await page.waitForFunction(() => document.body.dataset.view === "levels");
    const statuses = await page.evaluate(async () => {
      const asked = async (method, path, type = "application/json") =>
        (await fetch(path, { method, headers: { "content-type": type }, body: method === "GET" ? undefined : "{}" })).status;
      return [await asked("GET", "/api/quarantine"), await asked("PATCH", "/api/levels"), await asked("POST", "/api/quarantine/delete"),
        await asked("POST", "/api/quarantine/replay"), await asked("POST", "/api/filters/level/try", "application/wasm"),
        await asked("POST", "/api/filters/level/swap"), await asked("POST", "/api/filters/level/rollback"), await asked("GET", "/api/logs")];
    });
    assert.deepEqual(statuses, [403, 403, 403, 403, 403, 403, 403, 200]);
    await page.context().close();
  },

  async "a reader of one source sees only its records"() {
    const page = await openAs("shopper", "/");
    await shows(page, "#connection-words", /live/);
    await send({ source: "billing", message: "an invoice" }, { source: "shop", message: "another order" });
    await shows(page, "#list", /another order/);
    await shows(page, "#facets", /source.*shop/);
    await shows(page, "#foot-state", /live · \d+ match/);
    assert.doesNotMatch(await page.textContent("body"), /invoice|billing/);
    await page.click("#caller-name");
    await shows(page, "#caller-facts", /only shop/);
    await page.keyboard.press("Escape");
    const admin = await openAs("admin", "/?view=search");
    await shows(admin, "#list", /an invoice/);
    await admin.context().close();
    await page.click("#tab-search");
    await shows(page, "#list", /another order/);
    await shows(page, "#foot-state", /shown/);
    assert.doesNotMatch(await page.textContent("body"), /invoice|billing/);
    await page.fill("#query", "source:billing");
    await page.keyboard.press("Escape");
    await page.press("#query", "Enter");
    await shows(page, "#notice", /No record matches/);
    await page.context().close();
  },

  async "logging out ends the session, also for the other pages of the browser"() {
    const page = await openAs("alice", "/");
    const other = await open("/?view=search", { context: page.context() });
    await pageShows(other);
    await page.click("header .log-out >> nth=0");
    await loginShows(page);
    await loginShows(other);
    assert.equal(await page.evaluate(async () => (await fetch("/api/logs")).status), 401);
    assert.doesNotMatch(await page.textContent("body"), /an order/);
    await logIn(other, "alice");
    await pageShows(other);
    await pageShows(page);
    await page.context().close();
  },

  async "a revoked token ends the stream, and somebody else can log in"() {
    const page = await openAs("alice", "/");
    await shows(page, "#connection-words", /live/);
    const ended = new Promise((resolve) => page.on("websocket", resolve));
    await page.reload();
    const socket = await ended;
    await shows(page, "#connection-words", /live/);
    const closed = socket.isClosed() ? Promise.resolve() : socket.waitForEvent("close", { timeout: 60000 });
    await told("revoke alice");
    const begin = Date.now();
    await closed;
    await loginShows(page);
    console.log(`# the login view shows ${Date.now() - begin} ms after the token was revoked`);
    await shows(page, "#login", /The session is over/);
    assert.equal(await page.locator("#list").isVisible(), false);
    await logIn(page, "alice");
    await shows(page, "#login-error", /not known, or it was revoked/);
    await logIn(page, "admin");
    await shows(page, "#caller-name", /^admin$/);
    await page.context().close();
  },

  async "after a restart of the router, logging in goes on in place"() {
    const page = await openAs("admin", "/");
    await send({ source: "shop", message: "before the restart" });
    await shows(page, "#list", /before the restart/);
    await page.click("#list >> text=before the restart");
    await shows(page, "#record", /before the restart/);
    await page.evaluate(() => { window.isTheSame = true; });
    await told("restart");
    await logIn(page, "admin");
    await pageShows(page);
    await send({ source: "shop", message: "after the restart" });
    await shows(page, "#new-pill", /new/);
    await shows(page, "#record", /before the restart/);
    await shows(page, "#list", /before the restart/);
    await page.keyboard.press("g");
    await shows(page, "#list", /after the restart/);
    assert.equal(await page.evaluate(() => window.isTheSame), true);
    await page.context().close();
  },

  async "a page of another site can neither read nor change anything"() {
    const malformed = await ask("sender", "/ingest", { method: "POST", body: ["malformed"] });
    assert.equal((await malformed.json()).quarantined, 1);
    // What was sent before is stored once a later record is.
    const state = async () => {
      const marker = `marker ${Date.now()}`;
      await send({ source: "shop", message: marker });
      const found = async (query) => (await (await ask("admin", `/api/logs?query=${encodeURIComponent(query)}`)).json()).logs.length;
      while (await found(`"${marker}"`) === 0) await new Promise((done) => setTimeout(done, 50));
      const { levels } = await (await ask("admin", "/api/levels")).json();
      const { total } = await (await ask("admin", "/api/quarantine")).json();
      return { levels, total, attacked: await found("attacked") };
    };
    const page = await openAs("admin", "/");
    const context = page.context();
    const own = await page.evaluate(attack, url);
    assert.deepEqual(Object.values(own).filter((could) => !could), [], "the page itself can do all of it");
    assert.deepEqual(await state(), { levels: { attacked: "ERROR" }, total: 1, attacked: 1 });
    await ask("admin", "/api/levels", { method: "PATCH", body: { levels: { attacked: null } } });
    const before = await state();

    const site = createServer((request, answer) => {
      answer.setHeader("content-type", "text/html");
      // Enough of a body in JSON, with the type text/plain, which browsers send without asking.
      answer.end(`<form method="post" enctype="text/plain" action="${url}/api/quarantine/delete"><input name='{"all":true,"x":"' value='"}'></form>`);
    });
    await new Promise((ready) => site.listen(0, "127.0.0.1", ready));
    const { port } = site.address();
    const routerPort = new URL(url).port;
    // The second shares the router's cookies, which have no port. The third has a name that is made to lead to the router.
    for (const origin of [`http://evil.example:${port}`, `http://127.0.0.1:${port}`, `http://evil.example:${routerPort}`]) {
      const evil = await context.newPage();
      const isRebound = origin.endsWith(`:${routerPort}`);
      if (isRebound) {
        const refused = await evil.goto(origin);
        assert.equal(refused.status(), 403);
        await evil.route(`${origin}/loaded-before`, (route) => route.fulfill({ contentType: "text/html", body: "<p>evil" }));
      }
      await evil.goto(isRebound ? `${origin}/loaded-before` : origin);
      for (const base of isRebound ? [origin, url] : [url]) {
        const could = await evil.evaluate(attack, base);
        assert.deepEqual(Object.entries(could).filter(([, could]) => could), [], `${origin} to ${base}`);
      }
      if (!isRebound) {
        const [answer] = await Promise.all([evil.waitForNavigation(), evil.evaluate(() => document.forms[0].submit())]);
        assert.equal(answer.status(), 403, `the form of ${origin}`);
      }
      await evil.close();
      assert.deepEqual(await state(), before, origin);
    }
    site.close();
    assert.equal(await page.evaluate(async () => (await fetch("/api/logs")).status), 200, "the session goes on");
    await ask("admin", "/api/quarantine/delete", { method: "POST", body: { all: true } });
    assert.equal((await state()).total, 0);
    await context.close();
  },

  async "the login view and the header have no serious violation of accessibility"() {
    for (const colorScheme of ["dark", "light"]) {
      for (const viewport of [WIDE, PHONE]) {
        // The check itself is a script that the page's policy would refuse.
        const page = await open("/", { colorScheme, viewport, bypassCSP: true });
        const check = async (what) => {
          await page.evaluate(axe);
          const { violations } = await page.evaluate(() => window.axe.run(document));
          const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
          assert.deepEqual(serious.map(({ id, nodes }) => `${id}: ${nodes[0].html}`), [], `${what}, ${colorScheme}, ${viewport.width} px`);
          const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(overflow <= 0, `${what} is ${overflow} px too wide`);
        };
        await loginShows(page);
        await check("login");
        await page.fill("#login-token", "weir_wrong");
        await page.keyboard.press("Enter");
        await shows(page, "#login-error", /not known/);
        await check("a wrong token");
        await logIn(page, "admin");
        await pageShows(page);
        await page.click("#caller-name");
        await page.waitForSelector("#caller-facts:popover-open");
        await check("who is logged in");
        await page.context().close();
      }
    }
  },
};

try {
  for (const [name, step] of Object.entries(steps)) {
    await step();
    assert.deepEqual(problems, [], name);
    console.log(`ok ${name}`);
  }
  console.log("done");
} catch (error) {
  console.log(`failed ${error.stack.replaceAll("\n", " | ")}`);
} finally {
  await browser.close();
  process.exit();
}
