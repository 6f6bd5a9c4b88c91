/** What frames every part: the health light, the banner when the rig is away, the strip while it records. */

import { post } from "./api.js";
import { byId, make, note, show, write } from "./dom.js";
import { say } from "./say.js";
import { current, on } from "./store.js";
import { hurry, linkNow } from "./stream.js";
import { tabNow } from "./tabs.js";
import { clock, LIGHT, sentence } from "./words.js";

const GONE = "The rig does not answer. What it records goes on. Is this phone on its network? The page comes back by itself.";

let retryAtMs = 0;
let crowded = ""; // the rig's own word for turning this page away
let level = null;

/** Starts the frame. */
export function startFrame() {
  on("state", showState);
  on("link", (link) => {
    showLink(link);
    if (link === "gone") say("The connection to the rig is lost. Trying again.");
  });
  on("back", () => say("The rig is back."));
  on("crowded", (words) => {
    crowded = sentence(words);
  });
  on("retry", (ms) => {
    retryAtMs = performance.now() + ms;
    countDown();
  });
  on("tab", () => showStrip(current()));
  setInterval(countDown, 500);
  byId("banner-act").addEventListener("click", () => {
    if (linkNow() === "over") location.assign("/enter");
    else hurry();
  });
  for (const id of ["light", "live-details"]) byId(id).addEventListener("click", () => byId("health-dialog").showModal());
  byId("strip-stop").addEventListener("click", () => post("/api/stop").catch((refusal) => say(refusal.message)));
}

function showState(state) {
  write(byId("rig-name"), state.rig === "twin" ? "" : state.clips_folder);
  show(byId("synthetic"), state.synthetic);
  showLight(state.health.level, LIGHT[state.health.level]);
  const advice = sentence(state.health.advice);
  write(byId("health-dialog-advice"), advice || "Nothing to do.");
  showFindings(byId("findings"), state.health.findings);
  if (level && level !== state.health.level) say(`${LIGHT[state.health.level]}. ${advice}`);
  level = state.health.level;
  showStrip(state);
}

/** Lists findings, the worst first. */
export function showFindings(list, findings) {
  const order = { red: 0, fail: 0, amber: 1, warn: 1, green: 2, ok: 2 };
  const sorted = [...findings].sort((one, two) => order[one.level] - order[two.level]);
  const key = JSON.stringify(sorted);
  if (list.dataset.key === key) return; // an unchanged list is left alone: a reader may be in it
  list.dataset.key = key;
  list.replaceChildren(
    ...sorted.map((each) =>
      make(
        "li",
        { class: each.level },
        make("b", { text: each.what ? `${each.what[0].toUpperCase()}${each.what.slice(1)}` : sentence(each.says) }),
        each.what ? make("span", { text: sentence(each.says) }) : null,
        each.do && order[each.level] < 2 ? make("span", { class: each.what ? "do" : "", text: sentence(each.do) }) : null,
        each.rule ? make("small", { text: each.rule }) : null,
      ),
    ),
  );
}

function showLight(colour, word) {
  const light = byId("light");
  light.className = `light ${colour}`;
  write(byId("light-word"), word);
  light.setAttribute("aria-label", `Health of the rig: ${word}. Details`);
}

function showLink(link) {
  document.body.classList.toggle("away", link !== "up");
  if (link === "up") {
    crowded = "";
    note(byId("banner"), "", byId("banner-text"));
    return;
  }
  showLight("", link === "joining" ? "Connecting" : "Away");
  if (link === "over") {
    note(byId("banner"), "This phone's key no longer opens the rig. Scan the code on the rig's terminal again.", byId("banner-text"));
    write(byId("banner-act"), "Enter the key");
    show(byId("banner-act"), true);
  }
  if (link === "gone") countDown();
}

function countDown() {
  if (linkNow() !== "gone") return;
  const left = Math.ceil((retryAtMs - performance.now()) / 1000);
  // only the button counts: words that change every second would be read out every second
  note(byId("banner"), crowded || GONE, byId("banner-text"));
  write(byId("banner-act"), left > 0 ? `Try now (${left} s)` : "Trying …");
  show(byId("banner-act"), true);
}

function showStrip(state) {
  const running = state?.recording ?? null;
  document.body.classList.toggle("recording", Boolean(running));
  show(byId("strip"), Boolean(running) && tabNow() !== "record");
  if (!running) return;
  const who = running.by_me ? "" : state.seat.by ? ` by ${state.seat.by}` : " by another phone";
  const words = running.phase === "countdown" ? `starts in ${Math.ceil(running.countdown_s ?? 0)}` : `recording ${clock(running.seconds)}`;
  write(byId("strip-text"), `${running.clip_id}: ${words}${who}`);
  show(byId("strip-stop"), running.by_me);
}
