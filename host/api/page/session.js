// Who uses this page, and what that permits. A router without tokens checks nothing, and the page is the same for all.
// Otherwise there is a session, in a cookie that no script can read. While there is none, the login view is in place of
// the page: at the start, and again as soon as the router says that the session is over.

import { ApiError, explain, get, send, sentence, whenSessionIsOver } from "./api.js";
import { askForToken, hideLogin, showWaiting } from "./login.js";

const LONGEST_WAIT = 15000;

// What the other pages of this browser are told: that a session has begun or ended.
const others = new BroadcastChannel("weir.session");

let caller = { needs_token: true, role: null };
let renewing = null;
// Called with the caller once there is a session, while the login view waits for one.
let sessionBegun = null;

export const isAdmin = () => caller.role === "admin";
export const needsToken = () => caller.needs_token;
// The answer of the router.
export const session = () => caller;

// What a reader is limited to, as `[["sources", ["shop*"]], …]`; null if that is nothing.
export function limits() {
  const { sources = [], routes = [] } = caller;
  const all = [["sources", sources], ["routes", routes]].filter(([, values]) => values.length > 0);
  return all.length > 0 ? all : null;
}

const mayRead = ({ role }) => role === "read" || role === "admin";

// Waits until there is somebody who may read.
export async function begin() {
  whenSessionIsOver(renew);
  others.onmessage = ({ data }) => heard(data);
  caller = await described((error) => showWaiting(...explain(error)));
  if (!mayRead(caller)) caller = await login("");
  hideLogin();
}

async function heard(what) {
  if (what === "ended") location.reload();
  else if (sessionBegun) {
    const next = await described(() => {});
    if (mayRead(next)) sessionBegun?.(next);
  }
}

export async function logOut() {
  await send("DELETE", "/api/session", {});
  others.postMessage("ended");
  // With everything that this page holds.
  location.reload();
}

// Waits for another session, once for all requests that were refused. The page goes on where it is if it is for the
// same person; for somebody else, it begins anew.
function renew() {
  renewing ??= again().finally(() => { renewing = null; });
  return renewing;
}

async function again() {
  let next = await described(() => {});
  if (!mayRead(next)) next = await login("The session is over: the token was revoked or has expired, or the router was started again.");
  if (JSON.stringify(next) !== JSON.stringify(caller)) {
    location.reload();
    await new Promise(() => {});
  }
  hideLogin();
}

// Asks who this is until the router answers.
async function described(failed) {
  for (let wait = 500; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
    try {
      return await get("/api/session");
    } catch (error) {
      failed(error);
      await new Promise((done) => setTimeout(done, wait));
    }
  }
}

// Asks for tokens until there is a session, begun here or by another page of this browser.
async function login(why) {
  const next = await new Promise((resolve) => {
    sessionBegun = resolve;
    askForToken(why, async (token) => {
      resolve(await opened(token));
      others.postMessage("begun");
    });
  });
  sessionBegun = null;
  return next;
}

// Starts a session with a token. An error says what is wrong with it.
async function opened(token) {
  let told;
  try {
    told = await send("POST", "/api/session", { token });
  } catch (error) {
    throw new Error(error instanceof ApiError && error.status !== 0 ? sentence(error.message) : explain(error).join(". "));
  }
  if (!mayRead(told)) {
    await send("DELETE", "/api/session", {});
    throw new Error(`The token ${told.name} may send records, but not read them. Reading needs the role read or admin.`);
  }
  const kept = await get("/api/session");
  if (!mayRead(kept)) throw new Error("The token is right, but this browser didn't keep the session. Allow cookies for this page.");
  return kept;
}
