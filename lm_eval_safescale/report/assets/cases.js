"use strict";
// The case browser. Data come as scripts (`cases/NAME.js`), each gzip in base64; whatever comes from
// a run is shown as text alone. Addresses: report/cases/links.py. Bytes: report/cases/index.py.
(() => {
  const ROWS = 200; // of the list, at once
  const UNKNOWN = 255,
    MISSING = 0,
    FILTERED = 3,
    ERROR = 4,
    FIRST = 5;
  const SIGNS = { harm: "▲", warning: "△", right: "", plain: "" };
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
  const PAIRS = {
    a_right_b_wrong: "A right, B wrong",
    a_wrong_b_right: "A wrong, B right",
    harm_gone: "harm gone",
    harm_come: "harm come",
  };
  const DISPUTES = ["key wrong", "label wrong", "other"];
  const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/;
  const $ = (id) => document.getElementById(id);
  const compare = new Intl.Collator("en", { numeric: true }).compare;

  // --- elements ----------------------------------------------------------------------------------

  function el(what, ...children) {
    // el("td.chips", {attributes}, children...): texts are texts
    const [tag, ...classes] = what.split(".");
    const made = document.createElement(tag);
    if (classes.length) made.className = classes.join(" ");
    const given = children[0] && Object.getPrototypeOf(children[0]) === Object.prototype ? children.shift() : {};
    for (const [name, value] of Object.entries(given)) {
      if (typeof value === "function") made.addEventListener(name, value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
    }
    made.append(...children.flat().filter((each) => each !== null && each !== undefined && each !== ""));
    return made;
  }
  const table = (what, caption, heads, rows) =>
    el(
      `table.${what}`,
      el("caption.hidden", caption),
      el(
        what === "answers" ? "thead" : "thead.hidden",
        el(
          "tr",
          heads.map((head) => el("th", { scope: "col" }, head)),
        ),
      ),
      el("tbody", rows),
    );
  const scrolling = (label, ...children) =>
    el("div.scroll", { tabindex: "0", role: "region", "aria-label": label }, children);
  const button = (click, text, given = {}) => el("button", { type: "button", click, ...given }, text);
  const own = (text) => el("bdi", text); // of a run: its direction is its own
  const sign = (text) => el("span.sign", { "aria-hidden": "true" }, text);
  const chip = (given) => el(`span.chip.tone-${given[1]}`, SIGNS[given[1]] ? sign(SIGNS[given[1]]) : "", given[0]);
  const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

  // --- data --------------------------------------------------------------------------------------

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
  const isScored = (code) => code !== MISSING && code !== FILTERED && code !== ERROR;
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

  // --- disputes ----------------------------------------------------------------------------------

  let marks = new Map(),
    storage = null; // by id: {dispute, note}
  function openMarks() {
    for (const each of data.disputes)
      marks.set(each.question_id, { dispute: each.dispute, note: each.note || "", given: true });
    try {
      storage = window.localStorage;
      const found = JSON.parse(storage.getItem(data.marks) || "null");
      for (const [id, mark] of found || []) marks.set(id, mark);
    } catch {
      storage = null;
    }
    $("where").textContent = storage
      ? "Marks are stored in this browser."
      : "This browser stores nothing for pages from disk: save the marks before you close the page.";
  }
  function setMark(id, mark) {
    if (mark) marks.set(id, mark);
    else marks.delete(id);
    try {
      if (storage) storage.setItem(data.marks, JSON.stringify([...marks]));
    } catch {
      storage = null;
    }
  }
  const marked = () =>
    [...marks]
      .map(([question_id, { dispute, note }]) => ({ question_id, dispute, note }))
      .sort((a, b) => compare(a.question_id, b.question_id));

  async function loadMarks(file) {
    try {
      const found = JSON.parse(await file.text());
      if (!Array.isArray(found)) throw new Error("expected a list");
      const known = found.filter(
        (each) => each && data.place.has(String(each.question_id)) && DISPUTES.includes(each.dispute),
      );
      for (const each of known)
        setMark(String(each.question_id), { dispute: each.dispute, note: String(each.note || "") });
      const rest = found.length - known.length;
      await show(); // which says how many cases there are
      say(
        `${counted(known.length, "mark")} read${rest ? `; ${rest} are of no case here, or of an unknown kind` : ""}.`,
      );
    } catch (error) {
      say(`${file.name} is no file of disputes (${error.message}).`);
    }
  }

  function save(name, text, kind) {
    const link = el("a", { href: URL.createObjectURL(new Blob([text], { type: kind })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
  const csvCell = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    const safe = FORMULA.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  async function exportCsv(places) {
    const two = compared(),
      heads = [
        "question_id",
        ...data.groups.map((each) => each.name),
        "answers",
        countKind().name,
        "dispute",
        "note",
        ...(two ? two.map(nameOf) : []),
        "text",
      ];
    const rows = [heads];
    for (const place of places) {
      const item = await itemAt(place),
        mark = marks.get(data.items[place]) || {};
      rows.push([
        data.items[place],
        ...data.groups.map((each) => each.values[each.codes[place] - 1] || ""),
        found.scored[place],
        found.hits[place],
        mark.dispute,
        mark.note,
        ...(two ? two.map((cell) => codeWords(item, cell.codes[place])) : []),
        item.text,
      ]);
    }
    save("cases.csv", `\ufeff${rows.map((row) => row.map(csvCell).join(",")).join("\r\n")}\r\n`, "text/csv");
    say(`${counted(places.length, "case")} exported.`);
  }

  // --- view: what the address says -----------------------------------------------------------------

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
  function compared() {
    // [A, B], where two are compared
    const b = cellAt(state.with),
      a = data.cell.get(`${modelAt(state.model)}:${conditionAt(state.condition)}`);
    return a && b && a !== b ? [a, b] : null;
  }
  const isOf = {
    // of A and B at an item
    a_right_b_wrong: (a, b) => a.scored && b.scored && !(a.bits & 1) && b.bits & 1,
    a_wrong_b_right: (a, b) => a.scored && b.scored && a.bits & 1 && !(b.bits & 1),
    harm_gone: (a, b, harm) => a.scored && b.scored && a.bits & harm && !(b.bits & harm),
    harm_come: (a, b, harm) => a.scored && b.scored && !(a.bits & harm) && b.bits & harm,
  };
  const at = (cell, place) => ({ bits: cell.bits[place], scored: isScored(cell.codes[place]) });
  function harmMask() {
    // that of the kind which is looked at, else any
    const bit = kindNamed(state.kind);
    return mask(data.harms.includes(bit) ? [bit] : data.harms);
  }

  let found = { places: [], scored: [], hits: [], pairs: {} };
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
          hits[place] += code === FILTERED || code === ERROR;
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
      harm = harmMask();
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
  const answersOf = (cell) => (cell ? load(`answers-${cell.number}`) : null);

  // --- the list ------------------------------------------------------------------------------------

  let page = 0;
  function drawList() {
    const { places, hits } = found,
      kind = countKind();
    const current = data.place.get(state.item),
      at = places.indexOf(current);
    if (at >= 0) page = Math.floor(at / ROWS);
    page = Math.min(page, Math.max(0, Math.ceil(places.length / ROWS) - 1));
    const rows = places.slice(page * ROWS, (page + 1) * ROWS).map((place) => {
      const id = data.items[place],
        group = data.groups[0],
        label = group && group.values[group.codes[place] - 1];
      const mark = marks.get(id);
      return el(
        "li",
        el(
          "a",
          { href: address({ ...state, item: id, answer: "" }), "aria-current": place === current ? "true" : null },
          el("span.name", own(id), label ? el("span.note", " ", own(label)) : ""),
          mark ? el("span.mark", { title: `disputed: ${mark.dispute}` }, "✎", el("span.hidden", "disputed")) : "",
          el(
            `span.hits.${hits[place] ? `tone-${kind.tone}` : "none"}`,
            SIGNS[kind.tone] ? sign(SIGNS[kind.tone]) : "",
            String(hits[place]),
            el("span.hidden", ` ${kind.words}`),
          ),
        ),
      );
    });
    $("list").replaceChildren(...rows);
    const now = $("list").querySelector("[aria-current]");
    if (now) {
      // within the list: the page stays where it is
      const shift = now.offsetTop - $("list").scrollTop;
      if (shift < 0 || shift > $("list").clientHeight - now.offsetHeight)
        $("list").scrollTop += shift - $("list").clientHeight / 3;
    }
    const last = Math.ceil(places.length / ROWS) - 1;
    $("paging").hidden = last < 1;
    $("paging").replaceChildren(
      button(() => turn(-1), `Previous ${ROWS}`, { disabled: page === 0 }),
      el("span", ` ${page * ROWS + 1} to ${Math.min(places.length, (page + 1) * ROWS)} `),
      button(() => turn(1), `Next ${ROWS}`, { disabled: page >= last }),
    );
  }
  function turn(by) {
    page += by;
    const item = state.item;
    state.item = "";
    drawList();
    state.item = item;
    $("list").scrollTop = 0;
  }
  function say(text) {
    $("count").textContent = text;
  }

  function step(by) {
    const { places } = found;
    if (!places.length) return;
    const now = places.indexOf(data.place.get(state.item));
    const next = now < 0 ? (by > 0 ? 0 : places.length - 1) : Math.min(places.length - 1, Math.max(0, now + by));
    go({ item: data.items[places[next]], answer: "" });
  }

  // --- a case ----------------------------------------------------------------------------------------

  function kindsOf(place, cells) {
    // "7 of 9 wrong, ..."
    const scored = cells.filter((cell) => isScored(cell.codes[place]));
    const parts = data.kinds
      .map((kind, bit) => [kind, scored.filter((cell) => cell.bits[place] & (1 << bit)).length])
      .filter(([, number]) => number);
    return [
      `${scored.length} of ${counted(cells.length, "answer")} scored`,
      ...parts.flatMap(([kind, number]) => [
        " · ",
        el(`span.said.tone-${kind.tone}`, SIGNS[kind.tone] ? `${SIGNS[kind.tone]} ` : "", `${number} ${kind.words}`),
      ]),
    ];
  }
  const inView = () =>
    compared() ||
    data.cells.filter(
      (cell) =>
        (!state.model || data.models[cell.model].name === state.model) &&
        (!state.condition || data.conditions[cell.condition].name === state.condition),
    );

  function optionsTable(item, place, cells) {
    if (!item.options.length) return "";
    const scored = cells.filter((cell) => isScored(cell.codes[place]));
    const chosen = new Map(item.options.map((option) => [option.key, 0]));
    for (const cell of scored) {
      if (cell.codes[place] < FIRST) continue;
      for (const key of responseOf(item, cell.codes[place])[1]) chosen.set(key, (chosen.get(key) || 0) + 1);
    }
    const rows = item.options.map((option) =>
      el(
        "tr",
        el("th", { scope: "row" }, own(option.key)),
        el("td.given", { dir: "auto" }, option.text),
        el("td.chips", option.chips.map(chip)),
        el("td.number", `${chosen.get(option.key)} of ${scored.length}`),
      ),
    );
    return scrolling(
      "Options",
      table(
        "options",
        "Options, their labels, and how many answers chose each",
        ["Option", "Text", "Labels", "Chosen by"],
        rows,
      ),
    );
  }

  function words(text) {
    return (text.match(/\S+/g) || []).length;
  }
  function further(item, place) {
    const parts = item.texts.map(([title, text]) =>
      el(
        "details",
        el("summary", `${title} (${counted(words(text), "word")})`),
        el("pre", { dir: "auto", tabindex: "0" }, text),
      ),
    );
    for (const [condition, firsts] of Object.entries(data.contexts)) {
      const number = conditionAt(condition),
        body = el("div", "…");
      const part = el(
        "details",
        {
          toggle: async () => {
            if (!part.open || body.dataset.done) return;
            body.dataset.done = "yes";
            try {
              const shown = await shardOf(`context-${number}`, firsts, place);
              body.replaceChildren(
                ...(shown
                  ? [
                      el(
                        "p.note",
                        `${counted(shown.tokens, "token")}, ${counted(shown.passages, "passage")}`,
                        ...Object.entries(shown.measures).map(
                          ([name, value]) => `, ${name.replaceAll("_", " ")} ${value}`,
                        ),
                      ),
                      el(
                        "pre",
                        { dir: "auto", tabindex: "0" },
                        shown.text || "Nothing was found: the question was asked alone.",
                      ),
                    ]
                  : [el("p", "Nothing stood above this question.")]),
              );
            } catch (error) {
              body.textContent = error.message;
            }
          },
        },
        el("summary", "Shown under ", own(data.conditions[number].words)),
        body,
      );
      parts.push(part);
    }
    return parts;
  }

  function answerCell(item, place, cell, two) {
    const code = cell.codes[place],
      kinds = data.kinds.filter((kind, bit) => cell.bits[place] & (1 << bit));
    const tone = kinds.find((kind) => kind.tone === "harm")
      ? "harm"
      : kinds.find((kind) => kind.tone === "warning")
        ? "warning"
        : cell.bits[place] & 1
          ? "wrong"
          : "plain";
    const letter = code >= FIRST ? responseOf(item, code)[0] : code ? "–" : "";
    const sure = cell.sure[place] === UNKNOWN ? "" : String(cell.sure[place]);
    if (code === MISSING) return el("td", el("span.note", "", el("span.hidden", "not asked")));
    const which = two ? ["A", "B"][two.indexOf(cell)] : "";
    const label = [
      codeWords(item, code),
      sure && `${sure} % sure`,
      ...kinds.map((kind) => kind.words),
      which && `${which} of the comparison`,
    ]
      .filter(Boolean)
      .join(", ");
    return el(
      "td",
      el(
        `button.answer.tone-${tone}`,
        {
          type: "button",
          "aria-expanded": "false",
          "data-answer": nameOf(cell),
          "aria-label": `${data.models[cell.model].name}, ${data.conditions[cell.condition].words}: ${label}`,
          title: label,
          click: () => toggle(cell),
        },
        which ? el("span.which", which) : "",
        el("span.letter", own(letter), SIGNS[tone] || ""),
        el("span.sure", sure),
      ),
    );
  }

  function answersTable(item, place, two) {
    const used = data.conditions
      .map((_, number) => number)
      .filter((number) => data.cells.some((cell) => cell.condition === number));
    const harm = mask(data.harms),
      order = modelOrder;
    const rows = data.models
      .map((model, number) => ({
        model,
        number,
        cells: used.map((condition) => data.cell.get(`${number}:${condition}`)),
      }))
      .filter((row) => row.cells.some(Boolean));
    const weight = (row) =>
      row.cells.reduce(
        (sum, cell) => sum + (cell ? (cell.bits[place] & harm ? 1000 : 0) + (cell.bits[place] & 1) : 0),
        0,
      );
    if (order === "harm") rows.sort((a, b) => weight(b) - weight(a));
    const body = [];
    rows.forEach((row, number) => {
      const family = row.model.family;
      if (
        order !== "harm" &&
        rows.length > 12 &&
        rows.some((each) => each.model.family) &&
        (!number || family !== rows[number - 1].model.family)
      ) {
        body.push(
          el("tr.family", el("th", { scope: "rowgroup", colspan: used.length + 1 }, family ? own(family) : "others")),
        );
      }
      body.push(
        el(
          "tr",
          el("th", { scope: "row" }, own(row.model.name)),
          row.cells.map((cell) => (cell ? answerCell(item, place, cell, two) : el("td"))),
        ),
      );
    });
    const heads = ["Model", ...used.map((number) => own(data.conditions[number].words))];
    return scrolling("Answers of the models", table("answers", "Answers by model and condition", heads, body));
  }

  let modelOrder = "report";
  function orderSelect() {
    const select = el(
      "select",
      {
        change: () => {
          modelOrder = select.value;
          drawCase();
        },
      },
      [
        ["report", "by family and size"],
        ["harm", "most harm first"],
      ].map(([value, text]) => el("option", { value, selected: value === modelOrder }, text)),
    );
    return el("label.order", "Models ", select);
  }
  const toggle = (cell) => go({ answer: state.answer === nameOf(cell) ? "" : nameOf(cell) }, true);
  async function openAnswer(item, place) {
    const cell = cellAt(state.answer),
      named = state.answer,
      parts = cell ? await detail(item, place, cell) : [];
    if (state.answer !== named) return; // another was opened meanwhile
    for (const row of document.querySelectorAll("tr.opened")) row.remove();
    for (const each of document.querySelectorAll("button.answer")) {
      const is = Boolean(cell) && each.dataset.answer === named;
      each.setAttribute("aria-expanded", String(is));
      const row = each.closest("tr");
      if (is)
        row.after(
          el(
            "tr.opened",
            el(
              "td",
              { colspan: row.children.length },
              el("div.detail", { role: "region", "aria-label": "The answer" }, parts),
            ),
          ),
        );
    }
  }

  async function detail(item, place, cell) {
    const parts = [el("h3", ...wordsOf(cell))];
    let stored;
    try {
      stored = await answersOf(cell);
    } catch (error) {
      return [...parts, el("p", error.message)];
    }
    const { columns } = stored,
      code = cell.codes[place];
    const one = (name) => (columns[name] ? columns[name][place] : null);
    const text = columns.text ? stored.texts[columns.text[place]] : undefined;
    if (text !== undefined && text !== null)
      parts.push(el("pre", { dir: "auto", tabindex: "0", "aria-label": "Raw text" }, text || "(empty)"));
    else
      parts.push(
        el(
          "p.note",
          data.texts === "all"
            ? "The runs hold no text of this answer."
            : data.texts === "errors" && !(cell.bits[place] & mask([0, ...data.harms]))
              ? "The text is not stored: only those of errors are."
              : data.texts === "errors"
                ? "The runs hold no text of this answer."
                : "No texts of answers are stored in this report.",
        ),
      );
    const kinds = data.kinds.filter((kind, bit) => cell.bits[place] & (1 << bit) && kind.tone !== "right");
    const line = [code >= FIRST ? ["Read as ", own(codeWords(item, code))] : [codeWords(item, code)]];
    if (one("rule")) line.push([" by the rule “", own(one("rule")), "”"]);
    for (const kind of kinds)
      line.push([" · ", el(`span.said.tone-${kind.tone}`, SIGNS[kind.tone] ? `${SIGNS[kind.tone]} ` : "", kind.words)]);
    const facts = [
      ["completion_tokens", (value) => counted(value, "token")],
      ["latency_s", (value) => `${value} s`],
      ["finish_reason", (value) => `finish: ${value}`],
      ["seed", (value) => `seed ${value}`],
      ["read_as", (value) => `read as ${value}`],
      ["context_tokens", (value) => `context of ${counted(value, "token")}`],
      ["recall", (value) => `recall ${value}`],
      ["evidence_coverage", (value) => `evidence coverage ${value}`],
    ];
    for (const [name, said] of facts)
      if (one(name) !== null && one(name) !== undefined) line.push([" · ", own(said(one(name)))]);
    parts.push(el("p.note", line.flat()));
    parts.push(...samples(item, place, cell, stored), ...verdicts(item, code));
    return parts;
  }
  function samples(item, place, cell, stored) {
    const counts = stored.columns.samples[place],
      parts = [];
    if (!counts || !counts.length) return [];
    const between = data.responses ? ", " : "; "; // lists have commas of their own
    const said = [];
    for (let number = 0; number < counts.length; number += 2)
      said.push(number ? between : "", own(codeWords(item, counts[number])), ` ${counts[number + 1]}`);
    const sure = cell.sure[place];
    parts.push(el("p.note", `${cell.draws} samples: `, ...said, sure === UNKNOWN ? "" : ` · confidence ${sure} %`));
    const drawn = stored.columns.drawn && stored.columns.drawn[place];
    if (drawn && drawn.length) {
      const rows = [];
      for (let number = 0; number < drawn.length; number += 2)
        rows.push(
          el("li", `${drawn[number + 1]} × `, el("pre", { dir: "auto" }, stored.texts[drawn[number]] || "(empty)")),
        );
      parts.push(
        el(
          "details",
          el("summary", `Texts of the samples (${counted(rows.length, "different one")})`),
          el("ul.drawn", rows),
        ),
      );
    }
    return parts;
  }
  function verdicts(item, code) {
    // what choosing or leaving each option did
    if (!item.options.some((option) => option.did[0] || option.did[1])) return [];
    const keys = new Set(code >= FIRST ? responseOf(item, code)[1] : []),
      weight = { harm: 0, warning: 1, plain: 2, right: 3 };
    const rows = item.options
      .map((option) => ({ option, chosen: keys.has(option.key), did: option.did[keys.has(option.key) ? 0 : 1] }))
      .filter((row) => row.did)
      .sort((a, b) => weight[a.did[1]] - weight[b.did[1]]);
    const shown = (caption, some) =>
      table(
        "verdicts",
        caption,
        ["Option", "Grade", "What it does", "Text"],
        some.map((row) =>
          el(
            "tr",
            el("th", { scope: "row" }, own(row.option.key)),
            el("td", row.chosen ? "chosen" : "left"),
            el("td", chip(row.did)),
            el("td.given", { dir: "auto" }, row.option.text),
          ),
        ),
      );
    const right = rows.filter((row) => row.did[1] === "right"),
      rest = rows.filter((row) => row.did[1] !== "right");
    return [
      rest.length ? shown("What is wrong in the answer, by option", rest) : "",
      right.length
        ? el(
            "details",
            el("summary", `${counted(right.length, "option")} rightly chosen or left`),
            shown("Options rightly chosen or left", right),
          )
        : "",
    ];
  }

  function disputeForm(place) {
    const id = data.items[place],
      mark = marks.get(id);
    const kind = el(
      "select",
      { id: "dispute-kind" },
      el("option", { value: "" }, "not disputed"),
      DISPUTES.map((name) => el("option", { value: name, selected: Boolean(mark) && mark.dispute === name }, name)),
    );
    const note = el("input", { id: "dispute-note", type: "text", maxlength: "1000", value: mark ? mark.note : "" });
    const done = (event) => {
      event.preventDefault();
      setMark(id, kind.value ? { dispute: kind.value, note: note.value } : null);
      drawList();
      marksLine();
      say(kind.value ? `Case ${id} is marked: ${kind.value}.` : `Case ${id} is not disputed.`);
    };
    return el(
      "form.dispute",
      { "aria-label": "Dispute", submit: done },
      el("label", { for: "dispute-kind" }, "Dispute"),
      kind,
      el("label", { for: "dispute-note" }, "Note"),
      note,
      el("button", { type: "submit" }, "Mark"),
      mark && mark.given ? el("span.note", "given with --exclude") : "",
    );
  }
  function marksLine() {
    $("marks").textContent = marks.size ? `${counted(marks.size, "case")} disputed.` : "No case is disputed.";
  }

  async function sideBySide(item, place, two) {
    const sides = await Promise.all(
      two.map(async (cell, number) => {
        const [head, ...rest] = await detail(item, place, cell);
        head.prepend(el("span.which", ["A", "B"][number]), " ");
        const code = cell.codes[place];
        return el(
          "section.side",
          { "aria-label": ["A", "B"][number] },
          head,
          el(
            "p.big",
            own(codeWords(item, code)),
            cell.sure[place] === UNKNOWN ? "" : el("span.sure", ` ${cell.sure[place]} %`),
          ),
          ...rest,
        );
      }),
    );
    return el("div.sides", sides);
  }

  let drawing = 0;
  async function drawCase(focus) {
    const turn = ++drawing,
      place = data.place.get(state.item),
      body = $("case");
    if (place === undefined) {
      body.replaceChildren(
        state.item
          ? el("p", "There is no case ", own(state.item), " in this report.")
          : el(
              "p.note",
              found.places.length
                ? "Choose a case in the list, or press j."
                : "No case is like that: choose fewer filters.",
            ),
      );
      return;
    }
    const item = await itemAt(place),
      two = compared(),
      cells = inView();
    const sides = two ? await sideBySide(item, place, two) : "";
    if (turn !== drawing) return; // another was opened meanwhile
    const many = item.options.length > 8,
      short = item.text.length <= 600,
      groups = data.groups.map((each) => each.values[each.codes[place] - 1]).filter(Boolean);
    body.replaceChildren(
      el(
        "p.note",
        own(state.item),
        groups.flatMap((group) => [" · ", own(group)]),
      ),
      el(
        "h2.given",
        { id: "title", tabindex: "-1", dir: "auto" },
        short && item.text ? item.text : `Case ${state.item}`,
      ),
      short
        ? item.text
          ? ""
          : el("p.note", "Text not at hand.")
        : el("div.given.long", { dir: "auto", tabindex: "0", role: "region", "aria-label": "Text" }, item.text),
      el("p.note", kindsOf(place, cells)),
      many ? sides : "", // else they would stand far below
      optionsTable(item, place, cells),
      ...further(item, place),
      disputeForm(place),
      many ? "" : sides,
      el("h2", "What each model answered"),
      el(
        "p.note",
        data.sure
          ? "The greedy answer, and the confidence in percent of the samples' majority. "
          : "The greedy answer. ",
        data.harms.length ? "▲ and △ mark harm; a grey box is wrong." : "A grey box is wrong.",
        " Choose one for its text.",
        data.models.length > 1 ? orderSelect() : "",
      ),
      answersTable(item, place, two),
    );
    await openAnswer(item, place);
    if (focus) $("title").focus({ preventScroll: false });
  }

  // --- controls ----------------------------------------------------------------------------------------

  const option = (value, text) => el("option", { value }, text);
  function fill() {
    const set = (id, ...options) => $(id).replaceChildren(...options);
    set(
      "kind",
      option("", "all cases"),
      ...data.kinds.map((kind) => option(kind.name, `${SIGNS[kind.tone] ? `${SIGNS[kind.tone]} ` : ""}${kind.words}`)),
      option("not_scored", "not scored"),
    );
    set("condition", option("", "any"), ...data.conditions.map((each) => option(each.name, each.words)));
    set("model", option("", `all ${data.models.length}`), ...data.models.map((each) => option(each.name, each.name)));
    set("with-model", option("", "nothing"), ...data.models.map((each) => option(each.name, each.name)));
    set("with-condition", ...data.conditions.map((each) => option(each.name, each.words)));
    set(
      "group",
      option("", "all"),
      ...data.groups.map((each) =>
        el(
          "optgroup",
          { label: each.words },
          each.values.map((value) => option(`${each.name}:${value}`, value)),
        ),
      ),
    );
    $("notes").replaceChildren(...data.notes.map((note) => el("p.note", note)));
    const first = (list) => list[0] && list[0].name;
    const changed = {
      kind: () => ({ kind: $("kind").value, item: "" }),
      by: () => ({ by: $("by").value }),
      condition: () => ({ condition: $("condition").value }),
      model: () => ({ model: $("model").value }),
      group: () => ({ group: $("group").value }),
      marked: () => ({ marked: $("marked").value }),
      sort: () => ({ sort: $("sort").value }),
    };
    for (const [id, change] of Object.entries(changed)) $(id).addEventListener("change", () => go(change()));
    const other = () => {
      const model = $("with-model").value;
      if (!model) return go({ with: "", pair: "" });
      const chosen = { model: state.model || first(data.models), condition: state.condition || first(data.conditions) };
      return go({ ...chosen, with: `${model}@${$("with-condition").value}` });
    };
    $("with-model").addEventListener("change", other);
    $("with-condition").addEventListener("change", other);
    let timer;
    $("text").addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => go({ text: $("text").value }, true), 150);
    });
    $("filters").addEventListener("submit", (event) => event.preventDefault());
    $("clear").addEventListener("click", () => {
      $("text").value = "";
      location.hash = "";
    });
    $("export").addEventListener("click", () => exportCsv(found.places));
    $("save").addEventListener("click", () =>
      save("disputes.json", `${JSON.stringify(marked(), null, 1)}\n`, "application/json"),
    );
    $("load").addEventListener("change", () => {
      if ($("load").files[0]) loadMarks($("load").files[0]);
    });
    document.addEventListener("keydown", key);
  }
  function key(event) {
    if (
      !$("keys").checked ||
      event.ctrlKey ||
      event.metaKey ||
      event.altKey ||
      (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "checkbox")
    )
      return;
    const done = {
      j: () => step(1),
      k: () => step(-1),
      d: () => $("dispute-kind") && $("dispute-kind").focus(),
      c: () => {
        $("comparing").open = true;
        $("with-model").focus();
      },
      o: () => {
        const first = document.querySelector("button.tone-harm, button.tone-warning, button.tone-wrong, button.answer");
        if (first) {
          first.focus();
          first.click();
        }
      },
      "/": () => $("text").focus(),
    }[event.key];
    if (done) {
      event.preventDefault();
      done();
    }
  }
  function mirror() {
    // the controls say what the address says
    for (const id of ["kind", "by", "condition", "model", "group", "marked", "sort"]) {
      $(id).value = state[id] || { by: "any", sort: "count" }[id] || "";
      if ($(id).selectedIndex < 0) $(id).selectedIndex = 0;
    }
    if (document.activeElement !== $("text")) $("text").value = state.text || "";
    const cell = cellAt(state.with);
    $("with-model").value = cell ? data.models[cell.model].name : "";
    $("with-condition").value = cell
      ? data.conditions[cell.condition].name
      : state.condition || data.conditions[0].name;
    if (cell) $("comparing").open = true;
    drawCompared(cell);
  }
  function drawCompared(cell) {
    // the two that are compared, and how many answers changed how
    const two = compared(),
      bit = kindNamed(state.kind),
      harms = data.harms.includes(bit) ? [bit] : data.harms;
    $("compared").hidden = !cell;
    if (!cell) return;
    if (!two) {
      $("compared").replaceChildren(el("p", "Choose a model and a condition for A, other than those of B."));
      return;
    }
    const side = (which, of) => [el("span.which", which), " ", ...wordsOf(of), " "];
    const pair = (name, words, number) =>
      el(
        "li",
        el(
          "a",
          {
            href: address({ ...state, pair: name, item: "", answer: "" }),
            "aria-current": (state.pair || "") === name ? "true" : null,
          },
          words,
          number === undefined ? "" : el("span.number", ` ${number}`),
        ),
      );
    $("compared").replaceChildren(
      el("p", ...side("A", two[0]), ...side("B", two[1])),
      el(
        "ul",
        pair("", "all"),
        Object.entries(PAIRS)
          .filter(([name]) => harms.length || !name.startsWith("harm"))
          .map(([name, words]) => pair(name, words, found.pairs[name])),
      ),
      harms.length ? el("p.note", `Harm: ${harms.map((each) => data.kinds[each].words).join(", ")}.`) : "",
    );
  }

  let shown = 0;
  async function show() {
    const turn = ++shown,
      before = state;
    state = readAddress();
    if (state.kind && state.kind !== "not_scored" && kindNamed(state.kind) < 0) delete state.kind; // of another family
    const onlyAnswer =
      address({ ...before, answer: "" }) === address({ ...state, answer: "" }) &&
      before.answer !== state.answer &&
      $("title");
    if (onlyAnswer) {
      const place = data.place.get(state.item);
      return openAnswer(await itemAt(place), place);
    }
    const next = await filter();
    if (turn !== shown) return;
    found = next;
    mirror();
    drawList();
    marksLine();
    const kind = countKind();
    say(
      `${found.places.length.toLocaleString("en")} of ${counted(data.items.length, "case")}; behind each, how many of its answers are: ${kind.words}.`,
    );
    await drawCase(turn > 1 && before.item !== state.item);
  }

  document.addEventListener("DOMContentLoaded", async () => {
    try {
      read(await slot("index").promise);
    } catch (error) {
      say(`The index of the cases cannot be read (${error.message}).`);
      return;
    }
    openMarks();
    fill();
    window.addEventListener("hashchange", show);
    await show();
    document.documentElement.dataset.ready = "yes";
  });
})();
