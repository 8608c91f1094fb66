// Sorts a table by the column whose heading is clicked; numbers with SI prefixes sort by value.
const prefix = { p: -4, n: -3, "µ": -2, m: -1, k: 1, K: 1, M: 2, G: 3, T: 4, P: 5 };
const size = (text) => {
  const found = text.match(/^(-?[\d.]+)(?:\s*([pnµmkKMGTP])?(i?)(?:B|FLOP|s|$))?/);
  if (!found) return NaN;
  return parseFloat(found[1]) * Math.pow(found[3] ? 1024 : 1000, prefix[found[2]] ?? 0);
};
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (row) => row.cells[column].textContent.trim();
    const order = (a, b) => {
      const [x, y] = [size(key(a)), size(key(b))];
      return isNaN(x) || isNaN(y) ? key(a).localeCompare(key(b)) : x - y;
    };
    const rows = [...table.tBodies[0].rows].sort((a, b) => (down ? order(b, a) : order(a, b)));
    table.tBodies[0].append(...rows);
  }));
}
