// The open sink: what it does, how far behind it is, what went wrong last, and where records go meanwhile.

import { button, el } from "./dom.js";
import { count, dateTime, lag, plural, visible } from "./format.js";
import { Facts } from "./facts.js";
import { ofSink } from "./health.js";
import { isAdmin } from "./session.js";
import { perSecond } from "./rates.js";

export class SinkPanel {
  // `on` has: close(), quarantine(from).
  constructor(on) {
    this.word = el("span", { class: "state-word" });
    this.name = el("strong", {});
    this.type = el("span", { class: "dim" });
    this.error = el("p", { class: "panel-error" });
    this.now = new Facts();
    this.last = new Facts();
    this.lastBox = el("section", {}, el("h2", { text: "Last error" }), this.last.node);
    this.node = el("div", { class: "panel" },
      el("div", { class: "record-head" }, this.name, this.type, this.word, button("Close", on.close, { class: "plain" })),
      this.error,
      isAdmin() && el("div", { class: "record-actions" }, button("Its quarantine", () => on.quarantine(`sink:${this.sink}`))),
      el("section", {}, el("h2", { text: "Now" }), this.now.node), this.lastBox);
  }

  show(sink, rates) {
    const { word, health } = ofSink(sink);
    this.sink = sink.name;
    this.name.textContent = visible(sink.name);
    this.type.textContent = visible(sink.type);
    this.word.textContent = word;
    this.word.dataset.health = health;
    this.error.hidden = !sink.error;
    if (this.error.textContent !== visible(sink.error ?? "")) this.error.textContent = visible(sink.error ?? "");
    this.now.show(numbers(sink, rates, health));
    this.lastBox.hidden = !sink.last_error;
    this.last.show([
      ["error", sink.last_error], ["kind", sink.last_error_kind],
      ["time", sink.last_error_time && dateTime(sink.last_error_time)],
    ]);
  }
}

function numbers(sink, rates, health) {
  const behind = health === "warning" ? "warning" : "";
  return [
    ["state", sink.state, health],
    ["since", sink.since ? dateTime(sink.since) : null],
    ["records", `${count(sink.records)} · ${perSecond(rates.of("sinks", sink.name))}`],
    ["lag", lag(sink.lag_seconds), behind],
    ["waiting", `${plural(sink.lag_records, "record")} in ${plural(sink.lag_frames, "frame")}`],
    ["errors", count(sink.errors)],
    ["rejected", `${count(sink.rejected)} to quarantine`],
    ["for others", sink.for_others > 0 ? `${count(sink.for_others)} as their fallback` : null],
    ["fallback", sink.fallback ? `${plural(sink.fallback.records, "record")} to ${sink.fallback.to}` : null],
  ];
}
