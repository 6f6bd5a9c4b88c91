/** Record: what the clip is tagged with, the button, and what came of it. */

import { get, post } from "./api.js";
import { byId, choose, chosenOf, fillChoices, make, note, show, write } from "./dom.js";
import { showProtocol, proposedFor } from "./protocol.js";
import { startRunning } from "./running.js";
import { say } from "./say.js";
import { current, keep, on, phoneName, recall } from "./store.js";
import { tabNow } from "./tabs.js";
import { sentence, troubleOf } from "./words.js";

const MOST_PEOPLE = 9;
const LEGIBLE_MS = 6000; // words stay at least so long
const CLIP_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

let occupants = 1;
let ownName = false; // the clip's name was typed: it is kept, whatever is chosen
let vocabularyKey = "";
let consents = [];
let busy = false;
let refusedCode = ""; // why the last press was refused: taken off again once that is over
let refusedAtMs = 0;
let lastKey = "";

/** Starts the part. */
export function startRecord() {
  byId("consent").value = recall("consent", "");
  byId("room").value = recall("room", "");
  byId("phone-name").value = phoneName();
  byId("seconds").value = recall("seconds", "60");
  byId("countdown").value = recall("countdown", "5");
  byId("occupants-less").addEventListener("click", () => setOccupants(occupants - 1));
  byId("occupants-more").addEventListener("click", () => setOccupants(occupants + 1));
  byId("clip-id").addEventListener("input", () => {
    ownName = byId("clip-id").value.trim() !== "";
  });
  byId("consent").addEventListener("input", checkConsent);
  byId("phone-name").addEventListener("change", () => keep("phone", byId("phone-name").value.trim() || null));
  byId("seat-take").addEventListener("click", () => press(() => post("/api/seat", { take: true, phone: phoneName() })));
  byId("record-form").addEventListener("submit", (event) => {
    event.preventDefault();
    press(record);
  });
  byId("stop").addEventListener("click", () => press(stop));
  startRunning();
  on("state", showState);
  on("tab", (name) => name === "record" && refresh());
  on("back", refresh);
  on("clips", refresh);
}

function showState(state) {
  const key = JSON.stringify(state.vocabulary);
  if (key !== vocabularyKey) {
    vocabularyKey = key;
    fillVocabulary(byId("clothing"), "clothing", state.vocabulary.clothing, rename);
    fillVocabulary(byId("lighting"), "lighting", state.vocabulary.lighting, rename);
    refresh();
  }
  const running = state.recording;
  show(byId("record-form"), !running);
  show(byId("go"), !running);
  show(byId("stop"), Boolean(running?.by_me));
  write(byId("stop"), running?.phase === "countdown" ? "Cancel" : "Stop");
  const other = state.seat.taken && !state.seat.mine && !running;
  note(byId("seat-note"), other ? `${state.seat.by ?? "Another phone"} is at the rig.` : "", byId("seat-text"));
  note(byId("unfit"), state.health.level === "red" ? troubleOf(state.health) : "");
  const over = { unfit: state.health.level !== "red", seat: !state.seat.taken || state.seat.mine, busy: !running, gone: true };
  if (running || (over[refusedCode] && performance.now() - refusedAtMs > LEGIBLE_MS)) refuse("", "");
  showLast(state.last);
}

function refuse(words, code) {
  refusedCode = code;
  refusedAtMs = performance.now();
  write(byId("refused"), sentence(words));
}

/** Big buttons for the labels of a vocabulary. */
export function fillVocabulary(group, name, labels, onChoice, chosen = chosenOf(group)) {
  const choices = labels.map((label) => ({ value: label, text: label, swatch: `swatch-${label}` }));
  fillChoices(group, `${group.id}-${name}`, choices, chosen, onChoice);
}

function showLast(last) {
  const key = last ? `${last.clip_id} ${last.ended} ${last.says}` : "";
  if (key === lastKey) return;
  const news = lastKey !== "" || tabNow() === "record";
  lastKey = key;
  byId("last").className = `card last ${last?.level ?? ""}`;
  show(byId("last"), Boolean(last));
  // the verdict is a short first sentence; what led to it follows
  const [verdict, ...why] = last ? lastWords(last).split(/(?<=\.) /) : [""];
  byId("last-text").replaceChildren(make("b", { text: verdict }), ` ${why.join(" ")}`);
  if (last && news) {
    say(lastWords(last));
    refresh();
  }
}

function lastWords(last) {
  return last.clip_id ? `${last.clip_id}: ${sentence(last.says)}` : sentence(last.says);
}

/** Asks anew what is to be recorded next, and fills the form with it. */
async function refresh() {
  if (tabNow() !== "record" || !current()) return;
  try {
    const [proposal, protocol, known] = await Promise.all([get("/api/proposal"), get("/api/protocol"), get("/api/consents")]);
    consents = known;
    byId("consents").replaceChildren(...known.filter((one) => one.holds).map((one) => make("option", { value: one.id, text: one.says })));
    showProtocol(protocol, (clothing, lighting) => {
      choose(byId("clothing"), clothing);
      choose(byId("lighting"), lighting);
      rename();
      window.scrollTo({ top: 0 });
    });
    if (!current().recording) propose(proposal, protocol);
    checkConsent();
  } catch (refusal) {
    if (refusal.code !== "gone") refuse(refusal.message, refusal.code);
  }
}

function propose(proposal, protocol) {
  choose(byId("clothing"), proposal.clothing);
  choose(byId("lighting"), proposal.lighting);
  if (proposal.occupants !== null && proposal.occupants !== undefined) setOccupants(proposal.occupants, true);
  if (!byId("consent").value && proposal.consent) byId("consent").value = proposal.consent;
  if (!byId("room").value && proposal.room) byId("room").value = proposal.room;
  if (!ownName) byId("clip-id").value = proposal.clip_id;
  const left = protocol.total - protocol.done;
  const doubtful = protocol.cells.flat().filter((cell) => cell.state === "doubtful").length;
  const done = left <= 0;
  write(byId("next"), !done
    ? `${protocol.done} of ${protocol.total} recorded${doubtful ? `, ${doubtful} more in doubt` : ""}. Next: ${proposal.clothing} clothes, ${proposal.lighting} light.`
    : `All ${protocol.total} are recorded; more do no harm. `);
  if (done) byId("next").append(make("a", { href: "#calibrate", text: "Now calibrate" }));
}

function rename() {
  const name = proposedFor(chosenOf(byId("clothing")), chosenOf(byId("lighting")));
  if (!ownName && name) byId("clip-id").value = name;
}

function setOccupants(number, quietly = false) {
  occupants = Math.max(0, Math.min(MOST_PEOPLE, number));
  if (quietly) byId("occupants").setAttribute("aria-live", "off");
  write(byId("occupants"), String(occupants));
  byId("occupants").setAttribute("aria-live", "polite");
  byId("occupants-less").disabled = occupants === 0;
  byId("occupants-more").disabled = occupants === MOST_PEOPLE;
}

function checkConsent() {
  const typed = byId("consent").value.split(",").map((id) => id.trim()).filter(Boolean);
  const strange = typed.map((id) => consents.find((one) => one.id === id) ?? { id, holds: null });
  const broken = strange.find((one) => one.holds === false);
  const unknown = strange.find((one) => one.holds === null);
  const words = broken
    ? `${broken.id} does not hold: ${broken.says}`
    : unknown && consents.length
      ? `${unknown.id} is not in the ledger: note it there before the clip is used.`
      : "The id on the form that the person signed.";
  byId("consent-note").classList.toggle("bad", Boolean(broken));
  write(byId("consent-note"), words);
}

async function record() {
  const consent = byId("consent").value.trim();
  const clipId = byId("clip-id").value.trim();
  const clothing = chosenOf(byId("clothing"));
  const lighting = chosenOf(byId("lighting"));
  const missing = !clothing ? [byId("clothing").querySelector("input"), "Choose what the person wears."]
    : !lighting ? [byId("lighting").querySelector("input"), "Choose the light of the room."]
    : !consent ? [byId("consent"), "Type the consent's id first: nobody is recorded without one."]
    : !CLIP_ID.test(clipId) ? [byId("clip-id"), "The clip's name takes letters, digits, - and _, at most 64, and begins with a letter or digit."]
    : null;
  if (missing) {
    const [field, words] = missing;
    if (field === byId("clip-id")) byId("more").open = true;
    refuse(words, "tags");
    field?.focus();
    return;
  }
  const seconds = byId("seconds").value;
  for (const name of ["consent", "room", "seconds", "countdown"]) keep(name, byId(name).value.trim());
  await post("/api/record", {
    clip_id: clipId,
    clothing,
    lighting,
    occupants,
    consent,
    room: byId("room").value.trim(),
    tags: [],
    seconds: seconds ? Number(seconds) : null,
    countdown_s: Number(byId("countdown").value),
    phone: phoneName(),
  });
  ownName = false;
}

async function stop() {
  await post("/api/stop");
}

/** Runs what a button is for, once at a time, and says why it was refused. */
async function press(act) {
  if (busy) return;
  busy = true;
  refuse("", "");
  try {
    await act();
  } catch (refusal) {
    refuse(refusal.message, refusal.code);
  } finally {
    busy = false;
  }
}
