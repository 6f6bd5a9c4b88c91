/** Figures in words that a technician reads at a glance. */

/** An age in seconds: "now", "0.4 s ago", "3 min ago"; "never" for null. */
export function age(seconds) {
  if (seconds === null || seconds === undefined) return "never";
  if (seconds < 0.95) return `${Math.max(0, seconds).toFixed(1)}\u00a0s ago`;
  if (seconds < 99) return `${Math.round(seconds)}\u00a0s ago`;
  return seconds < 7200 ? `${Math.round(seconds / 60)}\u00a0min ago` : `${Math.round(seconds / 3600)}\u00a0h ago`;
}

/** A length in seconds as m:ss. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** A length in seconds, rounded: "12 s", "3 min". */
export function length(seconds) {
  if (seconds < 100) return `${Math.round(seconds)}\u00a0s`;
  return seconds < 6000 ? `${Math.round(seconds / 60)}\u00a0min` : `${(seconds / 3600).toFixed(1)}\u00a0h`;
}

/** What the disk bears, of minutes: null is not known. */
export function disk(minutes) {
  if (minutes === null || minutes === undefined) return "not known";
  if (minutes < 1) return "full";
  return minutes < 600 ? `${Math.floor(minutes)} minutes left` : `${Math.floor(minutes / 60)} hours left`;
}

/** Bytes: "1.3 MB". */
export function size(bytes) {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

/** A temperature in degC, one decimal. */
export function degrees(celsius) {
  return `${celsius.toFixed(1)}\u00a0°C`;
}

/** An ISO time as day and time of this phone's place. */
export function when(iso) {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return "";
  const today = time.toDateString() === new Date().toDateString();
  const clockTime = time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return today ? `today ${clockTime}` : `${time.toLocaleDateString([], { day: "numeric", month: "short", year: "numeric" })} ${clockTime}`;
}

/** "1 clip", "2 clips". */
export function count(number, one, many = `${one}s`) {
  return `${number} ${number === 1 ? one : many}`;
}

/** The health light in one or two words. */
export const LIGHT = { green: "All well", amber: "It will do", red: "Not fit" };

/** A clip's verdict in a word. */
export const VERDICT = {
  green: "Good", amber: "Doubtful", red: "Do not use",
  ok: "Good", warn: "Doubtful", fail: "Do not use",
};

/** green, amber or red of either kind of level. */
export function colourOf(level) {
  return { ok: "green", warn: "amber", fail: "red" }[level] ?? level;
}

/** "red, bright, 1 person". */
export function tagsOf(clip) {
  const people = clip.occupants === 0 ? "nobody" : count(clip.occupants, "person", "people");
  return `${clip.clothing}, ${clip.lighting}, ${people}`;
}

/** What is wrong with the rig and the one thing to do, as sentences; empty if it is well. */
export function troubleOf(health) {
  if (health.level === "green") return "";
  const worst = health.findings.find((each) => each.level === health.level);
  return [worst ? sentence(`${worst.what}: ${worst.says}`) : "", sentence(health.advice)].filter(Boolean).join(" ");
}

/** First letter large, full stop at the end: a finding as a sentence. */
export function sentence(words) {
  const text = (words || "").trim();
  if (!text) return "";
  const full = text[0].toUpperCase() + text.slice(1);
  return /[.!?]$/.test(full) ? full : `${full}.`;
}
