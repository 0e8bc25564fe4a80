// What every page does: theme, tables that sort, filter and turn pages, figures as PNG. No page needs it to be read.
"use strict";

(function () {
  const ROWS = 50; // of a table that are shown at once
  const FEW = 12; // rows of which nobody needs a filter
  const MANY = 2000; // rows of which a filter waits until nobody types
  const THEMES = ["system", "light", "dark"];

  // --- theme: before anything is painted -----------------------------------------------------------
  function stored() {
    try {
      return localStorage.getItem("safescale-theme") || "system";
    } catch {
      return "system"; // where storage is not allowed, the choice lasts as long as the page
    }
  }

  function apply(theme) {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  }

  apply(stored());

  function themeButton() {
    const button = document.querySelector("button.theme");
    if (!button) return;
    let theme = THEMES.includes(stored()) ? stored() : "system";
    const show = () => {
      button.querySelector("span").textContent = theme === "system" ? "as the system" : theme;
    };
    button.addEventListener("click", () => {
      theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
      try {
        localStorage.setItem("safescale-theme", theme);
      } catch {
        // as above
      }
      apply(theme);
      show();
    });
    show();
    button.hidden = false;
  }

  // --- tables --------------------------------------------------------------------------------------
  function element(name, properties, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  function liveTable(table) {
    const body = table.tBodies[0];
    const rows = Array.from(body.rows);
    const heads = Array.from(table.tHead.rows[0].cells);
    let column = -1, direction = "", page = 0, wanted = "", texts = null;

    function keyOf(row) {
      const cell = row.cells[column];
      if (!heads[column].classList.contains("number")) return cell.textContent.trim();
      return cell.dataset.order === undefined ? NaN : Number(cell.dataset.order);
    }

    function ordered() {
      if (wanted && !texts) texts = rows.map((row) => row.textContent.toLowerCase());
      const found = wanted ? rows.filter((_, number) => texts[number].includes(wanted)) : rows.slice();
      if (!direction) return found;
      const sign = direction === "ascending" ? 1 : -1;
      const keyed = found.map((row) => [keyOf(row), row]);
      keyed.sort(([a], [b]) => {
        if (typeof a === "string") return sign * a.localeCompare(b, undefined, { numeric: true });
        if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b); // not scored: last
        return sign * (a - b);
      });
      return keyed.map(([, row]) => row);
    }

    function show() {
      const found = ordered();
      const pages = Math.max(1, Math.ceil(found.length / ROWS));
      page = Math.min(page, pages - 1);
      const shown = found.slice(page * ROWS, (page + 1) * ROWS);
      for (const row of shown) row.hidden = false;
      body.replaceChildren(...shown);
      heads.forEach((head, number) => {
        if (number === column && direction) head.setAttribute("aria-sort", direction);
        else head.removeAttribute("aria-sort");
      });
      if (!tools) return;
      const first = found.length ? page * ROWS + 1 : 0;
      count.textContent = pages > 1
        ? `rows ${first} to ${first + shown.length - 1} of ${found.length}`
        : found.length === rows.length ? `${rows.length} rows` : `${found.length} of ${rows.length} rows`;
      previous.hidden = next.hidden = pages < 2;
      previous.disabled = page === 0;
      next.disabled = page === pages - 1;
    }

    heads.forEach((head, number) => {
      const button = element("button", { type: "button" }, ...head.childNodes);
      button.addEventListener("click", () => {
        const order = head.classList.contains("number")
          ? ["descending", "ascending", ""]
          : ["ascending", "descending", ""];
        direction = column === number ? order[(order.indexOf(direction) + 1) % 3] : order[0];
        column = number;
        page = 0;
        show();
      });
      head.append(button);
    });

    const count = element("span", { role: "status" });
    const previous = element("button", { type: "button", hidden: true }, "Previous rows");
    const next = element("button", { type: "button", hidden: true }, "Next rows");
    let tools = null;
    if (rows.length > FEW) {
      const filter = element("input", { type: "search", autocomplete: "off" });
      let waiting = 0;
      filter.addEventListener("input", () => {
        clearTimeout(waiting);
        waiting = setTimeout(() => {
          wanted = filter.value.trim().toLowerCase();
          page = 0;
          show();
        }, rows.length > MANY ? 60 : 0);
      });
      previous.addEventListener("click", () => { page -= 1; show(); });
      next.addEventListener("click", () => { page += 1; show(); });
      tools = element("div", { className: "tools" }, element("label", {}, "Filter rows", filter), count, previous, next);
      table.closest(".scroll").before(tools);
      show();
    }
  }

  // --- a figure as PNG: its colours resolved, drawn twice as large -----------------------------------
  const RESOLVED = [
    "fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "stroke-linejoin",
    "paint-order", "font-family", "font-size", "font-weight", "font-variant-numeric", "text-anchor",
  ];

  function resolved(drawing) {
    const copy = drawing.cloneNode(true);
    const from = [drawing, ...drawing.querySelectorAll("*")];
    const to = [copy, ...copy.querySelectorAll("*")];
    from.forEach((each, number) => {
      const style = getComputedStyle(each);
      for (const name of RESOLVED) to[number].setAttribute(name, style.getPropertyValue(name));
    });
    return copy;
  }

  function savePng(button) {
    const drawing = Array.from(button.closest("figure").querySelectorAll("svg"))
      .find((each) => each.getBoundingClientRect().width > 0);
    if (!drawing) return;
    const { width, height } = drawing.viewBox.baseVal;
    const copy = resolved(drawing);
    copy.setAttribute("width", width);
    copy.setAttribute("height", height);
    const image = new Image();
    image.addEventListener("load", () => {
      const canvas = element("canvas", { width: 3 * width, height: 3 * height });
      const context = canvas.getContext("2d");
      context.fillStyle = getComputedStyle(document.body).backgroundColor;
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.drawImage(image, 0, 0, canvas.width, canvas.height);
      canvas.toBlob((blob) => {
        const href = URL.createObjectURL(blob);
        element("a", { href, download: `${button.dataset.name}.png` }).click();
        setTimeout(() => URL.revokeObjectURL(href), 10000);
      });
    });
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
  }

  // --- what is folded: open where a link leads into it, and in print --------------------------------
  function unfold() {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const fold = target && (target.querySelector(":scope > details.fold") || target.closest("details"));
    if (fold) fold.open = true;
  }

  window.addEventListener("hashchange", unfold);
  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details.fold").forEach((fold) => { fold.open = true; });
  });

  document.addEventListener("DOMContentLoaded", () => {
    unfold();
    themeButton();
    document.querySelectorAll("table.data").forEach((table) => table.tHead && liveTable(table));
    document.querySelectorAll("button.png").forEach((button) => {
      button.addEventListener("click", () => savePng(button));
      button.hidden = false;
    });
  });
})();
