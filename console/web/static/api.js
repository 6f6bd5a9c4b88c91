/** Requests to the rig: JSON both ways, and every failure as one line for people. */

const PATIENCE_MS = 20000;

/** What went wrong, in a line to show; `code` is the server's, or "gone" or "late" when it did not answer. */
export class Refusal extends Error {
  constructor(words, code) {
    super(words);
    this.code = code;
  }
}

let onOver = () => {};

/** Calls `listener` when the rig no longer knows this phone's key. */
export function whenOver(listener) {
  onOver = listener;
}

/** GET of a path; what came back as JSON. */
export function get(path) {
  return ask("GET", path);
}

/** POST of a value as JSON. `patienceMs`: give up after so long. */
export function post(path, value = {}, patienceMs = PATIENCE_MS) {
  return ask("POST", path, value, patienceMs);
}

/** DELETE with a value as JSON. */
export function remove(path, value) {
  return ask("DELETE", path, value);
}

async function ask(method, path, value, patienceMs = PATIENCE_MS) {
  const options = { method, credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(patienceMs) };
  if (value !== undefined) {
    options.body = JSON.stringify(value);
    options.headers = { "Content-Type": "application/json" };
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    const late = error.name === "TimeoutError";
    throw new Refusal(late ? "The rig took too long to answer; try again." : "The rig does not answer; the page keeps trying.", late ? "late" : "gone");
  }
  const said = await answer.json().catch(() => null);
  if (answer.status === 401) {
    onOver();
    throw new Refusal("This phone's key no longer opens the rig.", "token");
  }
  if (!answer.ok) throw new Refusal(said?.error ?? `The rig refused (${answer.status}).`, said?.code ?? "bad");
  if (said === null) throw new Refusal("The rig's answer was cut short; try again.", "gone");
  return said;
}
