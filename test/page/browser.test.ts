/** @file The page in a headless Chromium, with the data of a real swarm of two on this machine: every view, by mouse and by keyboard. */
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { writeReportFile } from '../../node/ui/report-file.ts';
import { buildPage } from '../../scripts/page.ts';
import { simulationReport } from '../../sim/report/scenario.ts';
import { readScenario } from '../../sim/world/scenario.ts';
import { simulate } from '../../sim/world/simulate.ts';
import { MACHINE, type Running, said, startIn, writeTexts } from '../processes.ts';
import { temporaryFolder } from '../support.ts';
import { CHROMIUM, launch, open, overflow, seriousFaults, withoutBrowser } from './parts/browser.ts';

const folder = temporaryFolder();
const texts = Array.from({ length: 12 }, (_, i) => `${i % 2 ? 'a fine film, lovely' : 'an awful mess, dull'} ${i}`);
writeTexts(folder, 'first.tsv', texts);
appendFileSync(join(folder, 'first.tsv'), 'the chairs are new\t\nthe queue was long\t\n');
writeTexts(folder, 'second.tsv', [...texts].reverse());

interface Swarm {
  readonly browser: Browser;
  readonly url: string;
  readonly first: Running;
}

/** Two peers at work for as long as the tests take, and a browser; null where there is none. */
const swarm: Promise<Swarm | null> = CHROMIUM === null ? Promise.resolve(null) : begin();

async function begin(): Promise<Swarm> {
  await buildPage();
  const rounds = ['--rounds', '400', '--local-steps', '1', '--min-peers', '2'];
  const first = startIn(folder, ['up', '--data', 'first.tsv', ...rounds, ...MACHINE]);
  const [, url] = await said(first, /the page of this peer: (http\S+)/);
  const [, invite] = await said(first, /lorikeet join (\S+) --data/);
  startIn(folder, ['join', invite!, '--data', 'second.tsv', '--no-ui', ...MACHINE]);
  return { browser: await launch(), url: url!, first };
}

/** A test that needs the browser. */
function see(name: string, run: (swarm: Swarm) => Promise<void>): void {
  test(name, async () => {
    const begun = await swarm;
    if (begun) await run(begun);
    else console.log(withoutBrowser());
  });
}

const VIEWS = ['overview', 'topology', 'peers', 'rounds', 'texts', 'adapter', 'invite', 'privacy'];

async function show(page: Page, view: string): Promise<void> {
  await page.click(`nav a[href="#${view}"]`);
  await page.waitForSelector(`h1:text-is("${view[0]!.toUpperCase()}${view.slice(1)}")`);
}

see(
  'every view shows the swarm, light and dark, at a desk and on a phone, with no serious fault, error or stranger',
  async ({ browser, url }) => {
    for (const [width, colorScheme] of [
      [1280, 'light'],
      [360, 'dark'],
    ] as const) {
      const { page, strangers, errors } = await open(browser, url, { viewport: { width, height: 800 }, colorScheme });
      await page.waitForSelector('.plot canvas');
      assert.is(new URL(page.url()).search, '', 'the token does not stay in the address');
      for (const view of VIEWS) {
        await show(page, view);
        assert.equal(await seriousFaults(page), [], `${view} at ${width}`);
        assert.ok((await overflow(page)) <= 0, `${view} at ${width} scrolls sideways by ${await overflow(page)}`);
      }
      assert.equal([strangers, errors], [[], []]);
      await page.context().close();
    }
  },
);

see('curves move as rounds go by, and the slider goes back in time', async ({ browser, url }) => {
  const { page, errors } = await open(browser, url);
  const round = async (): Promise<number> => Number.parseInt(await page.innerText('.fact dd'), 10);
  await page.waitForSelector('.plot canvas');
  const before = await round();
  const drawn = await page.evaluate(() => document.querySelector<HTMLCanvasElement>('.plot canvas')!.toDataURL());
  await page.waitForFunction((n) => Number.parseInt(document.querySelector('.fact dd')!.textContent!, 10) > n, before);
  assert.ok((await round()) > before);
  await page.waitForFunction(
    (was) => document.querySelector<HTMLCanvasElement>('.plot canvas')!.toDataURL() !== was,
    drawn,
  );
  await show(page, 'topology');
  await page.waitForSelector('.graph line.mixed', { state: 'attached' });
  const slider = page.locator('#round');
  await slider.focus();
  await page.keyboard.press('Home');
  await page.waitForSelector('label[for="round"]:text-is("Round 1")');
  await page.keyboard.press('ArrowRight');
  await page.waitForSelector('label[for="round"]:text-is("Round 2")');
  await page.locator('.node').last().focus();
  await page.keyboard.press('Enter');
  await page.waitForSelector('.card h4:text-is("Round 2")');
  assert.match(await page.innerText('.columns > .card:last-child'), /Round 2\s+with .*(mixed|open|late)/s);
  assert.equal(errors, []);
  await page.context().close();
});

see(
  'a soft label corrected there is gold from the next round, is kept beside the file, and a text can be tried',
  async ({ browser, url }) => {
    const file = readFileSync(join(folder, 'first.tsv'), 'utf8');
    const { page, strangers, errors } = await open(browser, url);
    await page.waitForSelector('.plot canvas');
    await show(page, 'texts');
    const row = page.locator('.texts li', { hasText: 'the queue was long' });
    await row.waitFor();
    assert.match(await row.innerText(), /the swarm says (negative|positive), [\d.]+ % sure/);
    await row.locator('button:text-is("negative")').click();
    await page.waitForSelector('.said:has-text("it is negative, from the next round on")');
    await page.waitForSelector('p:has-text("13 texts have a label now, 1 have none")');
    await page.fill('textarea', 'what a fine place');
    await page.selectOption('form select', 'positive');
    await page.click('button:text-is("Add")');
    await page.waitForSelector('p:has-text("14 texts have a label now, 1 have none")');
    assert.equal(JSON.parse(readFileSync(join(folder, 'first.tsv.lorikeet', 'labels.json'), 'utf8')), [
      { text: 'the queue was long', label: 'negative' },
      { text: 'what a fine place', label: 'positive' },
    ]);
    assert.is(readFileSync(join(folder, 'first.tsv'), 'utf8'), file);
    await show(page, 'adapter');
    await page.fill('textarea', 'a lovely film');
    await page.click('button:text-is("Classify")');
    await page.waitForSelector('.opinions li');
    assert.match(
      (await page.locator('.opinions').innerText()).replace(/\s+/g, ' '),
      /base .*(neg|pos)\w+ [\d.]+ % own .* swarm .* snapshot round \d+/,
    );
    await page.click('button:text-is("Write it")');
    await page.waitForSelector('.path:has-text("first.tsv.lorikeet/adapter-after-")');
    assert.equal([strangers, errors], [[], []]);
    await page.context().close();
  },
);

see('whom the page bans is refused by the peer at work', async ({ browser, url, first }) => {
  const { page, errors } = await open(browser, url);
  await page.waitForSelector('.plot canvas');
  await show(page, 'peers');
  await page.locator('tbody tr', { hasText: 'connected' }).locator('button:text-is("Ban")').click();
  await said(first, /refusing 12D3KooW\w+, which is banned here/);
  await page.waitForSelector('tbody button:text-is("Allow")');
  assert.equal(errors, []);
  await page.context().close();
});

see(
  'a report is one file: curves, a table that sorts, graphs by a slider, downloads; nothing else is asked for',
  async ({ browser }) => {
    const given = { name: 'small', peers: 6, size: 4, seeds: [1, 2], vary: { schedule: ['ring', 'full'] } };
    const { runs } = readScenario({ ...given, settings: { rounds: 5 } }, 'small.yaml');
    const all = await Promise.all(runs.map(async (run) => ({ run, result: (await simulate(run)).result })));
    const report = simulationReport({ name: 'small', about: 'a < b', runs }, all, 'lorikeet sim small.yaml');
    const file = join(folder, 'small.html');
    assert.ok(await writeReportFile(file, [report], assert.unreachable));
    const { page, strangers, errors } = await open(browser, pathToFileURL(file).href, { acceptDownloads: true });
    await page.waitForSelector('.plot canvas');
    assert.match(await page.innerText('main'), /a < b/);
    const first = (): Promise<string> => page.innerText('tbody tr:first-child td:first-child');
    assert.is(await first(), 'schedule ring');
    await page.click('th button:text-is("point")');
    assert.is(await first(), 'schedule full');
    await page.click('th button:has-text("spectral gap")');
    assert.is(await first(), 'schedule full', 'the largest first');
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('.chart button:text-is("SVG")')]);
    assert.match(readFileSync(await download.path(), 'utf8'), /^<svg .*<polygon .*schedule ring/s);
    const plot = page.locator('.plot').first();
    const drawn = (): Promise<string> =>
      plot.locator('canvas').evaluate((one) => (one as HTMLCanvasElement).toDataURL());
    await page.mouse.move(0, 0);
    const whole = await drawn();
    const { x, y, width } = (await plot.locator('.u-over').boundingBox())!;
    await page.mouse.move(x + width * 0.3, y + 20);
    await page.mouse.down();
    await page.mouse.move(x + width * 0.6, y + 120, { steps: 4 });
    await page.mouse.up();
    await page.mouse.move(0, 0);
    assert.is.not(await drawn(), whole, 'a box that is drawn is zoomed into');
    await page.click('.chart button:text-is("All")');
    await page.waitForFunction(
      (was) => document.querySelector<HTMLCanvasElement>('.plot canvas')!.toDataURL() === was,
      whole,
    );
    await page.locator('.graph input').first().focus();
    await page.keyboard.press('End');
    await page.waitForSelector('.graph label:text-is("Round 5")');
    await page.click('.chart summary');
    assert.match(await page.innerText('.numbers thead'), /round\s+schedule ring\s+schedule ring, from/);
    assert.equal(await seriousFaults(page), []);
    await page.setViewportSize({ width: 360, height: 800 });
    assert.ok((await overflow(page)) <= 0);
    assert.equal([strangers, errors], [[], []]);
    await page.context().close();
  },
);

see('when the peer ends, the page says so and keeps what it said last', async ({ browser, url, first }) => {
  const { page } = await open(browser, url);
  await page.waitForSelector('.plot canvas');
  first.child.kill('SIGINT');
  await page.waitForSelector('.said:has-text("The peer does not answer")');
  assert.ok(await page.isVisible('.plot canvas'));
  assert.is(await page.innerText('.light'), 'not connected');
  await page.context().close();
});

test.after(async () => {
  const begun = await swarm;
  await begun?.browser.close();
});

test.run();
