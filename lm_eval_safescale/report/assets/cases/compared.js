// Two answers side by side: a model under a condition, A, and another, B.
"use strict";

const PAIRS = {
  a_right_b_wrong: "A right, B wrong",
  a_wrong_b_right: "A wrong, B right",
  harm_gone: "harm gone",
  harm_come: "harm come",
};

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

function harmBits() {
  // that of the kind which is looked at, else all
  const bit = kindNamed(state.kind);
  return data.harms.includes(bit) ? [bit] : data.harms;
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

function drawCompared(cell) {
  // the two that are compared, and how many answers changed how
  const two = compared(),
    harms = harmBits();
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
