// The list of the cases that are looked at, a page at a time, and its CSV file.
"use strict";

const ROWS = 200; // of the list, at once
let page = 0;

function drawList() {
  const { places, hits } = found,
    kind = countKind();
  const current = opened(),
    at = places.indexOf(data.place.get(state.item));
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

function step(by) {
  const { places } = found;
  if (!places.length) return;
  const now = places.indexOf(opened());
  const next = now < 0 ? (by > 0 ? 0 : places.length - 1) : Math.min(places.length - 1, Math.max(0, now + by));
  go({ item: data.items[places[next]], answer: "" });
}

const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/;

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
