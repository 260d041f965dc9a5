"use strict";
const rows = [...document.querySelectorAll("tbody tr")];
const boxes = [...document.querySelectorAll("svg g[data-name]")];
const search = document.querySelector("#search");
const gravity = document.querySelector("#gravity");
const target = document.querySelector("#target");
const kinds = [...document.querySelectorAll("input[name=kind]")];
const shown = document.querySelector("#shown");

function filter() {
  const text = search.value.trim().toLowerCase();
  const on = new Set(kinds.filter((box) => box.checked).map((box) => box.value));
  const seen = new Set();
  let count = 0;
  for (const row of rows) {
    const { name, kind, worst, targets, text: all } = row.dataset;
    const fits = on.has(kind) && (!text || all.includes(text))
      && (!gravity.value || worst === "alarm" || worst === gravity.value)
      && (!target || !target.value || !targets || targets.split("\n").includes(target.value));
    row.hidden = !fits;
    if (fits) { count += 1; seen.add(name); }
  }
  for (const box of boxes) box.classList.toggle("off", box.dataset.name !== "" && !seen.has(box.dataset.name));
  shown.textContent = `${count} of ${rows.length} shown`;
}

function sortBy(column) {
  const body = document.querySelector("tbody");
  const number = column === 3;
  const key = (row) => number ? -Number(row.children[column].dataset.n || 0)
    : row.children[column].textContent.trim().toLowerCase();
  rows.sort((a, b) => { const [x, y] = [key(a), key(b)]; return x < y ? -1 : x > y ? 1 : 0; });
  body.append(...rows);
}

for (const input of [search, gravity, target, ...kinds]) if (input) input.addEventListener("input", filter);
document.querySelectorAll("th").forEach((head, column) => head.addEventListener("click", () => sortBy(column)));
for (const box of boxes) {
  box.addEventListener("click", () => {
    const name = box.dataset.name;
    search.value = search.value === name ? "" : name;
    filter();
    search.scrollIntoView({ block: "start" });
  });
}
filter();
