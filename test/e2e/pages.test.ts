// The pages as people use them: in a browser, at an edge whose origin has an index and builds what nobody has
// pulled before.

import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { statePathOf } from "../../origin/command/local-environment.ts";
import { pagePath } from "../../registry/http/page-route.ts";
import { encodeNames } from "../../registry/package-index/names.ts";
import { encodeTexts } from "../../registry/package-index/texts.ts";
import { endOfFile } from "../origin/fixture.ts";
import { REPOSITORY_PREFIX } from "../origin/house.ts";
import { madeUpPackages } from "../page/search/made-up-packages.ts";
import { skipWhere } from "../skip-where.ts";
import { axeFindings, LOOKS, launchBrowser, missingBrowser, openReader } from "./browser.ts";
import { missingClient, skopeoCopy } from "./clients.ts";
import { type Deployment, deploy } from "./deployment.ts";
import { ATTACK, LOGGED_ATTACK, plantShownSet, type ShownSet, TOLD_ATTACK } from "./shown-set.ts";

/** Kept, to be looked at. */
const SCREENSHOTS = resolve(statePathOf(process.env), "screenshots");
const LOG_ATTACK = "<script>alert(1)<";
const IMAGE = `${REPOSITORY_PREFIX}shell/git/htop`;

const atEnd = endOfFile();
let set: ShownSet;
let deployment: Deployment;
let browser: Browser;

async function read(options: BrowserContextOptions = {}, url = deployment.edgeUrl): Promise<Page> {
  const { page, troubles, close } = await openReader(browser, url, options);
  onTestFinished(async () => {
    await close();
    expect(troubles).toStrictEqual([]);
  });
  return page;
}

const imagePage = (name: string) => `/i/${REPOSITORY_PREFIX}${name}`;
const pull = (name: string) =>
  fetch(`${deployment.edgeUrl}/v2/${REPOSITORY_PREFIX}${name}/manifests/latest`);

type Look = keyof typeof LOOKS;

/** Keeps a picture of the page as it is now, of which nothing is for some alone, or beside the window. */
async function check(page: Page, name: string, look: Look): Promise<void> {
  await page.screenshot({ path: join(SCREENSHOTS, `${name}-${look}.png`), fullPage: true });
  expect(await axeFindings(page), name).toStrictEqual([]);
  const width = await page.evaluate<number>("document.documentElement.scrollWidth");
  expect(width, name).toBeLessThanOrEqual(LOOKS[look].viewport.width);
}

async function searchable(page: Page, path = "/"): Promise<void> {
  await page.goto(path);
  await page.getByText(/^Search \d+ packages/).waitFor();
}

describe("the pages, in a browser", { timeout: 120_000, ...skipWhere(missingBrowser) }, () => {
  beforeAll(async () => {
    set = await plantShownSet(atEnd);
    deployment = await deploy({
      packages: set.path,
      env: { NIXPORT_INDEX: "on", NIXPORT_LOG_LEVEL: "debug", NIXPORT_OPERATOR_VIEW: "local" },
    });
    atEnd(() => deployment.close());
    const [origin] = await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
    browser = await launchBrowser();
    atEnd(() => browser.close());
    await rm(SCREENSHOTS, { recursive: true, force: true });
    await mkdir(SCREENSHOTS, { recursive: true });
    await origin.waitFor(({ msg }) => msg === "package index sent");
  });

  test(
    "find packages, and give a line that pulls the image of those chosen",
    skipWhere(missingClient("skopeo")),
    async () => {
      const page = await read({ permissions: ["clipboard-read", "clipboard-write"] });
      await searchable(page);
      await page.keyboard.press("Tab");
      await page.locator("#search").pressSequentially("git");
      await page.locator('[role=option][data-name="git"]').click();
      await page.locator("#search").pressSequentially("interactive process");
      await page.locator('[role=option][data-name="htop"]').click();
      await page.getByRole("button", { name: "Copy the line for docker pull" }).click();
      await page.getByText("Copied.").waitFor();
      const line = await page.evaluate<string>("navigator.clipboard.readText()");
      const { host } = new URL(deployment.edgeUrl);
      expect(line).toBe(`docker pull ${host}/shell/git/htop`);
      const scratch = await mkdtemp(join(tmpdir(), "nixport-pages-"));
      onTestFinished(() => rm(scratch, { recursive: true, force: true }));
      const name = line.slice(`docker pull ${host}/`.length);
      const { code, stderr } = skopeoCopy(deployment.edgeUrl, name, `oci:${scratch}`);
      expect(code, stderr).toBe(0);
      await page.reload();
      await page.getByText(/^\d.* in \d+ layers$/).waitFor();
      await page.getByRole("link", { name: "What is in it" }).click();
      const layers = page.getByRole("region", { name: "Layers" }).locator("tbody tr");
      expect(await layers.count()).toBeGreaterThan(3);
      const held = (await layers.allTextContents()).join();
      expect(held).toMatch(/\bhtop-\d/);
      expect(held).toMatch(/\bgit-\d/);
    },
  );

  test("show how far an image is while it is built, and what it is then", async () => {
    const pulled = pull("one/two");
    await Promise.all([set.gates.running("one"), set.gates.running("two")]);
    const page = await read(LOOKS.light);
    await page.goto(imagePage("one/two"));
    const progress = page.locator("#progress");
    await progress.getByText(/^Building .*(?:one|two)-1\.0/).waitFor();
    const bar = progress.getByRole("progressbar", { name: /^Done/ });
    const done = async () => Number(await bar.getAttribute("value"));
    const before = await done();
    await check(page, "building", "light");
    await set.gates.open("one");
    await expect.poll(done, { timeout: 20_000 }).toBeGreaterThan(before);
    await set.gates.open("two");
    await progress.getByText("It is made").waitFor();
    expect((await pulled).status).toBe(200);
    await progress.getByRole("link", { name: "Show it" }).click();
    await page.getByRole("region", { name: "Layers" }).getByText("one-1.0").first().waitFor();
  });

  test("show why a build failed, with the last lines of its log as the text that they are", async () => {
    const pulled = pull("fails");
    await set.gates.running("fails");
    const page = await read();
    await page.goto(imagePage("fails"));
    await page
      .locator("#progress")
      .getByText(/^Building .*fails/)
      .waitFor();
    await set.gates.open("fails");
    await page
      .locator("#progress")
      .getByText(/^fails cannot be built: /)
      .waitFor();
    await page.locator("#progress").getByText(LOG_ATTACK).first().waitFor();
    expect((await pulled).status).toBe(404);
    await page.reload();
    await page.getByRole("heading", { name: "It cannot be had" }).waitFor();
    await page.locator("pre.told").getByText(LOG_ATTACK).first().waitFor();
  });

  test("show what others have written as text", async () => {
    const page = await read();
    await searchable(page);
    await page.locator("#search").pressSequentially("hostile");
    const option = page.locator('[role=option][data-name="hostile"]');
    expect(await option.locator(".what").textContent()).toBe(TOLD_ATTACK);
    await option.click();
    await page.locator("#search").pressSequentially(ATTACK);
    await page.locator("#search").press("Enter");
    await page.locator("#tag").fill(ATTACK);
    await page.goto(`/?image=${encodeURIComponent(ATTACK)}`);
    expect(await page.locator("#recipe .problem").textContent()).toContain("<script>");
    await page.goto(`/i/${encodeURIComponent(ATTACK)}`);
    expect(await page.locator("main").textContent()).toContain("<script>");
    expect((await pull("howling")).status).toBe(404);
    await page.goto(imagePage("howling"));
    const [, log = ""] = await page.locator("pre.told").allTextContents();
    expect(log).toContain(LOGGED_ATTACK);
    expect((await pull("hostile")).status).toBe(200);
    await page.goto(imagePage("hostile"));
    const row = page
      .getByRole("region", { name: "Packages" })
      .locator("tr", { hasText: "hostile" });
    expect(await row.locator("td").allTextContents()).toContain(TOLD_ATTACK);
  });

  test("need no mouse", async () => {
    const page = await read();
    await searchable(page);
    const focused = () => page.evaluate<string>("document.activeElement.id");
    for (let tabs = 0; tabs < 5 && (await focused()) !== "search"; tabs += 1) {
      await page.keyboard.press("Tab");
    }
    expect(await focused()).toBe("search");
    await page.keyboard.type("py");
    const selected = page.locator('[role=option][aria-selected="true"]');
    const first = await selected.getAttribute("data-name");
    await page.keyboard.press("ArrowDown");
    const second = await selected.getAttribute("data-name");
    expect(second).not.toBe(first);
    await page.keyboard.press("Enter");
    const chips = page.locator("#chosen li span");
    expect(await chips.allTextContents()).toStrictEqual([second]);
    expect(await focused()).toBe("search");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    expect(await chips.count()).toBe(0);
    expect(await focused()).toBe("search");
  });

  test.for(Object.keys(LOOKS) as Look[])(
    "are for everybody, and as wide as the window: %s",
    async (look) => {
      const page = await read(LOOKS[look]);
      const shown = (name: string) => check(page, name, look);
      await searchable(page, `/?image=${IMAGE}`);
      await page.getByText(/^\d.* in \d+ layers$/).waitFor();
      await shown("recipe");
      await page.locator("#search").pressSequentially("py");
      await page.getByRole("option").first().waitFor();
      await shown("search");
      for (const [name, path] of [
        ["known", `/i/${IMAGE}`],
        ["unknown", imagePage("three")],
        ["failed", imagePage("fails")],
        ["missing", imagePage("gitt")],
        ["error", "/i/%3Cscript%3E"],
      ] as const) {
        await page.goto(path);
        if (name === "known") await openSome(page);
        await shown(name);
      }
      const operators = await read(LOOKS[look], deployment.originUrl);
      await operators.goto("/operator");
      await operators.locator("h2").first().waitFor();
      await check(operators, "operator", look);
    },
  );

  test("find in 100,000 packages before anybody waits", async () => {
    const page = await read();
    const packages = madeUpPackages(100_000);
    const digest = (letter: string) => `sha256:${letter.repeat(64)}`;
    const [names, texts] = [digest("a"), digest("b")];
    const index = { system: "x86_64-linux", count: packages.length, names, texts };
    const objects = [
      [names, encodeNames(packages.map(({ attribute }) => attribute))],
      [texts, encodeTexts(packages)],
    ] as const;
    await page.route(pagePath.index, (route) => route.fulfill({ json: { indexes: [index] } }));
    for (const [address, bytes] of objects) {
      await page
        .context()
        .route(pagePath.indexObject(address as never), (route) =>
          route.fulfill({ body: Buffer.from(bytes), contentType: "application/octet-stream" }),
        );
    }
    await page.goto("/");
    await page.getByText("Search 100 000 packages").waitFor();
    await page.evaluate(WATCH_TYPING);
    for (const query of ["terminal tool", "py", "libs", "python3packages.go"]) {
      await page.locator("#search").fill("");
      await page.locator("#search").pressSequentially(query);
      await page.getByRole("option").first().waitFor();
      const ms = await page.evaluate<number>("window.lastKey.found()");
      process.stdout.write(`${JSON.stringify(query)}: ${ms.toFixed(1)} ms after the last key\n`);
      expect(ms, query).toBeLessThan(500);
    }
  });
});

/** A layer's paths, and what the first part needs. */
async function openSome(page: Page): Promise<void> {
  for (const section of ["Layers", "What needs what"]) {
    await page.getByRole("region", { name: section }).locator("summary").first().click();
  }
  await page.locator(".tree ul summary").first().click();
}

/** Milliseconds from what was typed last to the frame that shows what was found. */
const WATCH_TYPING = `
  const list = document.getElementById("results");
  let typedAt, shown;
  document.getElementById("search").addEventListener("input", ({ timeStamp }) => {
    typedAt = timeStamp;
    shown = Promise.withResolvers();
  });
  new MutationObserver(() => {
    if (list.hidden || typedAt === undefined) return;
    const { resolve } = shown, from = typedAt;
    requestAnimationFrame(() => resolve(performance.now() - from));
  }).observe(list, { subtree: true, childList: true, attributes: true });
  window.lastKey = { found: () => shown.promise };
`;
