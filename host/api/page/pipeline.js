// The Pipeline view: the flow of records as it is now, asked for again every second and a half while the page is
// visible. A filter or a sink opens at the right; a module dropped on a filter is tried beside the running one.

import { announce, byId, el, setText, showConnection } from "./dom.js";
import { explain, get, send } from "./api.js";
import { FilterPanel } from "./filter-panel.js";
import { Flow } from "./pipeline-flow.js";
import { ofRouter } from "./health.js";
import { hidePanel, panelHasFocus, showPanel } from "./panel.js";
import { ModuleDrop } from "./module-drop.js";
import { Rates } from "./rates.js";
import { SinkPanel } from "./sink-panel.js";
import { TryModule } from "./try-module.js";
import { count, shortDigest, span, visible } from "./format.js";
import { isAdmin } from "./session.js";
import { setState, state } from "./url-state.js";
import { StageNote } from "./stage-note.js";

const POLL_MS = 1500;

export class Pipeline {
  constructor(app) {
    this.app = app;
    this.onStage = true;
    this.flow = new Flow((kind, name) => this.open(kind, name, { focus: true }));
    this.note = new StageNote();
    this.reasons = el("ul", { class: "reasons", hidden: true, "aria-label": "What is wrong" });
    this.flowBox = el("div", { class: "flow-box" }, this.reasons, this.flow.node);
    this.try = new TryModule({
      swap: (name, digest, running) => this.swap(name, digest, running), closed: (name) => this.tryClosed(name),
    });
    this.drop = new ModuleDrop({
      names: () => this.pipeline?.filters.map(({ name }) => name) ?? [],
      current: () => this.try.name || (this.shown?.kind === "filter" ? this.shown.name : ""),
      take: (name, file) => this.tryFile(name, file),
      refuse: (text) => this.note.show(text, { health: "error" }),
    });
    document.addEventListener("visibilitychange", () => { if (this.active && !document.hidden) this.poll(); });
  }

  enter() {
    this.active = true;
    this.rates = new Rates();
    const stage = byId("stage");
    stage.setAttribute("aria-label", "Pipeline");
    stage.replaceChildren(this.note.node, this.try.node, this.flowBox);
    this.note.hide();
    this.showFlow(true);
    if (isAdmin()) this.drop.listen();
    this.shown = null;
    this.poll();
  }

  leave() {
    this.active = false;
    clearTimeout(this.timer);
    this.drop.stop();
    this.try.stop();
    hidePanel();
  }

  async poll() {
    clearTimeout(this.timer);
    const turn = this.turn = Symbol("turn");
    try {
      const pipeline = await get("/api/pipeline");
      if (!this.active || turn !== this.turn) return;
      this.failed = null;
      this.came(pipeline);
    } catch (error) {
      if (!this.active || turn !== this.turn) return;
      this.failed = error;
      this.note.show(explain(error).join(". "), { health: "error", key: "poll" });
    }
    this.foot();
    if (!document.hidden) this.timer = setTimeout(() => this.poll(), POLL_MS);
  }

  came(pipeline) {
    this.note.hide("poll");
    // A source may have the name of a protocol.
    for (const source of pipeline.sources) source.key = source.type ? `${source.type} ${source.name}` : source.name;
    this.rates.take(pipeline);
    if (pipeline.status !== this.pipeline?.status) announce([`The router is ${pipeline.status}`, ...pipeline.reasons].join(". "));
    this.pipeline = pipeline;
    this.flow.show(pipeline, this.rates);
    this.showReasons(pipeline.reasons);
    this.showOpen();
  }

  showReasons(reasons) {
    this.reasons.dataset.health = ofRouter(this.pipeline.status);
    const text = JSON.stringify(reasons);
    if (this.reasonsShown === text) return;
    this.reasonsShown = text;
    this.reasons.hidden = reasons.length === 0;
    this.reasons.replaceChildren(...reasons.map((reason) => el("li", { text: visible(reason) })));
  }

  // Opens or updates what the address names.
  showOpen({ focus = false } = {}) {
    const [kind, ...rest] = state.open.split(":");
    const name = rest.join(":");
    const entry = { filter: this.pipeline.filters, sink: this.pipeline.sinks }[kind]?.find((one) => one.name === name);
    this.flow.select(entry ? kind : "", name);
    if (!entry) return this.shown && this.hideOpen();
    if (this.shown?.kind !== kind || this.shown.name !== name) {
      this.shown = { kind, name, panel: this.panelFor(kind) };
      this.shown.panel.show(entry, this.rates);
      showPanel(kind === "filter" ? `The filter ${name}` : `The sink ${name}`, [this.shown.panel.node], { focus });
    } else this.shown.panel.show(entry, this.rates);
  }

  panelFor(kind) {
    const close = () => this.close();
    if (kind === "sink") return new SinkPanel({ close, quarantine: (from) => this.app.go({ view: "quarantine", from }) });
    return new FilterPanel({
      close, rollBack: (filter, version) => this.rollBack(filter.name, version.digest, filter),
      tryFile: (name, file) => this.drop.take(name, file),
      quarantine: (from) => this.app.go({ view: "quarantine", from }),
    });
  }

  open(kind, name, { focus = false } = {}) {
    if (state.open === `${kind}:${name}`) return this.close();
    setState({ open: `${kind}:${name}` });
    if (this.pipeline) this.showOpen({ focus });
  }

  hideOpen() {
    const { kind, name } = this.shown;
    const refocus = panelHasFocus();
    this.shown = null;
    this.flow.select("", "");
    hidePanel();
    if (refocus) this.flow.focus(kind, name);
  }

  close() {
    if (!this.try.node.hidden) return this.try.cancel();
    if (!this.shown) return;
    setState({ open: "" });
    this.hideOpen();
  }

  // `j` and `k` go from node to node.
  step(by) {
    const nodes = this.flow.openable();
    const at = nodes.indexOf(document.activeElement);
    nodes[Math.min(nodes.length - 1, Math.max(0, at < 0 ? (by > 0 ? 0 : nodes.length - 1) : at + by))]?.focus();
  }

  // The flow makes room for a try, and comes back after it.
  showFlow(shows) {
    this.flowBox.hidden = !shows;
    if (shows) this.flow.drawLines();
  }

  tryFile(name, file) {
    const filter = this.pipeline.filters.find((one) => one.name === name);
    this.note.hide();
    if (this.shown) this.hideOpen();
    setState({ open: "" });
    this.showFlow(false);
    this.try.start(filter, file);
  }

  tryClosed(name) {
    this.showFlow(true);
    if (this.active) this.flow.focus("filter", name);
  }

  async swap(name, digest, running) {
    const answer = await send("POST", `/api/filters/${encodeURIComponent(name)}/swap`, { digest });
    this.swapped(`${name} ${versionName(answer, running)} runs now, instead of ${versionName(running, answer)}.`, name, running, answer);
  }

  async rollBack(name, to, running) {
    try {
      const answer = await send("POST", `/api/filters/${encodeURIComponent(name)}/rollback`, { to });
      this.swapped(`${name} is rolled back: ${versionName(answer, running)} runs now, instead of ${versionName(running, answer)}.`, name, running, answer);
    } catch (error) {
      this.note.show(`${name} isn't rolled back: ${error.message}`, { health: "error" });
    }
  }

  // Says what runs `now`, and offers the way back to what ran `before`.
  swapped(text, name, before, now) {
    setState({ open: `filter:${name}` });
    this.note.show(text, { action: { label: `Roll back to ${versionName(before, now)}`, run: () => this.rollBack(name, before.digest, now) } });
    this.poll();
  }

  foot() {
    const { pipeline } = this;
    if (!pipeline && !this.failed) return;
    const words = this.failed ? "the router doesn't answer" : `router ${pipeline.status}`;
    showConnection(this.failed ? "lost" : { "": "live", warning: "degraded", error: "error" }[ofRouter(pipeline.status)], words);
    if (!pipeline) return setText(byId("foot-state"), words);
    setText(byId("foot-state"), `weir ${pipeline.version} · up ${span(pipeline.uptime_seconds * 1000)}`);
    const below = pipeline.below_level;
    setText(byId("foot-missed"), below > 0 ? `${count(below)} below their minimum level` : "");
    byId("foot-missed").classList.remove("warn");
  }
}

// Two modules can say the same version; then only their digests tell them apart.
const versionName = (one, other) => (one.version === other.version ? `${one.version} (${shortDigest(one.digest)})` : one.version);
