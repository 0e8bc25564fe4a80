// The controls, the keys, and what happens when the address changes. It comes last.
"use strict";

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
  set("model", option("", data.models.length > 1 ? `all ${data.models.length}` : "any"), ...data.models.map((each) => option(each.name, each.name)));
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
      $("filtering").open = $("comparing").open = true;
      $("with-model").focus();
    },
    o: () => {
      const first = document.querySelector("button.tone-harm, button.tone-warning, button.tone-wrong, button.answer");
      if (first) {
        first.focus();
        first.click();
      }
    },
    "/": () => {
      $("filtering").open = true;
      $("text").focus();
    },
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

function heading() {
  // what is shown, in words
  const number = found.places.length,
    every = counted(data.items.length, "case"),
    two = compared();
  const under = (name) => [" under ", whole((data.conditions[conditionAt(name)] || { words: name }).words)];
  const parts = [
    state.kind && [": ", whole(countKind().words), state.by === "all" ? " in every answer" : ""],
    two && PAIRS[state.pair] && [`: ${PAIRS[state.pair]}`],
    two
      ? two.flatMap((cell, side) => [
          `, ${"AB"[side]}: `,
          own(data.models[cell.model].name),
          ...under(data.conditions[cell.condition].name),
        ])
      : (state.model || state.condition) && [
          ",",
          ...(state.model ? [" of ", own(state.model)] : []),
          ...(state.condition ? under(state.condition) : []),
        ],
    state.group && [", ", own(state.group.slice(state.group.indexOf(":") + 1))],
    state.text && [", with “", own(state.text), "”"],
    state.marked && [state.marked === "yes" ? ", disputed" : ", not disputed"],
  ];
  const said = number === data.items.length ? `All ${every}` : `${number.toLocaleString("en")} of ${every}`;
  return [said, ...parts.filter(Boolean).flat()];
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
    const place = opened();
    return openAnswer(await itemAt(place), place);
  }
  const next = await filter();
  if (turn !== shown) return;
  found = next;
  mirror();
  drawList();
  marksLine();
  const kind = countKind();
  $("heading").replaceChildren(...heading());
  say(`The number of each case: how many answers are “${kind.words}”.`);
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
  $("filtering").open = !window.matchMedia("(max-width: 50rem)").matches; // else they fill a phone's screen
  window.addEventListener("hashchange", show);
  await show();
  document.documentElement.dataset.ready = "yes";
});
