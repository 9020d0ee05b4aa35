(() => {
  "use strict";

  const text = (cell) => cell.textContent.replace(/\s+/g, " ").trim();
  const isMissing = (cell) => !cell || cell.matches(".missing, .number:not([data-value])");

  // Missing cells stay last in both directions.
  function compare(a, b, direction) {
    if (isMissing(a) || isMissing(b)) return isMissing(a) - isMissing(b);
    if ("value" in a.dataset && "value" in b.dataset) {
      return direction * (Number(a.dataset.value) - Number(b.dataset.value));
    }
    return direction * text(a).localeCompare(text(b), undefined, { numeric: true });
  }

  function sort(table, column, heading) {
    const rising = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", rising ? "ascending" : "descending");
    const body = table.tBodies[0];
    const rows = [...body.rows];
    rows.sort((a, b) => compare(a.cells[column], b.cells[column], rising ? 1 : -1));
    body.append(...rows);
  }

  function makeSortable(table) {
    if (table.tBodies[0].rows.length < 2) return;
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => sort(table, column, heading));
    });
  }

  // A spreadsheet would run a text that begins like a formula.
  const harmless = (words) => (/^[=+\-@\t]/.test(words) ? "'" + words : words);

  function cells(row, withEnds) {
    return [...row.cells].flatMap((cell, column) => {
      const ends = withEnds[column];
      if (isMissing(cell)) return ends ? ["", "", ""] : [""];
      if (!("value" in cell.dataset)) return [harmless(text(cell.querySelector(".name")))];
      const { value, low = "", high = "" } = cell.dataset;
      return ends ? [value, low, high] : [value];
    });
  }

  function tsv(table) {
    const rows = [...table.tBodies[0].rows];
    const columns = [...table.tHead.rows[0].cells];
    const withEnds = columns.map((_, i) => rows.some((row) => row.cells[i]?.dataset.low));
    const head = columns.flatMap((column, i) => {
      const name = column.dataset.heading;
      return withEnds[i] ? [name, `${name} low`, `${name} high`] : [name];
    });
    return [head, ...rows.map((row) => cells(row, withEnds))].map((r) => r.join("\t")).join("\n");
  }

  async function copy(button) {
    const words = tsv(document.getElementById(button.dataset.table));
    let note = "Copied";
    try {
      await navigator.clipboard.writeText(words);
    } catch {
      note = "The browser does not allow copying";
    }
    button.textContent = note;
    setTimeout(() => { button.textContent = "Copy as TSV"; }, 1500);
  }

  // Only where every entry has a look of its own can one be hidden without the others.
  function makeToggles(legend) {
    const entries = [...legend.children].filter((entry) => entry.dataset.look);
    if (entries.length < 2 || new Set(entries.map((entry) => entry.dataset.look)).size < entries.length) return;
    entries.forEach((entry) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "toggle";
      button.setAttribute("aria-pressed", "true");
      button.append(...entry.childNodes);
      entry.append(button);
      button.addEventListener("click", () => {
        const hidden = legend.closest("figure").classList.toggle(`hide-${entry.dataset.look}`);
        button.setAttribute("aria-pressed", String(!hidden));
      });
    });
  }

  document.querySelectorAll("table:has(th[data-heading])").forEach(makeSortable);
  document.querySelectorAll("figure .legend").forEach(makeToggles);
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((block) => { block.open = true; });
  });
  document.querySelectorAll("button.copy").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  });
})();
