// The drawn pipeline: sources at the left, filters and the journal in the middle, sinks at the right, and the lines
// between them; one below the other where there is little room.

import { el, oncePerFrame, setText } from "./dom.js";
import { FlowNode, filterLook, journalLook, sinkLook, sourceLook } from "./flow-nodes.js";
import { drawLines } from "./flow-lines.js";
import { ofFilter, ofSink, ofSource } from "./health.js";
import { isAdmin } from "./session.js";

const NARROW = 760;
const JOURNAL = "journal";

export class Flow {
  // `open(kind, name)` is called for a filter or a sink.
  constructor(open) {
    this.open = open;
    this.svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    this.svg.setAttribute("class", "flow-lines");
    this.svg.setAttribute("aria-hidden", "true");
    this.columns = {
      sources: column("Sources", "Nothing has been sent yet."),
      filters: column("Filters", "There are none: records go to the journal as they come."),
      sinks: column("Sinks", "There are none: records stay in the journal, and Live shows them."),
    };
    this.hint = el("p", { class: "flow-hint", text: "Drop a .wasm file on a filter to try it as a new version." });
    this.columns.filters.node.append(this.hint);
    this.node = el("div", { class: "flow" }, this.svg, ...Object.values(this.columns).map(({ node }) => node));
    this.nodes = new Map();
    this.drawLines = oncePerFrame(() => this.lines());
    new ResizeObserver(() => this.drawLines()).observe(this.node);
  }

  show(pipeline, rates) {
    this.pipeline = pipeline;
    this.rates = rates;
    this.hint.hidden = pipeline.filters.length === 0 || !isAdmin();
    this.column("sources", pipeline.sources.map((source) => [source.key, sourceLook(source, rates), source.name]));
    this.column("filters", [
      ...pipeline.filters.map((filter) => [filter.name, filterLook(filter, rates)]), [JOURNAL, journalLook(pipeline.journal)]]);
    this.column("sinks", pipeline.sinks.map((sink) => [sink.name, sinkLook(sink, rates)]));
    this.drawLines();
  }

  // The nodes of a column in their order; a node whose name is gone goes too.
  column(kind, entries) {
    const { list, count, none } = this.columns[kind];
    setText(count, this.pipeline[kind].length === 0 ? "" : String(this.pipeline[kind].length));
    none.hidden = this.pipeline[kind].length > 0;
    const wanted = entries.map(([key, look, name]) => {
      const node = this.made(kind, key, name);
      node.show(look);
      return node.node.parentNode ?? el("li", {}, node.node);
    });
    if (wanted.length !== list.children.length || wanted.some((item, index) => list.children[index] !== item)) {
      list.replaceChildren(...wanted);
    }
  }

  made(kind, name, title = name) {
    const isJournal = kind === "filters" && name === JOURNAL && !this.pipeline.filters.some((filter) => filter.name === JOURNAL);
    const key = isJournal ? JOURNAL : `${kind} ${name}`;
    if (!this.nodes.has(key)) this.nodes.set(key, this.make(kind, name, title, isJournal));
    return this.nodes.get(key);
  }

  make(kind, name, title, isJournal) {
    if (isJournal) return new FlowNode("journal", "Journal", null);
    if (kind === "sources") return new FlowNode("source", title, null);
    const one = kind === "filters" ? "filter" : "sink";
    return new FlowNode(one, name, () => this.open(one, name));
  }

  // Marks the filter or sink that the panel shows.
  select(kind, name) {
    for (const [key, node] of this.nodes) node.select(kind !== "" && key === `${kind}s ${name}`);
  }

  focus(kind, name) {
    this.nodes.get(`${kind}s ${name}`)?.node.focus();
  }

  // The names and kinds that can be opened, in the order of the flow.
  openable() {
    return [...this.node.querySelectorAll("button.node")];
  }

  links() {
    const { sources, filters, sinks } = this.pipeline;
    const node = (kind, name) => this.made(kind, name).node;
    const journal = this.made("filters", JOURNAL).node;
    const chain = [...filters.map(({ name }) => node("filters", name)), journal];
    const links = sources.map((source) => ({
      from: node("sources", source.key), to: chain[0], rate: this.rates.of("sources", source.key), health: ofSource(source).health,
    }));
    filters.forEach((filter, index) => links.push({
      from: chain[index], to: chain[index + 1], inner: true, health: ofFilter(filter).health,
      rate: this.rates.of("filters", filter.name, "records_out"),
    }));
    for (const sink of sinks) {
      links.push({ from: journal, to: node("sinks", sink.name), rate: this.rates.of("sinks", sink.name), health: ofSink(sink).health });
    }
    return links;
  }

  lines() {
    if (!this.pipeline || this.node.clientWidth === 0) return;
    const isNarrow = this.node.clientWidth < NARROW;
    this.node.classList.toggle("narrow", isNarrow);
    drawLines(this.svg, this.node, this.links(), isNarrow);
  }
}

function column(title, ifEmpty) {
  const count = el("span", { class: "dim" });
  const list = el("ol", { class: "nodes" });
  const none = el("p", { class: "dim", text: ifEmpty, hidden: true });
  const node = el("section", { class: `flow-${title.toLowerCase()}`, "aria-label": title }, el("h2", {}, `${title} `, count), none, list);
  return { count, list, none, node };
}
