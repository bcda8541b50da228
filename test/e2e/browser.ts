// Debian's Chromium as tests drive it, one window for each reader, and all that went wrong in it: dialogs,
// exceptions, refused scripts and styles, and requests to anybody else.

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

const CHROMIUM = "/usr/bin/chromium";

/** Why tests in a browser cannot run here, or false. */
export const missingBrowser = existsSync(CHROMIUM) ? false : "chromium is not installed";

export function launchBrowser(): Promise<Browser> {
  // Chromium's own sandbox does not start for root, and what it shows is ours.
  return chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
}

export const LOOKS = {
  light: { viewport: { width: 1280, height: 900 }, colorScheme: "light" },
  dark: { viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: "light", isMobile: true },
} as const satisfies Record<string, BrowserContextOptions>;

export interface Reader {
  readonly page: Page;
  /** What a reader should never meet. */
  readonly troubles: readonly string[];
  close(): Promise<void>;
}

export async function openReader(
  browser: Browser,
  baseURL: string,
  options: BrowserContextOptions = {},
): Promise<Reader> {
  const context = await browser.newContext({ baseURL, reducedMotion: "reduce", ...options });
  const troubles: string[] = [];
  context.on("dialog", (dialog) => {
    troubles.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  context.on("weberror", (error) => troubles.push(`exception: ${error.error().message}`));
  context.on("console", (message) => {
    // The status of an answer, such as 404 of an image that nobody has made yet.
    if (message.text().startsWith("Failed to load resource: the server responded")) return;
    if (["error", "warning"].includes(message.type())) troubles.push(`console: ${message.text()}`);
  });
  context.on("request", (request) => {
    if (new URL(request.url()).origin !== baseURL) troubles.push(`request: ${request.url()}`);
  });
  const page = await context.newPage();
  return { page, troubles, close: () => context.close() };
}

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

interface AxeResults {
  readonly violations: readonly {
    readonly id: string;
    readonly nodes: readonly { readonly target: unknown; readonly failureSummary?: string }[];
  }[];
}

/** What axe has against a page as it is now: each rule with the places. */
export async function axeFindings(page: Page): Promise<readonly string[]> {
  // Given to the engine and not to the page, whose policy runs no script but its own.
  await page.evaluate(AXE);
  const { violations } = await page.evaluate<AxeResults>("axe.run()");
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} at ${String(target)}: ${failureSummary}`),
  );
}
