// Tables whose columns sort, and figures that enlarge: by mouse, touch and keyboard.
// Without this script the tables and figures are the same, but stay as they are.
"use strict";

function button(label, ...content) {
  const made = document.createElement("button");
  made.type = "button";
  if (label) made.setAttribute("aria-label", label);
  made.append(...content);
  return made;
}

function value(row, column) {
  const cell = row.cells[column];
  return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
}

function compare(a, b) {
  return typeof a === "number" ? a - b : a.localeCompare(b);
}

function sort(table, header) {
  const isUp = header.getAttribute("aria-sort") !== "ascending";
  table.querySelector("[aria-sort]")?.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", isUp ? "ascending" : "descending");
  const column = header.cellIndex, body = table.tBodies[0];
  const rows = [...body.rows].sort((a, b) => compare(value(a, column), value(b, column)));
  body.append(...(isUp ? rows : rows.reverse()));
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const header of table.tHead.rows[0].cells) {
    const made = button("", ...header.childNodes);
    made.addEventListener("click", () => sort(table, header));
    header.append(made);
  }
}

const dialog = document.createElement("dialog");
const close = button("", "Close");
const place = document.createElement("div");
place.className = "scroll";
place.tabIndex = 0;
dialog.append(close, place);
dialog.setAttribute("aria-label", "Figure, enlarged");
close.addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close(); // beside the figure
});
document.body.append(dialog);

for (const image of document.querySelectorAll("figure img")) {
  const made = button(`Enlarge: ${image.alt}`);
  made.className = "enlarge";
  image.replaceWith(made);
  made.append(image);
  made.addEventListener("click", () => {
    place.replaceChildren(image.cloneNode());
    dialog.showModal(); // Escape closes it, and the focus returns to the button
  });
}
