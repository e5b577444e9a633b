// A message above what the stage shows that stays until it is dismissed: what happened, and the way back.

import { announce, button, el } from "./dom.js";
import { visible } from "./format.js";

export class StageNote {
  constructor() {
    this.text = el("p", {});
    this.details = el("ul", { hidden: true });
    this.actions = el("span", { class: "stage-note-actions" });
    this.node = el("div", { class: "stage-note", hidden: true }, el("div", {}, this.text, this.details), this.actions);
    this.key = "";
  }

  // `key` names a message that its cause takes away again with `hide(key)`.
  show(text, { health = "", action = null, key = "", details = [] } = {}) {
    if (!this.node.hidden && this.key === key && this.text.textContent === visible(text) && key) return;
    this.key = key;
    this.text.textContent = visible(text);
    this.details.hidden = details.length === 0;
    this.details.replaceChildren(...details.map((line) => el("li", { text: visible(line) })));
    this.node.dataset.health = health;
    const parts = [action && button(action.label, action.run), button("Dismiss", () => this.hide(), { class: "plain" })];
    this.actions.replaceChildren(...parts.filter(Boolean));
    this.node.hidden = false;
    announce([text, ...details].join(". "));
  }

  hide(key) {
    if (key !== undefined && key !== this.key) return;
    this.node.hidden = true;
  }
}
