// A try of a new module: it is sent, compiled and run beside the running version on recent records, and nothing changes
// until the reader swaps it in.

import { announce, button, el, setText } from "./dom.js";
import { send } from "./api.js";
import { bytes, count, plural, shortDigest, visible } from "./format.js";
import { differenceList } from "./difference.js";
import { microseconds } from "./rates.js";
import { allowsMore, importsList, rightsList } from "./rights.js";

export class TryModule {
  // `on` has: swap(name, digest, running), closed(name).
  constructor(on) {
    this.on = on;
    this.node = el("section", { class: "try", hidden: true, tabIndex: -1, "aria-label": "Try of a module" });
    this.name = "";
  }

  async start(filter, file) {
    this.stop();
    this.name = filter.name;
    const stopper = this.stopper = new AbortController();
    this.node.hidden = false;
    this.progress(filter, file);
    this.node.focus({ preventScroll: true });
    try {
      const path = `/api/filters/${encodeURIComponent(filter.name)}/try`;
      const result = await send("POST", path, await file.arrayBuffer(), { signal: stopper.signal, type: "application/wasm" });
      if (stopper.signal.aborted) return;
      clearInterval(this.clock);
      this.result(filter, result);
    } catch (error) {
      if (stopper.signal.aborted) return;
      clearInterval(this.clock);
      this.failed(filter, file, error);
    }
  }

  progress({ name }, file) {
    const begin = Date.now();
    const words = el("p", { class: "try-progress" });
    const tick = () => setText(words, `Compiling ${visible(file.name)} (${bytes(file.size)}) and running it on recent records: ${Math.round((Date.now() - begin) / 1000)} s`);
    tick();
    this.clock = setInterval(tick, 1000);
    this.show(`${name}: a new version`, words, el("div", { class: "record-actions" }, button("Cancel", () => this.cancel())));
    announce(`Compiling ${file.name}`);
  }

  failed({ name }, file, error) {
    const text = `${visible(file.name)} can't run as ${visible(name)}`;
    this.show(`${name}: a new version`, el("p", { class: "panel-error" }, el("strong", { text: `${text}. ` }), visible(error.message)),
      el("p", { class: "dim", text: "The running version goes on as before. Drop another file here to try it." }),
      el("div", { class: "record-actions" }, button("Back to the pipeline", () => this.cancel())));
    announce(`${text}. ${error.message}`);
  }

  result(filter, result) {
    const isSame = result.digest === result.running.digest;
    const swap = button("Swap in", () => this.swap(swap, filter, result), { class: "primary", disabled: isSame });
    this.problem = el("p", { class: "panel-error", hidden: true });
    this.show(`${filter.name}: ${result.version} beside ${result.running.version}`,
      el("p", { class: "dim", text: visible(result.description ?? "") }),
      el("p", { class: "try-summary" }, ...summary(result)),
      isSame && el("p", { text: "This is the module that runs already." }),
      el("div", { class: "try-actions" }, swap, button("Cancel", () => this.cancel()),
        el("span", { class: "dim", text: `sha256 ${shortDigest(result.digest)}; the running version goes on until you swap` })),
      this.problem, rights(filter, result), differenceList(result));
    announce(`${filter.name} ${result.version} was tried. ${this.node.querySelector(".try-summary").textContent}`);
  }

  show(title, ...parts) {
    this.node.replaceChildren(el("h2", { text: visible(title) }), ...parts.filter(Boolean));
    this.node.parentNode.scrollTop = 0;
  }

  async swap(swapButton, { name }, { digest, running }) {
    swapButton.disabled = true;
    setText(swapButton, "Swapping in …");
    try {
      await this.on.swap(name, digest, running);
      this.cancel();
    } catch (error) {
      swapButton.disabled = false;
      setText(swapButton, "Swap in");
      this.problem.hidden = false;
      this.problem.textContent = `It isn't swapped in: ${visible(error.message)}`;
      announce(this.problem.textContent);
    }
  }

  // Ends a try that still runs, without a word.
  stop() {
    clearInterval(this.clock);
    this.stopper?.abort();
    this.node.hidden = true;
    this.node.replaceChildren();
    this.name = "";
  }

  cancel() {
    const { name } = this;
    this.stop();
    this.on.closed(name);
  }
}

function summary(result) {
  const { records, same, failed, running_failed: before } = result;
  if (records === 0) return ["There are no recent records to try it on. It compiles and passed all checks."];
  const failures = failed === 0 && before === 0 ? "None failed."
    : `${plural(failed, "record")} failed, ${before === 0 ? "none" : count(before)} with the running version.`;
  const pace = `It takes ${microseconds(result.us_per_record)} a record, the running version ${microseconds(result.running_us_per_record)}.`;
  return [el("strong", { text: `${count(same)} of ${plural(records, "recent record")} came out the same. ` }),
    el("span", { "data-health": failed > before ? "error" : "", text: `${failures} ` }), pace];
}

function rights(filter, result) {
  const more = allowsMore(result.reads, filter.reads) || allowsMore(result.writes, filter.writes)
    || result.imports.some((name) => !filter.imports.includes(name));
  return el("section", {}, el("h3", { text: more ? "Rights: more than the running version has" : "Rights: no more than the running version has" }),
    el("dl", { class: "facts rights-row" },
      el("dt", { text: "read" }), el("dd", {}, rightsList(result.reads, filter.reads)),
      el("dt", { text: "write" }), el("dd", {}, rightsList(result.writes, filter.writes)),
      el("dt", { text: "import" }), el("dd", {}, importsList(result.imports, filter.imports))));
}
