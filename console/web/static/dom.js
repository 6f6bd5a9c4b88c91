/** Elements: found by id, made without HTML strings (what people typed is text, never markup). */

/** The element of an id; a missing one is a bug of ours and throws. */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element #${id}`);
  return found;
}

/**
 * A new element.
 * @param {string} tag
 * @param {Object} attributes class, text, on<event> functions, and attributes as they are; false and null are left out.
 * @param {...(Node|string|null)} children
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Sets text only where it differs, so that a screen reader is not told the same twice. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Shows or hides. */
export function show(element, shown) {
  element.hidden = !shown;
}

/** Puts words into an element and shows it; hides it where there are none. */
export function note(element, words, target = element) {
  write(target, words || "");
  show(element, Boolean(words));
}

/**
 * A group of big buttons of which one is chosen: radio buttons, so arrow keys and screen readers know them.
 * @param {HTMLElement} group emptied first
 * @param {string} name of the radio group
 * @param {{value: string, text: string, says?: string, swatch?: string, off?: boolean}[]} choices
 * @param {string|null} chosen
 * @param {(value: string) => void} onChoice
 */
export function fillChoices(group, name, choices, chosen, onChoice) {
  group.replaceChildren(
    ...choices.map((choice) => {
      const input = make("input", { type: "radio", name, value: choice.value, disabled: choice.off });
      input.checked = choice.value === chosen;
      input.addEventListener("change", () => input.checked && onChoice(choice.value));
      const words = make("span", { class: "words" }, make("b", { text: choice.text }));
      if (choice.says) words.append(make("small", { text: choice.says }));
      return make(
        "label",
        { class: "choice" },
        input,
        choice.swatch ? make("i", { class: `swatch ${choice.swatch}`, "aria-hidden": "true" }) : null,
        words,
      );
    }),
  );
}

/** The chosen value of a radio group, or null. */
export function chosenOf(group) {
  return group.querySelector("input:checked")?.value ?? null;
}

/** Chooses one of a radio group; false if there is no such one. */
export function choose(group, value) {
  for (const input of group.querySelectorAll("input")) input.checked = input.value === value;
  return chosenOf(group) === value;
}
