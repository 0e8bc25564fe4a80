// What the case browser shows: scripts (`cases/NAME.js`), each gzip in base64, decoded. Bytes: report/cases/index.py.
"use strict";

const UNKNOWN = 255,
  MISSING = 0,
  FILTERED = 3,
  UNJUDGED = 4,
  ERROR = 5,
  FIRST = 6;
const NOT_SCORED = [FILTERED, UNJUDGED, ERROR];

const arrived = new Map(); // name: {promise, done, fail}

function slot(name) {
  if (!arrived.has(name)) {
    const made = {};
    made.promise = new Promise((done, fail) => Object.assign(made, { done, fail }));
    arrived.set(name, made);
  }
  return arrived.get(name);
}

window.safescaleData = (name, packed) => unpacked(packed).then(slot(name).done, slot(name).fail);

async function unpacked(packed) {
  let bytes;
  if (Uint8Array.fromBase64) bytes = Uint8Array.fromBase64(packed);
  else {
    const text = atob(packed);
    bytes = new Uint8Array(text.length);
    for (let place = 0; place < text.length; place++) bytes[place] = text.charCodeAt(place);
  }
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

const json = (buffer) => JSON.parse(new TextDecoder().decode(buffer));
const asked = new Map();

function load(name) {
  // a shard, once
  if (!asked.has(name)) {
    const script = el("script", { src: `cases/${name}.js` });
    script.addEventListener("error", () => slot(name).fail(new Error(`cases/${name}.js cannot be read`)));
    document.head.append(script);
    asked.set(name, slot(name).promise.then(json));
  }
  return asked.get(name);
}

let data; // the index

function read(buffer) {
  const view = new DataView(buffer);
  const size = view.getUint32(0, true);
  data = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  let place = 4 + size;
  const n = data.items.length;
  const take = (width) => {
    const part = buffer.slice(place, place + n * width);
    place += n * width;
    return width === 1 ? new Uint8Array(part) : width === 2 ? new Uint16Array(part) : new Uint32Array(part);
  };
  for (const group of data.groups) group.codes = take(2);
  data.cells = data.pairs.map(([model, condition, draws], number) => ({
    number,
    model,
    condition,
    draws,
    codes: take(data.widths[0]),
    sure: take(1),
    bits: take(data.widths[1]),
  }));
  data.cell = new Map(data.cells.map((cell) => [`${cell.model}:${cell.condition}`, cell]));
  data.place = new Map(data.items.map((id, number) => [id, number]));
  data.order = Array.from(data.items, (_, number) => number).sort((a, b) => compare(data.items[a], data.items[b]));
  data.harms = data.kinds.map((kind, bit) => bit).filter((bit) => ["harm", "warning"].includes(data.kinds[bit].tone));
  data.gravest = Math.max(
    0,
    data.kinds.findIndex((kind) => kind.tone === "harm"),
  );
}

const modelAt = (name) => data.models.findIndex((each) => each.name === name);
const conditionAt = (name) => data.conditions.findIndex((each) => each.name === name);

function cellAt(named) {
  // MODEL@CONDITION
  const cut = (named || "").lastIndexOf("@");
  return cut < 0 ? undefined : data.cell.get(`${modelAt(named.slice(0, cut))}:${conditionAt(named.slice(cut + 1))}`);
}

const nameOf = (cell) => `${data.models[cell.model].name}@${data.conditions[cell.condition].name}`;
const wordsOf = (cell) => [own(data.models[cell.model].name), ", ", own(data.conditions[cell.condition].words)];
const isScored = (code) => code !== MISSING && !NOT_SCORED.includes(code);
const mask = (bits) => bits.reduce((sum, bit) => (sum | (1 << bit)) >>> 0, 0);

async function shardOf(names, firsts, place) {
  let number = firsts.length - 1;
  while (firsts[number] > place) number--;
  return (await load(`${names}-${number}`))[place - firsts[number]];
}

const itemAt = (place) => shardOf("items", data.shards, place);
const responseOf = (item, code) => (data.responses || item.responses)[code - FIRST]; // [words, keys]

const codeWords = (item, code) =>
  code >= FIRST
    ? responseOf(item, code)[0]
    : code
      ? data.no_answer[code].replace("unanswered", "no answer")
      : "not asked";

let haystacks;

async function texts() {
  // of all items, to search in
  if (!haystacks) {
    const parts = await Promise.all(data.shards.map((_, number) => load(`items-${number}`)));
    haystacks = parts
      .flat()
      .map((item, place) =>
        [data.items[place], item.text, ...item.options.map((each) => each.text), ...item.texts.map((each) => each[1])]
          .join("\n")
          .toLocaleLowerCase(),
      );
  }
  return haystacks;
}

const answersOf = (cell) => (cell ? load(`answers-${cell.number}`) : null);
