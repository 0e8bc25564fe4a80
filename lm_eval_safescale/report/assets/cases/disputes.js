// Cases whose key or label a reader disputes: marked, stored in the browser, saved to a file and loaded.
"use strict";

const DISPUTES = ["key wrong", "label wrong", "other"];

let marks = new Map(),
  storage = null; // by id: {dispute, note}

function openMarks() {
  for (const each of data.disputes)
    marks.set(each.question_id, { dispute: each.dispute, note: each.note || "", given: true });
  try {
    storage = window.localStorage;
    const found = JSON.parse(storage.getItem(data.marks) || "null");
    for (const [id, mark] of found || []) mark ? marks.set(id, mark) : marks.delete(id);
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
    const removed = data.disputes.map((each) => each.question_id).filter((each) => !marks.has(each));
    // of those that --exclude gave, also which a reader has removed
    if (storage) storage.setItem(data.marks, JSON.stringify([...marks, ...removed.map((each) => [each, null])]));
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
