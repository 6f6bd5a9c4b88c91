/** One clip: play it, its verdict, mend its tags, take it away, delete it. */

import { post, remove } from "./api.js";
import { byId, chosenOf, note, show, write } from "./dom.js";
import { showFindings } from "./frame.js";
import { Player } from "./player.js";
import { fillVocabulary } from "./record.js";
import { ask, say } from "./say.js";
import { phoneName } from "./store.js";
import { colourOf, sentence, size, VERDICT, when } from "./words.js";

let clip = null;
let player = null;
let onChange = () => {};

/** Starts the dialog; once. */
export function startClip() {
  player = new Player();
  const dialog = byId("clip-dialog");
  dialog.addEventListener("close", () => player.close());
  byId("mend").addEventListener("submit", (event) => {
    event.preventDefault();
    mend();
  });
  byId("clip-delete").addEventListener("click", erase);
}

/**
 * Opens a clip.
 * @param {Object} chosen as /api/clips lists it
 * @param {{clothing: string[], lighting: string[]}} vocabulary
 * @param {() => void} changed called after its tags were mended or it was deleted
 */
export function openClip(chosen, vocabulary, changed) {
  clip = chosen;
  onChange = changed;
  write(byId("clip-title"), clip.clip_id);
  write(byId("clip-error"), "");
  showVerdict();
  fillVocabulary(byId("mend-clothing"), "mend", withOwn(vocabulary.clothing, clip.clothing), () => {}, clip.clothing);
  fillVocabulary(byId("mend-lighting"), "mend", withOwn(vocabulary.lighting, clip.lighting), () => {}, clip.lighting);
  byId("mend-occupants").value = String(clip.occupants);
  byId("mend-consent").value = clip.consent ?? "";
  byId("mend-room").value = clip.room ?? "";
  byId("mend-tags").value = (clip.tags ?? []).join(", ");
  write(byId("mend-note"), "");
  byId("clip-facts").replaceChildren(
    ...Object.entries({ Recorded: when(clip.recorded), Size: size(clip.bytes), State: clip.state }).map(([name, value]) => {
      const fact = document.createElement("div");
      const term = document.createElement("dt");
      const told = document.createElement("dd");
      term.textContent = name;
      told.textContent = value;
      fact.append(term, told);
      return fact;
    }),
  );
  byId("clip-download").href = `/api/clips/${clip.clip_id}/download`;
  const dialog = byId("clip-dialog");
  dialog.showModal();
  dialog.scrollTop = 0;
  player.open(clip).catch((refusal) => write(byId("clip-error"), refusal.message));
}

/** The vocabulary's labels, and the clip's own where they lack it ("unknown"). */
function withOwn(labels, own) {
  return labels.includes(own) ? labels : [...labels, own];
}

function showVerdict() {
  const quality = clip.quality;
  const heading = byId("clip-verdict");
  heading.className = quality ? `quality ${colourOf(quality.level)}` : "quality";
  const dot = document.createElement("span");
  dot.className = "dot";
  dot.setAttribute("aria-hidden", "true");
  heading.replaceChildren(dot, quality ? VERDICT[quality.level] : "Not yet looked at");
  showFindings(byId("clip-findings"), quality?.findings ?? []);
  show(byId("clip-findings"), Boolean(quality?.findings.length));
}

async function mend() {
  const occupants = Number(byId("mend-occupants").value);
  if (!Number.isInteger(occupants) || occupants < 0 || byId("mend-occupants").value === "") {
    write(byId("mend-note"), "People in view: give a whole number, 0 or more.");
    byId("mend-occupants").focus();
    return;
  }
  const tags = {
    clothing: chosenOf(byId("mend-clothing")),
    lighting: chosenOf(byId("mend-lighting")),
    occupants,
    consent: byId("mend-consent").value.trim(),
    room: byId("mend-room").value.trim(),
    tags: byId("mend-tags").value.split(",").map((tag) => tag.trim()).filter(Boolean),
  };
  const changed = Object.fromEntries(Object.entries(tags).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(clip[name] ?? (name === "tags" ? [] : ""))));
  if (!Object.keys(changed).length) {
    write(byId("mend-note"), "Nothing was changed.");
    return;
  }
  try {
    await post(`/api/clips/${clip.clip_id}/tags`, { ...changed, phone: phoneName() });
    clip = { ...clip, ...changed };
    write(byId("mend-note"), "Saved. What stood there before is kept in the clip's history.");
    onChange();
  } catch (refusal) {
    write(byId("mend-note"), sentence(refusal.message));
  }
}

async function erase() {
  const gone = clip;
  const sure = await ask(
    `Delete ${gone.clip_id}?`,
    `${gone.clip_id} (${size(gone.bytes)}) is deleted from the rig for good. Nobody can bring it back, unless it was downloaded.`,
    `Delete ${gone.clip_id}`,
  );
  if (!sure) return;
  try {
    await remove(`/api/clips/${gone.clip_id}`, { confirm: gone.clip_id });
    byId("clip-dialog").close();
    say(`${gone.clip_id} is deleted.`);
    onChange();
  } catch (refusal) {
    note(byId("clip-error"), sentence(refusal.message));
  }
}
