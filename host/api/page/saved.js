// Saved queries, in this browser only.

const PLACE = "weir.saved";
const MOST = 50;

export function loadSaved() {
  try {
    const saved = JSON.parse(localStorage.getItem(PLACE) ?? "[]");
    return Array.isArray(saved) ? saved.filter((query) => typeof query === "string") : [];
  } catch {
    return [];
  }
}

export function storeSaved(queries) {
  try {
    localStorage.setItem(PLACE, JSON.stringify(queries.slice(0, MOST)));
  } catch {
    // A private window may have no place; the queries are then kept by nobody.
  }
}
