// Sets the theme before anything is drawn: what the reader chose, or else what the system prefers.

(() => {
  const system = matchMedia("(prefers-color-scheme: light)");
  const chosen = () => {
    try { return localStorage.getItem("weir.theme"); } catch { return null; }
  };
  const apply = () => {
    const theme = chosen() ?? (system.matches ? "light" : "dark");
    document.documentElement.dataset.theme = theme;
    document.dispatchEvent(new CustomEvent("themechange", { detail: theme }));
  };
  system.addEventListener("change", apply);
  document.addEventListener("themechoice", (event) => {
    try { localStorage.setItem("weir.theme", event.detail); } catch { /* a private window keeps the system's theme */ }
    document.documentElement.dataset.theme = event.detail;
    document.dispatchEvent(new CustomEvent("themechange", { detail: event.detail }));
  });
  apply();
})();
