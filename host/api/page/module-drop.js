// Modules dropped on the Pipeline view: which filter a file is for, and what to say if that isn't clear.

import { bytes } from "./format.js";

const LARGEST_BYTES = 128 * 1024 * 1024;

export class ModuleDrop {
  // `on` has: names(), current() (the filter that is open or being tried), take(name, file), refuse(text).
  constructor(on) {
    this.on = on;
    this.over = null;
    this.listeners = {
      dragover: (event) => this.dragged(event), dragleave: (event) => { if (!event.relatedTarget) this.ended(); },
      drop: (event) => this.dropped(event),
    };
  }

  listen() {
    for (const [name, listener] of Object.entries(this.listeners)) document.addEventListener(name, listener);
  }

  stop() {
    for (const [name, listener] of Object.entries(this.listeners)) document.removeEventListener(name, listener);
    this.ended();
  }

  dragged(event) {
    if (![...(event.dataTransfer?.types ?? [])].includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    document.body.classList.add("dragging");
    this.mark(filterNode(event.target));
  }

  ended() {
    document.body.classList.remove("dragging");
    this.mark(null);
  }

  // Marks the filter that the file would be tried for.
  mark(node) {
    if (this.over === node) return;
    this.over?.classList.remove("drop");
    node?.classList.add("drop");
    this.over = node;
  }

  dropped(event) {
    const files = [...(event.dataTransfer?.files ?? [])];
    this.ended();
    if (files.length === 0) return;
    event.preventDefault();
    const [file] = files;
    if (files.length > 1) return this.on.refuse("Drop one module at a time.");
    const node = filterNode(event.target);
    const onPanel = event.target.closest?.("#record, .try") ? this.on.current() : "";
    const name = node?.dataset.name ?? (onPanel || filterFor(file.name, this.on.names()));
    if (this.on.names().length === 0) return this.on.refuse("There is no filter yet that it could be a new version of. Add one to the configuration first.");
    if (!name) return this.on.refuse(`Drop ${file.name} on the filter that it is a new version of; its name doesn't begin with the name of a filter.`);
    this.take(name, file);
  }

  // Takes a file for a filter, dropped or chosen.
  take(name, file) {
    if (!/\.wasm$/i.test(file.name)) return this.on.refuse(`${file.name} isn't a module: choose a file whose name ends in .wasm.`);
    if (file.size > LARGEST_BYTES) return this.on.refuse(`${file.name} has ${bytes(file.size)}; a module has at most ${bytes(LARGEST_BYTES)}.`);
    this.on.take(name, file);
  }
}

const filterNode = (target) => target.closest?.(".node-filter") ?? null;

const plain = (name) => name.toLowerCase().replaceAll("_", "-");

// The filter whose name the file's name begins with; the longest if there are several.
export function filterFor(fileName, names) {
  const fitting = names.filter((name) => plain(fileName).startsWith(plain(name)));
  return fitting.sort((some, other) => other.length - some.length)[0] ?? "";
}
