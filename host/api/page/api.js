// Asks the router. An answer that isn't one becomes an error that says what to do. A request that needs another session
// waits for it.

const SESSION = "/api/session";

// Called when a request was refused because the session is over; the request is repeated afterwards.
let renew = async () => {};
export const whenSessionIsOver = (work) => { renew = work; };

export class ApiError extends Error {
  constructor(status, answer, retryAfter) {
    super(answer.error ?? "The answer wasn't understood");
    this.status = status;
    this.error = this.message;
    this.column = answer.column;
    this.retryAfter = retryAfter;
  }
}

export function addressOf(path, params = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value !== "" && value !== undefined && value !== null) query.set(name, value);
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

export const get = (path, params, signal) => ask(addressOf(path, params), { signal });

// Sends JSON, or bytes as they are.
export function send(method, path, body, { signal, type = "application/json" } = {}) {
  const bytes = type === "application/json" ? JSON.stringify(body) : body;
  return ask(path, { method, body: bytes, signal, headers: { "content-type": type } });
}

async function ask(address, options, isRepeated = false) {
  let answer;
  try {
    answer = await fetch(address, { ...options, headers: { accept: "application/json", ...options.headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { error: "The router doesn't answer" });
  }
  if (answer.status === 401 && address !== SESSION && !isRepeated) {
    await renew();
    return ask(address, options, true);
  }
  let body = {};
  try {
    body = await answer.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
  }
  if (!answer.ok) throw new ApiError(answer.status, body, Number(answer.headers.get("Retry-After")) || 0);
  return body;
}

// What an error means for the reader: a title and what to do about it.
export function explain(error) {
  if (error.status === 404 && /sink/.test(error.error)) {
    return ["No sink can be searched", "Search reads what a sink has stored. Add a sink of type sqlite, or of type file, to the configuration and start the router again. Live works without one."];
  }
  if (error.status === 404) return ["Not found", error.error];
  if (error.status === 503) return ["Too much is going on", `${sentence(error.error)} Try again${error.retryAfter ? ` in ${error.retryAfter} s` : " in a moment"}.`];
  if (error.status === 504) return ["The search took too long", "Ask for a shorter time, such as since:15m, or for a field that few records have."];
  if (error.status === 400) return ["The query isn't understood", sentence(error.error)];
  if (error.status === 0) return ["The router doesn't answer", `Nothing answers at ${location.origin}. Is it running?`];
  return [`The router answered with an error (${error.status})`, sentence(error.error)];
}

export function sentence(text) {
  const line = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(line) ? line : `${line}.`;
}
