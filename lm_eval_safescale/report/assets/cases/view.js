// Which cases are looked at, as the address says (report/cases/links.py), and those that are like that.
"use strict";

const FIELDS = [
  "condition",
  "model",
  "kind",
  "by",
  "group",
  "text",
  "marked",
  "with",
  "pair",
  "sort",
  "item",
  "answer",
];

let state = {};

function readAddress() {
  const given = {};
  for (const part of location.hash.slice(1).split("&")) {
    const cut = part.indexOf("=");
    if (cut < 1 || !FIELDS.includes(part.slice(0, cut))) continue;
    try {
      given[part.slice(0, cut)] = decodeURIComponent(part.slice(cut + 1));
    } catch {
      /* no text */
    }
  }
  return given;
}

const address = (view) =>
  "#" +
  FIELDS.filter((name) => view[name])
    .map((name) => `${name}=${encodeURIComponent(view[name])}`)
    .join("&");

function go(changes, quiet) {
  const next = address({ ...state, ...changes });
  if (next === address(state)) return;
  if (quiet) {
    history.replaceState(null, "", next);
    show();
  } else location.hash = next;
}

const kindNamed = (name) => data.kinds.findIndex((kind) => kind.name === name);

const countKind = () =>
  data.kinds[kindNamed(state.kind)] ||
  (state.kind === "not_scored"
    ? { name: "not_scored", words: "not scored", tone: "plain" }
    : data.kinds[data.gravest] || { name: "answers", words: "scored", tone: "plain" });

const at = (cell, place) => ({ bits: cell.bits[place], scored: isScored(cell.codes[place]) });
let found = { places: [], scored: [], hits: [], pairs: {} };

// the place of the case that is open: the one in the address, else the first of the list
const opened = () => (state.item ? data.place.get(state.item) : found.places[0]);

const inView = () =>
  compared() ||
  data.cells.filter(
    (cell) =>
      (!state.model || data.models[cell.model].name === state.model) &&
      (!state.condition || data.conditions[cell.condition].name === state.condition),
  );

async function filter() {
  const n = data.items.length,
    model = modelAt(state.model),
    condition = conditionAt(state.condition),
    two = compared();
  const scored = new Uint32Array(n),
    hits = new Uint32Array(n),
    surest = new Uint8Array(n);
  const bit = kindNamed(state.kind),
    unscored = state.kind === "not_scored";
  const wanted = (1 << (bit < 0 ? data.gravest : bit)) >>> 0;
  for (const cell of two || data.cells) {
    if (!two && ((state.model && cell.model !== model) || (state.condition && cell.condition !== condition)))
      continue;
    const { codes, bits, sure } = cell;
    for (let place = 0; place < n; place++) {
      const code = codes[place];
      if (unscored) {
        scored[place] += code !== MISSING;
        hits[place] += NOT_SCORED.includes(code);
        continue;
      }
      if (!isScored(code)) continue;
      scored[place]++;
      if (!data.kinds.length || bits[place] & wanted) {
        hits[place]++;
        if (sure[place] !== UNKNOWN && sure[place] > surest[place]) surest[place] = sure[place];
      }
    }
  }
  const cut = (state.group || "").indexOf(":"),
    group = data.groups.find((each) => each.name === (state.group || "").slice(0, cut));
  const value = group ? 1 + group.values.indexOf(state.group.slice(cut + 1)) : 0;
  const text = (state.text || "").trim().toLocaleLowerCase(),
    hay = text ? await texts() : null;
  const answers =
    text && !two && model >= 0 && condition >= 0 ? await answersOf(data.cell.get(`${model}:${condition}`)) : null;
  const inAnswer = (place) =>
    answers &&
    answers.columns.text &&
    (answers.texts[answers.columns.text[place]] || "").toLocaleLowerCase().includes(text);
  const pairs = Object.fromEntries(Object.keys(PAIRS).map((name) => [name, 0])),
    harm = mask(harmBits());
  const places = data.order.filter((place) => {
    if (state.kind && !(hits[place] && (state.by !== "all" || hits[place] === scored[place]))) return false;
    if (state.group && (!group || group.codes[place] !== value)) return false;
    if (state.marked && marks.has(data.items[place]) !== (state.marked === "yes")) return false;
    if (text && !hay[place].includes(text) && !inAnswer(place)) return false;
    if (!two) return !state.kind ? scored[place] > 0 || !(state.model || state.condition) : true;
    const [a, b] = two.map((cell) => at(cell, place));
    for (const name of Object.keys(PAIRS)) if (isOf[name](a, b, harm)) pairs[name]++;
    return !isOf[state.pair] || isOf[state.pair](a, b, harm);
  });
  const sort = state.sort || "count";
  if (sort === "count") places.sort((a, b) => hits[b] - hits[a]); // stable: by id within
  if (sort === "confidence") places.sort((a, b) => surest[b] - surest[a] || hits[b] - hits[a]);
  return { places, scored, hits, pairs };
}
