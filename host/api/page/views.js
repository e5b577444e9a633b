// The views of the page, in the order of their tabs; `1`, `2` and so on are their keys.

import { isAdmin } from "./session.js";

const VIEWS = [
  { name: "live", title: "Live" },
  { name: "search", title: "Search" },
  { name: "pipeline", title: "Pipeline" },
  // Its records are as they were before the filters that mask something.
  { name: "quarantine", title: "Quarantine", onlyForAdmins: true },
  { name: "levels", title: "Levels" },
];

// Those that the reader may see.
export const views = () => VIEWS.filter(({ onlyForAdmins }) => !onlyForAdmins || isAdmin());

export const titleOf = (name) => VIEWS.find((view) => view.name === name).title;
