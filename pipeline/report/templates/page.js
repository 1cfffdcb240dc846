"use strict";
(() => {
  // Tables: a click on a head sorts by that column; numbers by `data-value`.
  const key = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
  };
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return Number.isNaN(a) ? 1 : Number.isNaN(b) ? -1 : a - b;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...table.tBodies[0].rows].sort((a, b) => compare(key(a, column), key(b, column)));
        table.tBodies[0].append(...(down ? rows.reverse() : rows));
      });
    });
  }

  // Charts: those in sight at once, the others when there is time, all before the page is printed.
  const data = document.getElementById("charts");
  if (!data) return;
  const { config, specs } = JSON.parse(data.textContent);
  const waiting = new Set(document.querySelectorAll(".chart"));
  const failed = (place, error) => {
    place.textContent = "This chart could not be drawn: " + error.message;
    console.error(error);
  };
  const draw = (place) => {
    if (!waiting.delete(place)) return Promise.resolve();
    const options = { mode: "vega-lite", renderer: "svg", actions: false, ast: true, config, tooltip: { theme: "custom" } };
    return window.vegaEmbed(place, specs[place.dataset.chart], options).then(
      () => { place.dataset.drawn = "yes"; }, (error) => failed(place, error));
  };
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { near.unobserve(entry.target); draw(entry.target); }
  }, { rootMargin: "300px" });
  waiting.forEach((place) => near.observe(place));
  const idle = window.requestIdleCallback || ((work) => setTimeout(work, 30));
  const next = () => {
    const [place] = waiting;
    if (place) draw(place).then(() => idle(next));
    else document.documentElement.dataset.charts = "drawn";
  };
  window.addEventListener("load", () => idle(next));
  window.addEventListener("beforeprint", () => waiting.forEach(draw));
})();
