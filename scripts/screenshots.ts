/** @file Takes the pictures of docs/: the page of a swarm at work on this machine, and a report, in a headless Chromium. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { splitReviews } from '../node/texts/reviews.ts';
import { readArguments } from './arguments.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LORIKEET = join(ROOT, 'dist', 'node', 'main.js');
const CHROMIUM = process.env.LORIKEET_CHROMIUM ?? '/usr/bin/chromium';
const SIZE = { width: 1200, height: 780 };
/** Rounds that have gone by before pictures are taken. */
const ROUNDS = 6;

readArguments({
  name: 'screenshots',
  about: 'Takes the pictures docs/page-*.webp; wants chromium, and takes a few minutes.',
  options: {},
  examples: [''],
});

const folder = mkdtempSync(join(tmpdir(), 'lorikeet-pictures-'));
const children: ChildProcess[] = [];

/** Starts a command of lorikeet; resolves to what it says that matches. */
function begin(args: readonly string[], pattern: RegExp): Promise<RegExpExecArray> {
  const child = spawn(process.execPath, [LORIKEET, ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let text = '';
  return new Promise((resolve, reject) => {
    const hear = (chunk: Buffer): void => {
      text += chunk;
      const found = pattern.exec(text);
      if (found) resolve(found);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.on('close', () => reject(new Error(`ended without saying ${pattern}: ${text}`)));
  });
}

/** PNG to WebP, by the browser itself. */
async function picture(page: Page, name: string): Promise<void> {
  const png = (await page.screenshot()).toString('base64');
  const blank = await page.context().newPage();
  const webp = await blank.evaluate(async (data) => {
    const image = new Image();
    image.src = `data:image/png;base64,${data}`;
    await image.decode();
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [image.width, image.height];
    canvas.getContext('2d')!.drawImage(image, 0, 0);
    return canvas.toDataURL('image/webp', 0.9).split(',')[1]!;
  }, png);
  await blank.close();
  const path = join(ROOT, 'docs', `page-${name}.webp`);
  const bytes = Buffer.from(webp, 'base64');
  writeFileSync(path, bytes);
  console.log(`${path}: ${Math.round(bytes.length / 1000)} kB`);
}

async function open(browser: Browser, url: string, colorScheme: 'light' | 'dark'): Promise<Page> {
  const context = await browser.newContext({ viewport: SIZE, colorScheme });
  const page = await context.newPage();
  await page.goto(url);
  await page.waitForSelector('.plot canvas', { timeout: 600_000 });
  return page;
}

/** A swarm of six in one process. */
async function takeSwarm(browser: Browser): Promise<void> {
  const [, url] = await begin(['demo', '--peers', '6', '--rounds', '16', '--out', 'shared'], /(http:\S+token\S+)/);
  const page = await open(browser, url!, 'light');
  await page.waitForFunction(
    (n) => Number.parseInt(document.querySelector('.fact dd')!.textContent!, 10) >= n,
    ROUNDS,
    {
      timeout: 600_000,
    },
  );
  await picture(page, 'overview');
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.click('a[href="#topology"]');
  await page.locator('.node').first().click();
  await page.waitForSelector('.graph line.mixed', { state: 'attached', timeout: 600_000 });
  await page.waitForTimeout(500);
  await picture(page, 'topology');
}

/** A peer with texts that have no label, and two others. */
async function takeTexts(browser: Browser): Promise<void> {
  const { shares } = splitReviews({ seed: '1', peers: 3, goldPerClass: 10 });
  for (const [i, { gold, unlabelled }] of shares.entries()) {
    const rows = [...gold.map(({ text, y }) => [text, y]), ...unlabelled.slice(0, 80).map(({ text }) => [text, ''])];
    const lines = rows.map(([text, y]) => `${String(text).replace(/[\t"]/g, ' ')}\t${y}`);
    writeFileSync(join(folder, `${i}.tsv`), `${['text\tlabel', ...lines].join('\n')}\n`);
  }
  const rounds = ['--rounds', '200', '--min-peers', '3'];
  const [, invite, url] = await begin(
    ['up', '--data', '0.tsv', ...rounds],
    /lorikeet join (\S+) --data.*?(http:\S+token\S+)/s,
  );
  for (const i of [1, 2]) begin(['join', invite!, '--data', `${i}.tsv`, '--no-ui'], /round [1-9]/).catch(() => {});
  const page = await open(browser, url!, 'light');
  await page.click('a[href="#texts"]');
  await page.waitForSelector('.texts li', { timeout: 600_000 });
  await picture(page, 'texts');
}

async function takeReport(browser: Browser): Promise<void> {
  const scenario = join(ROOT, 'sim', 'scenarios', 'graphs.yaml');
  const [, file] = await begin(['sim', scenario, '--seeds', '1..3'], /the same with curves: (\S+)/);
  const page = await open(browser, pathToFileURL(join(folder, file!)).href, 'light');
  await page.locator('.part').nth(1).scrollIntoViewIfNeeded();
  await page.evaluate(() => document.querySelectorAll('.part')[1]!.scrollIntoView());
  await page.evaluate(() => scrollBy(0, -60));
  await picture(page, 'report');
}

if (!existsSync(CHROMIUM)) throw new Error(`${CHROMIUM}: no chromium; LORIKEET_CHROMIUM names another`);
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
try {
  await takeReport(browser);
  await takeSwarm(browser);
  await takeTexts(browser);
} finally {
  for (const child of children) child.kill('SIGKILL');
  await browser.close();
  rmSync(folder, { recursive: true, force: true });
}
