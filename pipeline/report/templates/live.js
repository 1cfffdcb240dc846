"use strict";
(() => {
  // The pages of `ctrl ui` ask once in a while how things stand.
  const body = document.body;
  const every = 2000;
  const duration = (seconds) => {
    if (seconds === null) return "–";
    if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
    const whole = Math.round(seconds);
    if (whole < 60) return `${whole} s`;
    if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
    return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  };
  const index = (runs) => {
    const rows = document.querySelectorAll("tr[data-run]");
    if (runs.length !== rows.length) return location.reload();
    const known = new Map([...rows].map((row) => [row.dataset.run, row]));
    for (const run of runs) {
      const row = known.get(run.id);
      if (!row || row.dataset.state !== run.state) return location.reload();
      row.querySelector(".time").textContent = duration(run.seconds);
      row.querySelector(".current").textContent = run.current || "";
    }
  };
  const progress = (run) => {
    // What ended leads to its report, as soon as there is one.
    if (run.state !== body.dataset.state || (run.has_report && run.state !== "running")) return location.reload();
    document.getElementById("elapsed").textContent = duration(run.seconds);
    const items = new Map([...document.querySelectorAll("li[data-node]")].map((item) => [item.dataset.node, item]));
    run.steps.forEach((step, at) => {
      const item = items.get(step.node);
      if (!item) return;
      item.dataset.state = step.state;
      item.querySelector(".state").className = "state " + step.colour;
      item.querySelector(".state").textContent = step.word;
      item.querySelector(".time").textContent = step.state === "open" || step.state === "cached" ? "" : duration(step.seconds);
      document.querySelectorAll(".pipeline circle")[at].setAttribute("class", step.colour);
    });
  };
  const look = async () => {
    try {
      const answer = await fetch(body.dataset.source, { cache: "no-store" });
      if (answer.ok) (body.dataset.page === "index" ? index : progress)(await answer.json());
      body.dataset.offline = answer.ok ? "" : "yes";
    } catch (error) {
      body.dataset.offline = "yes";
    }
    setTimeout(look, every);
  };
  if (body.dataset.source) setTimeout(look, every);
})();
