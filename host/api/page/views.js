// The views of the page, in the order of their tabs; `1` to `5` are their keys.

export const VIEWS = [
  { name: "live", title: "Live" },
  { name: "search", title: "Search" },
  { name: "pipeline", title: "Pipeline" },
  { name: "quarantine", title: "Quarantine" },
  { name: "levels", title: "Levels" },
];

export const titleOf = (name) => VIEWS.find((view) => view.name === name).title;
