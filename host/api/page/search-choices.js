// The two choices next to the query of Search: how far back, and in which sink.

import { el } from "./dom.js";
import { parse, replaceFields } from "./query-syntax.js";
import { setState, state } from "./url-state.js";

const TIMES = [["", "Any time"], ["15m", "Last 15 min"], ["1h", "Last hour"], ["24h", "Last 24 h"], ["7d", "Last 7 days"]];

function choice(label, options, chosen, onchange) {
  return el("select", { "aria-label": label, onchange: ({ target }) => onchange(target.value) },
    ...options.map(([value, text]) => el("option", { value, selected: value === chosen }, text)));
}

// What is chosen stands in the query; a time that is typed or dragged is a choice of its own.
export function timeChoice(ask) {
  const terms = parse(state.q).filter(({ field, not }) => (field === "since" || field === "until") && !not);
  const age = terms.length === 1 && terms[0].field === "since" ? terms[0].value : "";
  const known = terms.length === 0 || TIMES.some(([value]) => value !== "" && value === age);
  const options = known ? TIMES : [...TIMES, ["own", "As in the query"]];
  return choice("Time to search", options, known ? age : "own", (value) => {
    if (value !== "own") ask(replaceFields(state.q, ["since", "until"], value ? [`since:${value}`] : []));
  });
}

export function sinkChoice(sinks, load) {
  if (sinks.length < 2) return null;
  return choice("Sink to search", sinks.map(({ name }) => [name, name]), state.sink || sinks[0].name, (sink) => {
    setState({ sink }, { step: true });
    load();
  });
}
