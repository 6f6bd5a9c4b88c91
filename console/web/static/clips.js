/** Clips: all that was recorded here, the newest first, each with its verdict in plain words. */

import { get } from "./api.js";
import { openClip } from "./clip.js";
import { byId, make, note, show, write } from "./dom.js";
import { current, on, tell } from "./store.js";
import { tabNow } from "./tabs.js";
import { colourOf, length, sentence, tagsOf, VERDICT, when } from "./words.js";

const LOOK_AGAIN_MS = 3000; // while the rig still looks at the quality of some

let timer = 0;
let shownKey = "";

/** Starts the part. */
export function startClips() {
  let lastEnded = null;
  on("tab", (name) => name === "clips" && refresh());
  on("back", refresh);
  on("clips", refresh);
  on("state", (state) => {
    const ended = state.last?.ended ?? null;
    if (ended !== lastEnded) refresh();
    lastEnded = ended;
  });
}

/** Asks for the list anew, if it is looked at. */
async function refresh() {
  clearTimeout(timer);
  if (tabNow() !== "clips") return;
  try {
    const clips = await get("/api/clips");
    note(byId("clips-note"), "");
    showList(clips);
    if (clips.some((clip) => !clip.quality)) timer = setTimeout(refresh, LOOK_AGAIN_MS);
  } catch (refusal) {
    note(byId("clips-note"), refusal.message);
    if (refusal.code === "gone") timer = setTimeout(refresh, LOOK_AGAIN_MS);
  }
}

function showList(clips) {
  const key = JSON.stringify(clips);
  show(byId("clips-empty"), clips.length === 0);
  write(byId("clips-count"), clips.length ? String(clips.length) : "");
  if (key === shownKey) return; // left alone, so that the focus stays where it is
  shownKey = key;
  const focused = document.activeElement?.dataset?.clip;
  byId("clips-list").replaceChildren(...clips.map(cardOf));
  if (focused) byId("clips-list").querySelector(`[data-clip="${CSS.escape(focused)}"]`)?.focus();
}

function cardOf(clip) {
  const picture = make("img", { class: "thumbnail", src: `/api/clips/${clip.clip_id}/thumb.jpg`, alt: "", loading: "lazy", width: 320, height: 180 });
  picture.addEventListener("error", () => picture.classList.add("broken"), { once: true });
  return make(
    "li",
    {},
    make(
      "button",
      { type: "button", class: "clip", "data-clip": clip.clip_id, onclick: () => openClip(clip, current()?.vocabulary, () => tell("clips")) },
      picture,
      make(
        "span",
        { class: "clip-words" },
        make("b", { text: clip.clip_id }),
        make("span", { text: `${tagsOf(clip)}, ${length(clip.seconds)}` }),
        make("span", { class: "soft", text: [when(clip.recorded), clip.synthetic ? "made up by the twin" : ""].filter(Boolean).join(" · ") }),
        verdictOf(clip),
      ),
    ),
  );
}

/** The verdict in words: what is wrong, if anything, before how good it is. */
function verdictOf(clip) {
  if (!clip.quality) return make("span", { class: "quality", text: "Not yet looked at" });
  const colour = colourOf(clip.quality.level);
  const worst = clip.quality.findings.find((each) => each.level === clip.quality.level) ?? clip.quality.findings[0];
  const words = colour === "green" || !worst ? "" : `: ${worst.says}`;
  return make(
    "span",
    { class: `quality ${colour}` },
    make("span", { class: "dot", "aria-hidden": "true" }),
    make("span", { text: sentence(`${VERDICT[clip.quality.level]}${words}`) }),
  );
}
