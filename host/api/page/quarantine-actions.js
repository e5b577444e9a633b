// What can be done about records in quarantine: they are replayed or deleted, one by one or all of an origin.

import { announce } from "./dom.js";
import { explain, send } from "./api.js";
import { confirm } from "./dialogs.js";
import { count, plural } from "./format.js";
import { originName } from "./quarantine-line.js";
import { state } from "./url-state.js";

export class QuarantineActions {
  // `on` has: inScope() (how many records the choice of origin has), done() (shows what is left). `note` says what came of it.
  constructor(note, on) {
    this.note = note;
    this.on = on;
  }

  scope() {
    return state.from ? { from: state.from } : { all: true };
  }

  scopeWords() {
    return `${plural(this.on.inScope(), "record")}${state.from ? ` from ${originName(state.from)}` : ""}`;
  }

  async replayAll() {
    const sure = await confirm(`Replay ${this.scopeWords()}?`,
      "Records that a filter failed on go through the filters again. Records that a sink refused go to that sink alone.", "Replay");
    if (sure) this.replay(this.scope());
  }

  replay(body) {
    return this.act("/api/quarantine/replay", body, ({ replayed, left, errors }) => [
      `${plural(replayed, "record")} replayed${left > 0 ? `, ${count(left)} left here` : ""}.`,
      { health: errors.length > 0 || left > 0 ? "warning" : "", details: errors }]);
  }

  async deleteAll() {
    if (await confirm(`Delete ${this.scopeWords()}?`, "They can't be recovered.", "Delete")) this.remove(this.scope());
  }

  async deleteOne({ id }) {
    if (await confirm("Delete this record?", "It can't be recovered.", "Delete")) this.remove({ ids: [id] });
  }

  remove(body) {
    return this.act("/api/quarantine/delete", body, ({ deleted }) => [`${plural(deleted, "record")} deleted.`, {}]);
  }

  async act(path, body, words) {
    announce("Working");
    try {
      this.note.show(...words(await send("POST", path, body)));
      this.on.done();
    } catch (error) {
      this.note.show(explain(error).join(". "), { health: "error" });
    }
  }
}
