// Opens a report in Chromium at three widths, in light and dark, without script, and printed.
//
// usage: node check.mjs PAGE CHROMIUM EXPECTED OUT [--bless]
//
// Prints one line for each fault, and exits with 1 where there is any. Pictures are compared with those in EXPECTED; the
// new ones are written to OUT, or to EXPECTED with --bless.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { interactions } from "./interactions.mjs";
import { layoutFaults } from "./layout.mjs";
import { compare } from "./pictures.mjs";

const [page, executablePath, expected, out, bless] = process.argv.slice(2);
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const faults = [];
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--font-render-hinting=none"] });

/** Opens the report in a context of its own, runs a check, and reports what the page logged or requested. */
const open = async (name, options, check) => {
  const context = await browser.newContext({ reducedMotion: "reduce", deviceScaleFactor: 1, ...options });
  const tab = await context.newPage();
  const fault = (text) => faults.push(`${name}: ${text}`);
  tab.on("console", (message) => ["error", "warning"].includes(message.type()) && fault(`console: ${message.text()}`));
  tab.on("pageerror", (error) => fault(`script: ${error.message}`));
  const own = pathToFileURL(page).href;
  tab.on("request", (request) => request.url().split("#")[0] !== own && fault(`requests ${request.url()}`));
  await tab.goto(own);
  await check(tab, fault);
  await context.close();
};

const accessible = async (tab, fault) => {
  await tab.evaluate(axe);
  const { violations } = await tab.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  for (const { id, help, nodes } of violations) {
    fault(`axe ${id}: ${help}: ${nodes.slice(0, 3).map((node) => node.target.join(" ")).join(" | ")}`);
  }
};

for (const [width, height] of [[400, 800], [900, 800], [1600, 900]]) {
  for (const colorScheme of ["light", "dark"]) {
    const name = `${width}-${colorScheme}`;
    await open(name, { viewport: { width, height }, colorScheme }, async (tab, fault) => {
      (await tab.evaluate(layoutFaults)).forEach(fault);
      await accessible(tab, fault);
      // Opened evidence and tables may not overflow either.
      await tab.evaluate(() => document.querySelectorAll("details").forEach((it) => (it.open = true)));
      await tab.waitForFunction(() => !document.querySelector("details.numbers .note"));
      (await tab.evaluate(layoutFaults)).forEach((text) => fault(`opened: ${text}`));
      if (colorScheme === "light") await accessible(tab, fault);
    });
    await open(`${width} ${colorScheme} pictures`, { viewport: { width, height }, colorScheme, deviceScaleFactor: 0.5 }, (tab, fault) =>
      compare(browser, tab, { name: `${width}-${colorScheme}`, expected, out, bless: Boolean(bless) }, fault),
    );
  }
  await open(`${width} by keyboard`, { viewport: { width, height } }, interactions);
}

await open("without script", { viewport: { width: 900, height: 800 }, javaScriptEnabled: false }, async (tab, fault) => {
  const [bodies, filters] = [tab.locator(".register > tbody"), tab.locator("form.filter")];
  for (let i = 0; i < (await bodies.count()); i++) {
    if (!(await bodies.nth(i).isVisible())) fault(`claim ${i} is hidden`);
  }
  if (await filters.first().isVisible()) fault("a filter that cannot work is visible");
});

await open("printed", { viewport: { width: 794, height: 1123 }, colorScheme: "dark" }, async (tab, fault) => {
  await tab.emulateMedia({ media: "print", colorScheme: "dark" });
  (await tab.evaluate(layoutFaults, { scrolls: false })).forEach(fault);
  const paper = await tab.evaluate(() => getComputedStyle(document.body).backgroundColor);
  if (paper !== "rgb(255, 255, 255)") fault(`the paper is ${paper}`);
  const pages = (await tab.pdf({ format: "A4" })).toString("latin1").match(/\/Type\s*\/Page[^s]/g)?.length ?? 0;
  if (pages < 3) fault(`${pages} pages`);
});

await browser.close();
faults.forEach((fault) => console.log(fault));
process.exit(faults.length > 0 ? 1 : 0);
