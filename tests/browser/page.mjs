// Uses the page of a running router as a person does, in a real browser: node page.mjs URL MODULE
//
// The router has a filter `level`, a sink, a source that reads `app.log` beside this script, and
// one that fails; MODULE is the path of another version of that filter,
// which changes every record.
//
// Each step waits for what must happen, and throws when it does not. For a restart of the router, the script prints a
// line and waits for one on standard input.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [url, modulePath] = process.argv.slice(2);
const axe = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const WIDE = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const problems = [];

async function open(path, options = {}) {
  const context = await browser.newContext({ viewport: WIDE, colorScheme: "dark", ...options });
  const page = await context.newPage();
  page.on("pageerror", (error) => problems.push(error.stack));
  page.on("console", (message) => {
    if (/Content Security Policy/.test(message.text())) problems.push(message.text());
  });
  await page.goto(url + path);
  // It takes keys once it knows who uses it.
  await page.waitForSelector("#tabs a");
  return page;
}

async function send(...records) {
  const answer = await fetch(`${url}/ingest`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(records),
  });
  assert.equal(answer.status, 200);
}

/** Waits until the text of an element fits. */
const shows = (page, selector, pattern) =>
  page.waitForFunction(
    ([selector, source]) => new RegExp(source).test(document.querySelector(selector)?.textContent ?? ""),
    [selector, pattern.source],
  );

/** Drops a file with these bytes on an element, as from the desktop. */
async function drop(page, selector, name, bytes) {
  const data = await page.evaluateHandle(([name, base64]) => {
    const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], name, { type: "application/wasm" }));
    return transfer;
  }, [name, Buffer.from(bytes).toString("base64")]);
  await page.dispatchEvent(selector, "dragover", { dataTransfer: data });
  await page.dispatchEvent(selector, "drop", { dataTransfer: data });
}

const levels = async () => (await fetch(`${url}/api/levels`)).json();

const query = (page) => page.inputValue("#query");
const visibleLines = (page) =>
  page.$$eval(".line", (lines) => lines.filter((line) => !line.hidden).map((line) => line.textContent));
const scrolled = (page) => page.$eval("#list", (list) => list.scrollTop);

const steps = {
  async "an empty page teaches, and a record appears at once"() {
    const page = await open("/");
    await shows(page, "#notice", /curl .*\/ingest/);
    const sent = Date.now();
    await send({ source: "shop", level: "ERROR", message: "the first record", context: { user_id: 7 } });
    await shows(page, "#list", /the first record/);
    console.log(`# a record is visible ${Date.now() - sent} ms after it was sent`);
    await page.context().close();
  },

  async "a click on a level filters, and the address says so"() {
    const page = await open("/");
    await send({ source: "shop", level: "INFO", message: "nothing special" }, { source: "shop", level: "ERROR", message: "broken" });
    await shows(page, "#list", /nothing special/);
    await page.click(".facet.level-ERROR");
    await page.waitForFunction(() => document.querySelector("#query").value === "level:ERROR");
    await page.waitForFunction(() => !/nothing special/.test(document.querySelector("#list").textContent));
    await shows(page, "#list", /broken/);
    assert.match(page.url(), /level/);
    const copy = await open(page.url().slice(url.length));
    await shows(copy, "#list", /broken/);
    assert.equal(await query(copy), "level:ERROR");
    await copy.context().close();
    await page.context().close();
  },

  async "a mistake in the query is shown where it is"() {
    const page = await open("/");
    await page.fill("#query", "level>=LOUD");
    await page.keyboard.press("Escape");
    await page.press("#query", "Enter");
    await shows(page, "#query-error", /[Cc]olumn 8/);
    await page.context().close();
  },

  async "an open record has its fields, and a click on a value filters for it"() {
    const page = await open("/");
    await send({ source: "shop", message: "look into me", context: { user_id: 42 }, metadata: { attempts: 3 } });
    await shows(page, "#list", /look into me/);
    await page.focus("#list");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await shows(page, "#record", /look into me/);
    await shows(page, "#record", /user_id/);
    await page.click('#record >> text="42"');
    await page.waitForFunction(() => /context\.user_id[:=]42/.test(document.querySelector("#query").value));
    await page.context().close();
  },

  async "text of records is never markup"() {
    const page = await open("/");
    const hostile = '<img src=x onerror="document.title=1"><script>document.title=2</script>\u202Egnp.exe\u0000';
    await send({ source: hostile, message: hostile, context: { [hostile]: hostile } });
    await shows(page, "#list", /<img src=x/);
    await page.focus("#list");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await shows(page, "#record", /onerror/);
    assert.equal(await page.$$eval("main img, #list script, #record script", (found) => found.length), 0);
    assert.doesNotMatch(await page.title(), /^[12]$/);
    await page.context().close();
  },

  async "the list stands still under the reader, and one key resumes"() {
    const page = await open("/");
    await send(...Array.from({ length: 300 }, (_, n) => ({ source: "shop", message: `line ${n}` })));
    await shows(page, "#list", /line 299/);
    await page.hover("#list");
    await page.mouse.wheel(0, 600);
    await page.waitForFunction(() => document.querySelector("#list").scrollTop === 600);
    const before = [await scrolled(page), (await visibleLines(page)).join("\n")];
    await send(...Array.from({ length: 412 }, (_, n) => ({ source: "shop", message: `more ${n}` })));
    await shows(page, "#new-pill", /412 new/);
    assert.deepEqual([await scrolled(page), (await visibleLines(page)).join("\n")], before);
    await page.keyboard.press("g");
    await shows(page, "#list", /more 411/);
    await page.context().close();
  },

  async "search finds what was stored, and a drag over the histogram chooses a time"() {
    const page = await open("/?view=search");
    await shows(page, "#list", /look into me|more 411/);
    await page.fill("#query", '"look into me"');
    await page.keyboard.press("Escape");
    await page.press("#query", "Enter");
    await page.waitForFunction(() => document.querySelectorAll("#list .line:not([hidden])").length === 1);
    await shows(page, "#list", /look into me/);
    await page.fill("#query", "");
    await page.keyboard.press("Escape");
    await page.press("#query", "Enter");
    await shows(page, "#list", /more 411/);
    await shows(page, "#histogram-at", /drag to choose/);
    const box = await page.locator("#histogram-bars").boundingBox();
    await page.mouse.move(box.x + box.width * 0.25, box.y + 20);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.75, box.y + 20, { steps: 5 });
    await page.mouse.up();
    await page.waitForFunction(() => /since:.* until:/.test(document.querySelector("#query").value));
    await page.context().close();
  },

  async "a link to a record opens it where no other record arrives, and so does going back"() {
    const { logs } = await (await fetch(`${url}/api/logs?query=${encodeURIComponent('"look into me"')}`)).json();
    const page = await open(`/?q=nothing_has_this&open=${logs[0].entry_id}`);
    await shows(page, "#record", /look into me/);
    await page.keyboard.press("2");
    await page.waitForSelector("#record", { state: "hidden" });
    await page.goBack();
    await shows(page, "#record", /look into me/);
    await page.context().close();
  },

  async "saving and removing a query leaves the focus in the dialog"() {
    const page = await open("/?q=saved_here");
    const focused = (text) => page.waitForFunction((text) => document.activeElement.closest("dialog") && document.activeElement.textContent === text, text);
    await page.click("#query-tools >> text=Saved");
    await page.click("dialog >> text=Save saved_here");
    await focused("Close");
    await page.click("dialog >> text=remove");
    await shows(page, "dialog", /None yet/);
    await focused("Close");
    await page.context().close();
  },

  async "the lines around a record can be seen, also from the live view"() {
    const page = await open("/?q=%22look+into+me%22");
    await shows(page, "#list", /look into me/);
    await page.focus("#list");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.click("text=Lines around it");
    await shows(page, "#list", /line 0/);
    await shows(page, "#list", /look into me/);
    await page.context().close();
  },

  async "the pipeline shows a source, a filter and a sink, and each opens"() {
    const page = await open("/?view=pipeline");
    writeFileSync(new URL("app.log", import.meta.url), "the first line\nthe second line\n");
    await page.waitForSelector(".node-source:has-text('total 2')");
    const sources = await page.$$eval(".node-source", (nodes) => nodes.map((node) => node.textContent));
    assert.equal(sources.filter((text) => /^weirfilerunning.*total 2/.test(text)).length, 1, String(sources));
    assert.equal(sources.filter((text) => /^weirrecords.*rejected/.test(text)).length, 1, String(sources));
    await shows(page, ".node-source[data-name=jobs]", /redisfailed, retrying.*127\.0\.0\.1:1/);
    await shows(page, ".node-filter[data-name=level]", /in.*\/s.*ok|ok.*in.*\/s/);
    await shows(page, ".node-sink", /lag.*errors/);
    await page.waitForFunction(() => document.querySelectorAll(".flow-line").length >= 3);
    await page.click(".node-filter[data-name=level]");
    await shows(page, "#record", /a record takes.*since the start/);
    await shows(page, "#record", /digest[0-9a-f]{64}/);
    assert.match(page.url(), /open=filter/);
    await page.keyboard.press("Escape");
    await page.waitForSelector("#record", { state: "hidden" });
    await page.focus(".node-sink");
    await page.keyboard.press("Enter");
    await shows(page, "#record", /waiting.*frame/);
    await page.context().close();
  },

  async "a module dropped on a filter is tried, swapped in and rolled back"() {
    const page = await open("/?view=pipeline&open=filter:level");
    const digest = () => page.$eval("#record .digest", (node) => node.textContent);
    await page.waitForSelector("#record .digest");
    const before = await digest();
    await drop(page, ".node-filter[data-name=level]", "level.wasm", readFileSync(modulePath));
    await shows(page, ".try-summary", /of [\d,]+ recent records? came out the same/);
    await page.waitForSelector(".differences > li");
    await page.click("text=Swap in");
    await shows(page, ".stage-note", /^level .* runs now, instead of/);
    await page.waitForFunction((old) => document.querySelector("#record .digest")?.textContent.match(/^(?!$)/) && document.querySelector("#record .digest").textContent !== old, before);
    await page.click(".stage-note >> text=Roll back");
    await shows(page, ".stage-note", /^level is rolled back: /);
    await page.waitForFunction((old) => document.querySelector("#record .digest")?.textContent === old, before);
    await page.context().close();
  },

  async "a module that can't run says why, and a file for no filter is refused"() {
    const page = await open("/?view=pipeline");
    await page.waitForSelector(".node-filter[data-name=level]");
    await drop(page, ".node-filter[data-name=level]", "level.wasm", Buffer.from("no module"));
    await shows(page, ".try", /level\.wasm can't run as level/);
    await page.keyboard.press("Escape");
    await page.waitForSelector(".flow");
    await drop(page, "#stage", "unknown.wasm", Buffer.from("no module"));
    await shows(page, ".stage-note", /Drop unknown\.wasm on the filter/);
    await page.context().close();
  },

  async "a minimum level is set for a while, made lasting and removed"() {
    const page = await open("/?view=levels");
    await shows(page, ".levels-table", /All others/);
    await page.fill(".level-add input", "noisy");
    await page.selectOption(".level-add select[aria-label='Minimum level']", "ERROR");
    await page.selectOption(".level-add select[aria-label='How long']", "10m");
    await page.click("text=Add a source");
    await shows(page, "tr[data-source=noisy]", /9 min left|10 min left/);
    const { below_level: before } = await levels();
    await send({ source: "noisy", level: "INFO", message: "below the minimum" });
    assert.equal((await levels()).below_level, before + 1);
    await page.selectOption("tr[data-source=noisy] select >> nth=1", { label: "always" });
    await page.waitForFunction(() => document.querySelector("tr[data-source=noisy] .level-left")?.textContent === "");
    await page.click("tr[data-source=noisy] >> text=Remove");
    await page.waitForSelector("tr[data-source=noisy]", { state: "detached" });
    assert.equal((await levels()).levels.noisy, undefined);
    await page.context().close();
  },

  async "a malformed record is in quarantine, where it can be read and deleted"() {
    const answer = await fetch(`${url}/ingest`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '[{"source":"shop","message":"a record"},"<b>malformed</b>"]',
    });
    assert.equal((await answer.json()).quarantined, 1);
    const page = await open("/?view=quarantine");
    await shows(page, ".entries", /malformed/);
    await page.focus(".entry");
    await page.keyboard.press("Enter");
    await shows(page, "#record", /<b>malformed<\/b>/);
    assert.equal(await page.$$eval("#stage b, #record b", (found) => found.length), 0);
    await page.click("#record >> text=Delete");
    await page.click("dialog .primary");
    await shows(page, ".stage-note", /1 record deleted/);
    await page.context().close();
  },

  async "what was wrong with the quarantine is said until it is read again"() {
    const page = await open("/");
    await page.route("**/api/quarantine?*", (route) => route.abort());
    await page.keyboard.press("4");
    await shows(page, ".stage-note", /The router doesn't answer/);
    await page.unroute("**/api/quarantine?*");
    await page.click(".stage-note >> text=Try again");
    await page.waitForSelector(".stage-note", { state: "hidden" });
    await page.context().close();
  },

  async "the keys 1 to 5 switch views"() {
    const page = await open("/");
    for (const [key, view] of [["3", "pipeline"], ["4", "quarantine"], ["5", "levels"], ["2", "search"], ["1", "live"]]) {
      await page.keyboard.press(key);
      await page.waitForFunction((view) => document.body.dataset.view === view, view);
    }
    await page.context().close();
  },

  async "a pause ends when the view is left"() {
    const page = await open("/");
    await page.keyboard.press(" ");
    await page.waitForSelector("button[aria-pressed=true]:has-text('Go on')");
    await page.keyboard.press("2");
    await page.keyboard.press("1");
    await page.waitForSelector("button[aria-pressed=false]:has-text('Pause')");
    await send({ source: "shop", message: "after the pause" });
    await shows(page, "#list", /after the pause/);
    await page.context().close();
  },

  async "the page recovers when the router restarts"() {
    const page = await open("/");
    await shows(page, "#connection-words", /live/);
    console.log("restart");
    await answers.next();
    await shows(page, "#connection-words", /live/);
    await send({ source: "shop", message: "after the restart" });
    await shows(page, "#list", /after the restart/);
    await page.context().close();
  },

  async "no view has a serious violation of accessibility"() {
    const openFirst = async (page) => {
      await page.waitForSelector("#list .line:not([hidden])");
      await page.focus("#list");
      await page.keyboard.press("j");
      await page.keyboard.press("Enter");
      await page.waitForSelector("#record:visible");
    };
    const views = [
      ["live", "/", WIDE],
      ["a record", "/", WIDE, openFirst],
      ["search", "/?view=search", WIDE],
      ["a wrong query", "/?q=level%3E%3DLOUD", WIDE],
      ["help", "/", WIDE, (page) => page.keyboard.press("?")],
      ["pipeline", "/?view=pipeline", WIDE, (page) => page.waitForSelector(".node-sink")],
      ["a filter", "/?view=pipeline&open=filter:level", WIDE, (page) => page.waitForSelector("#record .digest")],
      ["quarantine", "/?view=quarantine", WIDE],
      ["levels", "/?view=levels", WIDE, (page) => page.waitForSelector("tr[data-source]")],
      ["pipeline on a phone", "/?view=pipeline", PHONE, (page) => page.waitForSelector(".node-sink")],
      ["a filter on a phone", "/?view=pipeline&open=filter:level", PHONE, (page) => page.waitForSelector("#record .digest")],
      ["quarantine on a phone", "/?view=quarantine", PHONE],
      ["levels on a phone", "/?view=levels", PHONE, (page) => page.waitForSelector("tr[data-source]")],
      ["live on a phone", "/", PHONE],
      ["a record on a phone", "/", PHONE, openFirst],
    ];
    for (const colorScheme of ["dark", "light"]) {
      for (const [name, path, viewport, act] of views) {
        // The check itself is a script that the page's policy would refuse.
        const page = await open(path, { colorScheme, viewport, bypassCSP: true });
        await shows(page, "#connection-words", /live|search|error|router/);
        await act?.(page);
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => window.axe.run(document));
        const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
        assert.deepEqual(serious.map(({ id, nodes }) => `${id}: ${nodes[0].html}`), [], `${name}, ${colorScheme}`);
        await page.context().close();
      }
    }
  },

  async "under 5,000 records a second, memory stays flat and the list stands still"() {
    const page = await open("/");
    const session = await page.context().newCDPSession(page);
    await session.send("HeapProfiler.enable");
    const heap = async () => {
      await session.send("HeapProfiler.collectGarbage");
      return (await session.send("Runtime.getHeapUsage")).usedSize / 1e6;
    };
    const load = async (seconds) => {
      const begin = Date.now();
      for (let sent = 0; sent < 5000 * seconds; sent += 250) {
        const record = (n) => ({ source: `service-${n % 5}`, level: n % 20 ? "INFO" : "ERROR", message: `request ${sent + n} handled`, context: { user_id: n, path: "/cart" } });
        await send(...Array.from({ length: 250 }, (_, n) => record(n)));
        const ahead = begin + ((sent + 250) / 5000) * 1000 - Date.now();
        if (ahead > 0) await new Promise((done) => setTimeout(done, ahead));
      }
    };
    // The memory that holds the newest records fills up first.
    await load(6);
    const before = await heap();
    await page.evaluate(() => {
      window.delays = [];
      const look = () => {
        const asked = performance.now();
        setTimeout(() => {
          window.delays.push(performance.now() - asked);
          look();
        }, 0);
      };
      look();
    });
    await load(30);
    const delays = (await page.evaluate(() => window.delays)).sort((a, b) => a - b);
    const after = await heap();
    console.log(`# heap ${before.toFixed(1)} MB before, ${after.toFixed(1)} MB after 30 s`);
    console.log(`# the page answers input within ${delays[Math.floor(delays.length * 0.99)].toFixed(0)} ms (p99)`);
    assert.ok(Math.abs(after - before) < 10, `${before} MB before, ${after} MB after`);
    await page.hover("#list");
    await page.mouse.wheel(0, 1000);
    await page.waitForFunction(() => document.querySelector("#list").scrollTop === 1000);
    const lines = (await visibleLines(page)).join("\n");
    await load(2);
    await shows(page, "#new-pill", /new/);
    assert.equal((await visibleLines(page)).join("\n"), lines);
    await page.context().close();
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
