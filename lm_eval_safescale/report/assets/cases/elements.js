// Elements of the case browser: texts are texts, and whatever comes from a run is nothing else.
"use strict";

const SIGNS = { harm: "▲", warning: "△", right: "", plain: "" };
const $ = (id) => document.getElementById(id);
const compare = new Intl.Collator("en", { numeric: true }).compare;

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
      ["answers", "told"].includes(what) ? "thead" : "thead.hidden",
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
const whole = (text) =>
  el("span", ...text.split(/((?<![\w-])[A-Za-z]{1,12}-[A-Za-z]{1,12}(?![\w-]))/).map((part, odd) => (odd % 2 ? el("span.whole", part) : part)));
const sign = (text) => el("span.sign", { "aria-hidden": "true" }, text);
const chip = (given) => el(`span.chip.tone-${given[1]}`, SIGNS[given[1]] ? sign(SIGNS[given[1]]) : "", given[0]);
const said = (kind, text) =>
  el(`span.said.tone-${kind.tone}`, SIGNS[kind.tone] ? `${SIGNS[kind.tone]} ` : "", text);
const raw = (text, given = {}) => el("pre", { dir: "auto", tabindex: "0", ...given }, text);
const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

function say(text) {
  $("count").textContent = text;
}

function save(name, text, kind) {
  const link = el("a", { href: URL.createObjectURL(new Blob([text], { type: kind })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
