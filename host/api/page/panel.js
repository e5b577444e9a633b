// The panel at the right, or the sheet from below on a phone, for the views that draw on the stage.

import { byId, onPhone } from "./dom.js";

// Shows `nodes`; `label` names the panel for screen readers.
export function showPanel(label, nodes, { focus = false } = {}) {
  const panel = byId("record");
  panel.setAttribute("aria-label", label);
  panel.replaceChildren(...nodes.filter(Boolean));
  panel.scrollTop = 0;
  panel.hidden = false;
  document.body.classList.add("record-open");
  if (focus || onPhone()) panel.focus({ preventScroll: true });
}

export function hidePanel() {
  const panel = byId("record");
  panel.hidden = true;
  panel.replaceChildren();
  document.body.classList.remove("record-open");
}

export const panelHasFocus = () => byId("record").contains(document.activeElement);
