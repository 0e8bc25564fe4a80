// One case: its text, options, and what stood above it.
"use strict";

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
      said(kind, `${number} ${kind.words}`),
    ]),
  ];
}

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
      raw(text),
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
                    raw(shown.text || "Nothing was found: the question was asked alone."),
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

let drawing = 0;

async function drawCase(focus) {
  const turn = ++drawing,
    place = opened(),
    id = data.items[place],
    body = $("case");
  if (place === undefined) {
    body.replaceChildren(
      state.item
        ? el("p", "There is no case ", own(state.item), " in this report.")
        : el("p.note", "No case is like that: choose fewer filters."),
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
      own(id),
      groups.flatMap((group) => [" · ", own(group)]),
    ),
    el(
      "h2.given",
      { id: "title", tabindex: "-1", dir: "auto" },
      short && item.text ? item.text : `Case ${id}`,
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
