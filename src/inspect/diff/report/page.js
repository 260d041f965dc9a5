"use strict";
const all = (selector) => [...document.querySelectorAll(selector)];
const rows = all("tr.row");
const boxes = all("svg g[data-name]");
const search = document.querySelector("#search");
const gravity = document.querySelector("#gravity");
const target = document.querySelector("#target");
const kinds = all("input[name=kind]");
const shown = document.querySelector("#shown");
const detailOf = (row) => {
  const next = row.nextElementSibling;
  return next && next.classList.contains("detail") ? next : null;
};
const details = new Map(rows.map((row) => [row, detailOf(row)]));

// Without this script every row is open.
for (const [row, detail] of details) {
  if (!detail) continue;
  const button = row.querySelector("button.open");
  const set = (open) => { button.setAttribute("aria-expanded", String(open)); detail.hidden = !open || row.hidden; };
  set(false);
  button.addEventListener("click", () => set(button.getAttribute("aria-expanded") !== "true"));
}

function filter() {
  const text = search.value.trim().toLowerCase();
  const on = new Set(kinds.filter((box) => box.checked).map((box) => box.value));
  const seen = new Set();
  let count = 0;
  for (const row of rows) {
    const { name, kind, worst, targets, text: words } = row.dataset;
    const fits = on.has(kind) && (!text || words.includes(text))
      && (!gravity.value || worst === "alarm" || worst === gravity.value)
      && (!target || !target.value || !targets || targets.split("\n").includes(target.value));
    row.hidden = !fits;
    const detail = details.get(row);
    if (detail) {
      detail.hidden = !fits || row.querySelector("button.open").getAttribute("aria-expanded") !== "true";
    }
    if (fits) { count += 1; seen.add(name); }
  }
  for (const box of boxes) box.classList.toggle("off", !seen.has(box.dataset.name));
  shown.textContent = `${count} of ${rows.length} shown`;
}

function sortBy(column, head) {
  const body = document.querySelector("tbody");
  const key = (row) => column === 3 ? -Number(row.children[column].dataset.n || 0)
    : row.children[column].textContent.trim().toLowerCase();
  rows.sort((a, b) => { const [x, y] = [key(a), key(b)]; return x < y ? -1 : x > y ? 1 : 0; });
  body.append(...rows.flatMap((row) => details.get(row) ? [row, details.get(row)] : [row]));
  for (const other of all("th")) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", "ascending");
}

for (const input of [search, gravity, target, ...kinds]) if (input) input.addEventListener("input", filter);
all("th").forEach((head, column) => head.querySelector("button").addEventListener("click", () => sortBy(column, head)));
for (const box of boxes) {
  box.addEventListener("click", () => {
    search.value = search.value === box.dataset.name ? "" : box.dataset.name;
    filter();
    search.scrollIntoView({ block: "start" });
  });
}
filter();
