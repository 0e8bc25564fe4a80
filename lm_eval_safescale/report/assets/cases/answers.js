// What each model answered to a case: the table of answers, and one answer in full.
"use strict";

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
    parts.push(raw(text || "(empty)", { "aria-label": "Raw text" }));
  else
    parts.push(
      el(
        "p.note",
        data.texts === "none"
          ? "No texts of answers are stored in this report."
          : data.texts === "errors" && !(cell.bits[place] & mask([0, ...data.harms]))
            ? "The text is not stored: only those of errors are."
            : "The runs hold no text of this answer.",
      ),
    );
  const kinds = data.kinds.filter((kind, bit) => cell.bits[place] & (1 << bit) && kind.tone !== "right");
  const line = [code >= FIRST ? ["Read as ", own(codeWords(item, code))] : [codeWords(item, code)]];
  if (one("rule")) line.push([" by the rule “", own(one("rule")), "”"]);
  for (const kind of kinds)
    line.push([" · ", said(kind, kind.words)]);
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
  for (const [name, told] of facts)
    if (one(name) !== null && one(name) !== undefined) line.push([" · ", own(told(one(name)))]);
  parts.push(el("p.note", line.flat()));
  parts.push(...samples(item, place, cell, stored), ...verdicts(item, code), ...told(one("told")));
  return parts;
}

function told(view) {
  // what the family says of the response: cells are texts or chips
  if (!view) return [];
  const cell = (given) => (typeof given === "string" ? given : chip(given));
  const shown = (part) =>
    scrolling(
      part.title,
      table(
        "told",
        part.title,
        part.heads,
        part.rows.map(([first, ...rest]) =>
          el("tr", el("th", { scope: "row" }, cell(first)), rest.map((each) => el("td.given", { dir: "auto" }, cell(each)))),
        ),
      ),
    );
  return [
    ...view.notes.map((note) => el("p.note", { dir: "auto" }, note)),
    ...view.tables.map((part) =>
      part.folded
        ? el("details", el("summary", part.title), shown(part))
        : el("div", el("h4", part.title), shown(part)),
    ),
  ];
}

function samples(item, place, cell, stored) {
  const counts = stored.columns.samples[place],
    parts = [];
  if (!counts || !counts.length) return [];
  const between = data.responses ? ", " : "; "; // lists have commas of their own
  const told = [];
  for (let number = 0; number < counts.length; number += 2)
    told.push(number ? between : "", own(codeWords(item, counts[number])), ` ${counts[number + 1]}`);
  const sure = cell.sure[place];
  parts.push(el("p.note", `${cell.draws} samples: `, ...told, sure === UNKNOWN ? "" : ` · confidence ${sure} %`));
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
