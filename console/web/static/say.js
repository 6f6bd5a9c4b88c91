/** Words for those who listen instead of look, and questions that need a yes. */

import { byId, write } from "./dom.js";

/** Has the screen reader say something, once it has finished what it says. */
export function say(words) {
  const region = byId("say");
  region.textContent = "";
  // an emptied region must be seen empty before the same words are news again
  setTimeout(() => write(region, words), 60);
}

/**
 * Asks before something that cannot be undone.
 * @returns {Promise<boolean>} true only for an explicit yes; Escape and Back are a no.
 */
export function ask(title, text, yes, no = "Keep it") {
  const dialog = byId("ask");
  byId("ask-title").textContent = title;
  byId("ask-text").textContent = text;
  byId("ask-yes").textContent = yes;
  byId("ask-no").textContent = no;
  dialog.returnValue = "no";
  dialog.showModal();
  byId("ask-no").focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
