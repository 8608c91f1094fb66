// What a person does with the keyboard: filtering, opening, sorting, reading numbers of marks.

/** Plays the interactions, and reports each that has not the expected effect. */
export const interactions = async (tab, fault) => {
  const visible = () => tab.locator(".register > tbody:visible").count();
  const all = await visible();
  if (all < 42) fault(`${all} claims`);

  const verdict = tab.getByLabel("Verdict");
  await verdict.focus();
  await verdict.selectOption("does-not-hold");
  const refuted = await tab.locator('.register > tbody[data-verdict="does-not-hold"]').count();
  if (refuted === 0 || refuted === all || (await visible()) !== refuted) fault(`${await visible()} rows do not hold, not ${refuted}`);
  await tab.getByLabel("Study").selectOption("GAP");
  const counted = await tab.locator("form.filter output").textContent();
  if (counted !== `${await visible()} of ${all} claims`) fault(`the filter says ${counted}`);

  // A link to a claim shows it although the filter hides it, with its evidence.
  const hidden = await tab.locator(".register > tbody[hidden]").first().getAttribute("id");
  await tab.evaluate((id) => (location.hash = id), hidden);
  await tab.waitForTimeout(100);
  const target = tab.locator(`#${hidden}`);
  if (!(await target.isVisible())) fault(`a link to ${hidden} does not show it`);
  if ((await target.locator("details[open]").count()) !== 1) fault(`a link to ${hidden} does not open it`);

  await tab.locator('form.filter button[type="reset"]').press("Enter");
  await tab.waitForTimeout(100);
  if ((await visible()) !== all) fault("the reset does not show all claims");

  const table = tab.locator("#speed-by-model table");
  const column = table.locator("thead th").nth(1);
  const values = async () =>
    (await table.locator("tbody td:nth-child(2)").allTextContents()).map((text) => parseFloat(text));
  for (const [direction, sign] of [["ascending", 1], ["descending", -1]]) {
    await column.getByRole("button").press("Enter");
    const found = await values();
    const sorted = [...found].sort((a, b) => sign * (a - b));
    if (found.length < 2 || found.join() !== sorted.join()) fault(`${direction}: ${found.join(" ")}`);
    if ((await column.getAttribute("aria-sort")) !== direction) fault(`aria-sort is not ${direction}`);
  }

  // The heading and the first column of a long table stay in sight.
  const long = tab.locator(".scroll.long").first();
  const before = await long.locator("thead th").first().boundingBox();
  await long.evaluate((it) => it.scrollTo(200, 300));
  const after = await long.locator("thead th").first().boundingBox();
  if (Math.abs(before.x - after.x) > 1 || Math.abs(before.y - after.y) > (await long.evaluate((it) => it.querySelector("caption")?.offsetHeight ?? 0)) + 1) {
    fault(`the heading moved from ${before.x}, ${before.y} to ${after.x}, ${after.y}`);
  }

  const mark = tab.locator("svg .mark[tabindex]").first();
  const title = await mark.locator("title").textContent();
  await mark.focus();
  await tab.keyboard.press("Shift+Tab");
  await tab.keyboard.press("Tab");
  const tip = tab.locator(".tip");
  if (!(await tip.isVisible()) || (await tip.textContent()) !== title) fault("a mark in focus does not show its numbers");

  const numbers = tab.locator("details.numbers").first();
  await numbers.locator("summary").press("Enter");
  await numbers.locator("table").waitFor();
  if ((await numbers.locator("tbody tr").count()) < 2) fault("the numbers of a figure have no rows");
};
