// Sorts tables, filters the register of claims, shows numbers of marks on focus, and makes tables of figures' numbers.
const prefix = { p: -4, n: -3, "µ": -2, m: -1, k: 1, K: 1, M: 2, G: 3, T: 4, P: 5 };
const size = (text) => {
  const found = text.replace("−", "-").match(/^([-+]?[\d.]+)(?:\s*([pnµmkKMGTP])?(i?)(?:B|FLOP|s\b|$))?/);
  if (!found) return NaN;
  return parseFloat(found[1]) * Math.pow(found[3] ? 1024 : 1000, prefix[found[2]] ?? 0);
};

// The headings become buttons. A table of several bodies, such as the register, is sorted by the first row of each.
const sortable = (table) => {
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
      const several = table.tBodies.length > 1;
      const items = several ? [...table.tBodies] : [...table.tBodies[0].rows];
      const key = (item) => (several ? item.rows[0] : item).cells[column].textContent.trim();
      const order = (a, b) => {
        const [x, y] = [size(key(a)), size(key(b))];
        return isNaN(x) || isNaN(y) ? key(a).localeCompare(key(b), "en", { numeric: true }) : x - y;
      };
      items.sort((a, b) => (down ? order(b, a) : order(a, b)));
      (several ? table : table.tBodies[0]).append(...items);
    });
  });
};
document.querySelectorAll("table.sortable").forEach(sortable);

// The register's filter. A link to a claim shows it, whatever the filter hides.
for (const form of document.querySelectorAll("form.filter")) {
  const table = form.nextElementSibling;
  const { study, verdict } = form.elements;
  const apply = () => {
    const bodies = [...table.tBodies];
    for (const body of bodies) {
      body.hidden = (study.value && body.dataset.study !== study.value) || (verdict.value && body.dataset.verdict !== verdict.value);
    }
    form.querySelector("output").textContent = `${bodies.filter((body) => !body.hidden).length} of ${bodies.length} claims`;
  };
  form.hidden = false;
  form.addEventListener("change", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  const show = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (target?.tagName !== "TBODY" || target.parentElement !== table) return;
    if (target.hidden) form.reset();
    target.hidden = false;
    target.querySelector("details").open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", show);
  show();
}

// Numbers of the mark in focus, as the pointer has them from the title.
const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
tip.setAttribute("aria-hidden", "true");
document.body.append(tip);
document.addEventListener("focusin", ({ target }) => {
  tip.hidden = !(target.closest?.("svg") && target.matches(":focus-visible"));
  if (tip.hidden) return;
  tip.textContent = target.querySelector(":scope > title")?.textContent ?? target.getAttribute("aria-label");
  const at = target.getBoundingClientRect();
  tip.style.left = `${scrollX + Math.max(8, Math.min(at.left, innerWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${scrollY + at.bottom + 8}px`;
});
document.addEventListener("focusout", () => (tip.hidden = true));

// Tables of the figures' numbers, made from the data when they are opened.
const digits = (value) => {
  if (!isFinite(value)) return "–";
  const exponent = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value) * 1.0005));
  return value.toFixed(Math.min(12, Math.max(0, 2 - exponent)));
};
const si = (value, unit) => {
  if (value === 0 || !isFinite(value) || (!unit && Math.abs(value) >= 1e-6 && Math.abs(value) < 1e4)) return `${digits(value)} ${unit}`.trim();
  const power = Math.max(-4, Math.min(5, Math.floor(Math.log10(Math.abs(value) * 1.0005) / 3)));
  return `${digits(value / 1000 ** power)} ${"pnµm kMGTP"[power + 4].trim()}${unit}`.trim();
};
const range = ({ lo, hi }, unit) => (lo < hi ? `${si(lo, unit)} – ${si(hi, unit)}` : "–");
const percent = (share) => (share == null ? "–" : `${(100 * share).toFixed(1)} %`);
const numbers = {
  lines: ({ x, y, lines }) => [
    ["series", x.title, y.title, "95 % interval"],
    lines.flatMap((line) => line.points.map(([at, value]) => [line.label, si(at, x.unit), si(value.value, y.unit), range(value, y.unit)])),
  ],
  waterfalls: ({ bars }) => [
    ["step", "part", "time", "share"],
    bars.flatMap(({ label, parts }) => {
      const total = Object.values(parts).reduce((sum, ns) => sum + ns, 0);
      const name = (key) => key.replace(/_ns$/, "").replaceAll("_", " ");
      return Object.entries(parts).map(([key, ns]) => [label, name(key), si(ns * 1e-9, "s"), percent(ns / total)]);
    }),
  ],
  roofline: ({ dots }) => [
    ["measurement", "model", "kind", "FLOP/byte", "performance", "95 % interval", "% of roof", "bound"],
    dots.map((dot) => [
      dot.label, dot.model, dot.group, digits(dot.intensity), si(dot.flops_per_s.value, "FLOP/s"), range(dot.flops_per_s, "FLOP/s"),
      percent(dot.roof_fraction), dot.bound ?? "–",
    ]),
  ],
};
const data = () => JSON.parse(document.getElementById("report-data").textContent);
const element = (name, text, attributes = {}) => {
  const made = Object.assign(document.createElement(name), { textContent: text });
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  return made;
};
for (const details of document.querySelectorAll("details.numbers")) {
  details.addEventListener("toggle", () => {
    const block = data().sections[details.dataset.section].blocks[details.dataset.block];
    const [kind, figure] = Object.entries(block)[0];
    const [titles, all] = numbers[kind](figure);
    // A column of dashes says nothing.
    const kept = (row) => row.filter((_, i) => all.some((other) => other[i] !== "–"));
    const [heads, rows] = [kept(titles), all.map(kept)];
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    head.append(...heads.map((text) => element("th", text, { scope: "col" })));
    const body = table.createTBody();
    for (const [first, ...rest] of rows) {
      body.insertRow().append(element("th", first, { scope: "row" }), ...rest.map((text) => element("td", text)));
    }
    const frame = element("div", "", { class: "scroll long" });
    frame.append(table);
    sortable(table);
    details.querySelector(".note").replaceWith(frame);
  }, { once: true });
}
