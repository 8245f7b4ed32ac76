/** @file A headless Chromium for pages' tests, which notes what a page asks for and what goes wrong in it. */
import { existsSync } from 'node:fs';
import axe from 'axe-core';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

/** Debian's and others'; LORIKEET_CHROMIUM names another. */
const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export const CHROMIUM = process.env.LORIKEET_CHROMIUM ?? PLACES.find((path) => existsSync(path)) ?? null;

/** Why there is no browser, as a test says it: loudly where LORIKEET_WANTS_CHROMIUM says that there should be one. */
export function withoutBrowser(): string {
  return process.env.LORIKEET_WANTS_CHROMIUM
    ? 'skipped: NO CHROMIUM, although one was to be here: THE PAGE WAS NOT TRIED (apt-get install chromium)'
    : 'skipped: no chromium';
}

export interface Watched {
  readonly page: Page;
  /** Addresses asked for that are of no page of `origin`. */
  readonly strangers: string[];
  /** Errors of scripts, and what the console was told of as wrong. */
  readonly errors: string[];
}

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM!, args: ['--no-sandbox'] });
}

/** Opens a page that is watched. */
export async function open(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Watched> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const [strangers, errors]: [string[], string[]] = [[], []];
  const own = new URL(url);
  page.on('request', (request) => {
    const asked = request.url();
    const isOwn = own.protocol === 'file:' ? asked === url : asked.startsWith(`${own.origin}/`);
    if (!isOwn && !/^(data|blob):/.test(asked)) strangers.push(asked);
  });
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  await page.goto(url);
  return { page, strangers, errors };
}

interface Violation {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly html: string }[];
}

/** What axe finds that is serious or worse, a line each. The script is evaluated by the driver, which no policy of the page hinders. */
export async function seriousFaults(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const found = (await page.evaluate('axe.run()')) as { violations: Violation[] };
  return found.violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`);
}

/** How many pixels the page is wider than its window. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
}
