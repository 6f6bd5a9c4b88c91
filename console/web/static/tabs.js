/** The five parts of the page: which one is shown is in the address, so Back and reload work. */

import { tell } from "./store.js";

const NAMES = ["live", "record", "clips", "calibrate", "draw"];
let shown = null;

/** The part that is shown now. */
export function tabNow() {
  return shown;
}

/** Follows the address. */
export function startTabs() {
  window.addEventListener("hashchange", () => follow(true));
  follow(false);
}

function follow(moved) {
  const name = NAMES.includes(location.hash.slice(1)) ? location.hash.slice(1) : NAMES[0];
  if (name === shown) return;
  shown = name;
  for (const each of NAMES) document.getElementById(each).hidden = each !== name;
  for (const link of document.querySelectorAll(".tabs a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const title = document.getElementById(`${name}-title`);
  document.title = `${title.firstChild.textContent.trim()} - lrt`;
  if (moved) {
    window.scrollTo(0, 0);
    title.focus({ preventScroll: true }); // a screen reader reads on from there
  }
  tell("tab", name);
}
