// What overflows, is clipped, overlaps or is too small to read. Runs in the page.

/** Sentences about faults of the layout. With `scrolls: false` nothing may scroll, as on paper. */
export const layoutFaults = ({ scrolls = true } = {}) => {
  const faults = [];
  const { scrollWidth } = document.documentElement;
  if (scrollWidth > innerWidth) faults.push(`the page is ${scrollWidth} px wide, the window ${innerWidth}`);
  const label = (node) => `<${node.tagName.toLowerCase()} class="${node.getAttribute("class") ?? ""}"> ${node.textContent.trim().slice(0, 40)}`;
  const isShown = (node) => node.getClientRects().length > 0 && getComputedStyle(node).visibility === "visible";

  // Only frames of tables scroll. Everything else contains its text.
  for (const node of document.querySelectorAll("body *:not(svg *)")) {
    if (!isShown(node) || node.closest("script, .skip")) continue;
    const overflows = node.scrollWidth > node.clientWidth + 1 && node.clientWidth > 0 && getComputedStyle(node).display !== "inline";
    const mayScroll = scrolls && node.matches(".scroll, nav");
    if (overflows && !mayScroll) faults.push(`overflows by ${node.scrollWidth - node.clientWidth} px: ${label(node)}`);
    const frame = node.closest(".scroll");
    const { right, left } = node.getBoundingClientRect();
    if ((!frame || !scrolls) && (right > innerWidth + 1 || left < -1)) faults.push(`leaves the window: ${label(node)}`);
  }

  for (const svg of document.querySelectorAll("svg")) {
    const box = svg.getBoundingClientRect();
    const scale = box.width / svg.viewBox.baseVal.width;
    const texts = [...svg.querySelectorAll("text")].filter(isShown);
    const smallest = Math.min(...texts.map((text) => parseFloat(getComputedStyle(text).fontSize) * scale));
    if (smallest < 9) faults.push(`text of ${smallest.toFixed(1)} px in ${svg.getAttribute("aria-label")}`);
    const rects = texts.map((text) => [text, text.getBoundingClientRect()]);
    for (const [text, rect] of rects) {
      const inside = rect.left >= box.left - 1 && rect.right <= box.right + 1 && rect.top >= box.top - 1 && rect.bottom <= box.bottom + 1;
      if (!inside) faults.push(`text leaves its figure: ${label(text)} in ${svg.getAttribute("aria-label")}`);
    }
    // Labels of axes and of the legend may not lie on each other.
    const fixed = rects.filter(([text]) => text.matches(".tick, .axis, .legend, .name, .value, .panel"));
    fixed.forEach(([a, p], i) =>
      fixed.slice(i + 1).forEach(([b, q]) => {
        const across = Math.min(p.right, q.right) - Math.max(p.left, q.left);
        const down = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
        if (across > 1 && down > 3) faults.push(`${label(a)} lies on ${label(b)} in ${svg.getAttribute("aria-label")}`);
      }),
    );
    const names = svg.querySelectorAll(".dot-name, .legend").length;
    if (names > 24) faults.push(`${names} names in ${svg.getAttribute("aria-label")}`);
  }
  return faults;
};
