/** What the page knows: the rig's last state, who wants to hear of it, and what this phone remembers. */

const listeners = new Map();
let state = null;

/** Calls `listener(value)` at every event of a name: state, heat, drawn, link, back, tab. */
export function on(name, listener) {
  if (!listeners.has(name)) listeners.set(name, new Set());
  listeners.get(name).add(listener);
}

/** Tells an event to those who asked for it. */
export function tell(name, value) {
  for (const listener of listeners.get(name) ?? []) listener(value);
}

/** The rig's last state, as /api/state gives it; null before the first. */
export function current() {
  return state;
}

/** Takes a new state and tells of it. */
export function take(fresh) {
  state = fresh;
  tell("state", state);
}

/** What this phone remembers under a name, or `otherwise`; private windows remember nothing. */
export function recall(name, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(`lrt.${name}`)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** Remembers a value under a name. */
export function keep(name, value) {
  try {
    localStorage.setItem(`lrt.${name}`, JSON.stringify(value));
  } catch {
    // a private window: the choice lasts as long as the page
  }
}

/** How others see this phone; made up once, and to be changed on the Record page. */
export function phoneName() {
  let name = recall("phone", null);
  if (!name) {
    const kind = /iPhone|iPad/.test(navigator.userAgent) ? "iPhone" : /Android/.test(navigator.userAgent) ? "Android" : "browser";
    name = `${kind} ${Math.floor(Math.random() * 900 + 100)}`;
    keep("phone", name);
  }
  return name;
}
