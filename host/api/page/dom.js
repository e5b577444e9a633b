// Makes elements. Everything that comes from a record goes through `text`, never through HTML.

export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) setProp(node, name, value);
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

function setProp(node, name, value) {
  if (value === undefined || value === null || value === false) return;
  if (name === "class") node.className = value;
  else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
  else if (name === "text") node.textContent = value;
  else if (name in node && typeof value !== "string") node[name] = value;
  else node.setAttribute(name, value === true ? "" : value);
}

export const byId = (id) => document.getElementById(id);

export function button(label, onclick, props = {}) {
  return el("button", { type: "button", onclick, ...props }, label);
}

// A small key cap, such as `space` next to "Pause".
export const keyCap = (name) => el("kbd", { text: name });

// Sets text only if it differs, so that assistive technology and layout are left alone.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Says at the top of the page how it stands with the router. `state` is the colour of the dot.
export function showConnection(state, words, rate = "") {
  byId("connection-dot").dataset.state = state;
  setText(byId("connection-words"), words);
  setText(byId("rate"), rate);
}

// Calls `work` in the next animation frame, once, however often it is asked to.
export function oncePerFrame(work) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      work();
    });
  };
}

export function debounce(work, ms) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...args), ms);
  };
}

// Says something to screen readers, at most every two seconds; the last word wins.
let lastSaid = 0;
let toSay = 0;
export function announce(text) {
  clearTimeout(toSay);
  toSay = setTimeout(() => {
    lastSaid = Date.now();
    setText(byId("announcer"), text);
  }, Math.max(0, lastSaid + 2000 - Date.now()));
}

// A short message at the foot of the page, such as "Copied".
let toastTimer = 0;
export function toast(text) {
  const node = byId("toast");
  setText(node, text);
  node.hidden = false;
  announce(text);
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { node.hidden = true; }, 2500);
}

export async function copy(text, what = "Copied") {
  try {
    await navigator.clipboard.writeText(text);
    toast(what);
  } catch {
    toast("The browser didn't allow copying");
  }
}

export const onPhone = () => matchMedia("(max-width: 760px)").matches;
