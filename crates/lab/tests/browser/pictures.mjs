// Pictures of the report, compared with committed ones by their mean brightness in blocks, so that fonts may differ.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Parts of the page: a name, and the selector of what is in sight. */
const PARTS = [
  ["top", "header"],
  ["figure", "figure .drawing"],
  ["roofline", "figure .panels"],
];

/** Side of a block in pixels of the picture, which has half the pixels of the page in each direction. */
const BLOCK = 10;
/** Difference of brightness, of 255, from which a block counts as different. */
const DIFFERENT = 24;
/** Share of different blocks from which a picture does. */
const MOST = 0.12;

/** Takes a picture of each part and compares it with the expected one; with `bless`, writes the expected ones. */
export const compare = async (browser, tab, { name, expected, out, bless }, fault) => {
  const folder = bless ? expected : out;
  await mkdir(folder, { recursive: true });
  for (const [part, selector] of PARTS) {
    const place = tab.locator(selector).first();
    await place.evaluate((it) => it.scrollIntoView({ block: "start" }));
    const picture = await tab.screenshot({ animations: "disabled", caret: "hide" });
    const file = `${name}-${part}.png`;
    await writeFile(join(folder, file), picture);
    if (bless) continue;
    const wanted = await readFile(join(expected, file)).catch(() => null);
    if (!wanted) {
      fault(`no expected picture ${file}; RIDGELINE_BLESS=1 makes it`);
      continue;
    }
    const share = await difference(browser, wanted, picture);
    if (share > MOST) fault(`${file}: ${(100 * share).toFixed(0)} % of its blocks differ; see ${join(out, file)}`);
  }
  await tab.evaluate(() => scrollTo(0, 0));
};

/** Share of the blocks of two pictures whose mean brightness differs; 1 where their sizes do. */
const difference = async (browser, a, b) => {
  const tab = await browser.newPage();
  const urls = [a, b].map((png) => `data:image/png;base64,${png.toString("base64")}`);
  const share = await tab.evaluate(
    async ({ urls, block, different }) => {
      const read = async (url) => {
        const image = new Image();
        image.src = url;
        await image.decode();
        const canvas = new OffscreenCanvas(image.width, image.height);
        const context = canvas.getContext("2d");
        context.drawImage(image, 0, 0);
        return context.getImageData(0, 0, image.width, image.height);
      };
      const [p, q] = await Promise.all(urls.map(read));
      if (p.width !== q.width || p.height !== q.height) return 1;
      let [count, unequal] = [0, 0];
      for (let y = 0; y + block <= p.height; y += block) {
        for (let x = 0; x + block <= p.width; x += block) {
          let sum = 0;
          for (let i = 0; i < block * block; i++) {
            const at = 4 * ((y + Math.floor(i / block)) * p.width + x + (i % block));
            for (let c = 0; c < 3; c++) sum += p.data[at + c] - q.data[at + c];
          }
          count += 1;
          unequal += Math.abs(sum) / (3 * block * block) > different ? 1 : 0;
        }
      }
      return unequal / count;
    },
    { urls, block: BLOCK, different: DIFFERENT },
  );
  await tab.close();
  return share;
};
