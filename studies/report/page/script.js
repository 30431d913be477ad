"use strict";
// Sorts a table by a click on a heading, filters its rows, and says where a box scrolls sideways.
for (const table of document.querySelectorAll("table.sorts")) {
  const body = table.tBodies[0];
  const fixed = [...body.rows].filter((row) => row.classList.contains("total"));
  const value = (row, column) => {
    const text = row.cells[column].textContent.trim();
    const number = parseFloat(text.replace(/,/g, ""));
    return { text, number };
  };
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    const numeric = head.classList.contains("number");
    button.addEventListener("click", () => {
      const descending = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") === "ascending" : numeric;
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const sign = descending ? -1 : 1;
      const rows = [...body.rows].filter((row) => !fixed.includes(row)).map((row) => [value(row, column), row]);
      rows.sort(([a], [b]) => {
        if (!numeric) return sign * a.text.localeCompare(b.text, undefined, { numeric: true });
        if (isNaN(a.number) || isNaN(b.number)) return isNaN(a.number) - isNaN(b.number); // what is absent comes last
        return sign * (a.number - b.number);
      });
      body.append(...rows.map(([, row]) => row), ...fixed);
    });
  });
  if (body.rows.length < 8) continue;
  const label = document.createElement("label");
  const input = document.createElement("input");
  label.className = "filter";
  label.append("Filter", input);
  input.type = "search";
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/);
    for (const row of body.rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  });
  table.parentElement.before(label);
}
const boxes = [...document.querySelectorAll(".wide")].map((box) => {
  const hint = document.createElement("p");
  hint.className = "muted hint";
  hint.textContent = "Scroll sideways for more \u2192";
  hint.hidden = true;
  box.before(hint);
  return [box, hint];
});
const show = () => {
  const wide = boxes.map(([box]) => box.scrollWidth > box.clientWidth + 1);
  boxes.forEach(([, hint], place) => {
    hint.hidden = !wide[place];
  });
};
addEventListener("resize", show);
show();
