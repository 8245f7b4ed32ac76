/** @file `lorikeet report`: from what `sim` left in a folder to one HTML file; and what it says where there is nothing. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ReportFile } from '../../node/page/report.ts';
import { buildPage } from '../../scripts/page.ts';
import { startIn } from '../processes.ts';
import { temporaryFolder } from '../support.ts';

const folder = temporaryFolder();
await buildPage();

function dataOf(file: string): ReportFile {
  const [, json] = /id="report">(.*?)<\/script>/s.exec(readFileSync(join(folder, file), 'utf8'))!;
  return JSON.parse(json!);
}

test('what sim has left is shown again, as one file or several in one, with the command that made it', async () => {
  for (const name of ['a', 'b']) {
    writeFileSync(
      join(folder, `${name}.yaml`),
      `name: ${name}\nabout: about ${name}\npeers: 4\nseeds: [1, 2]\nsettings: { rounds: 2 }\n`,
    );
    const { code, err } = await startIn(folder, ['sim', `${name}.yaml`]).done;
    assert.is(code, 0, err);
  }
  const fresh = dataOf('results/a.html').reports;
  const one = await startIn(folder, ['report', 'results/a.jsonl', '--out', 'a.html']).done;
  assert.equal([one.code, one.out.trim()], [0, 'a.html'], one.err);
  assert.equal(dataOf('a.html').reports, fresh);
  assert.equal([fresh[0]!.command, fresh[0]!.about], ['lorikeet sim a.yaml', 'about a']);
  const all = await startIn(folder, ['report', 'results', '--json']).done;
  assert.equal(JSON.parse(all.out).reports, ['a', 'b'], all.err);
  assert.equal(
    dataOf('results/report.html').reports.map(({ name }) => name),
    ['a', 'b'],
  );
});

test('a path that means no run is refused in one line', async () => {
  for (const [path, got] of [
    ['nothing', 'no such file or folder'],
    ['.', 'holds no runs'],
    ['a.yaml', 'neither .json nor .jsonl'],
  ] as const) {
    const { code, err } = await startIn(folder, ['report', path]).done;
    assert.is(code, 2);
    assert.match(err, new RegExp(`^lorikeet: ${path.replace('.', '\\.')}: ${got}; wanted a folder that .*\n$`));
  }
});

test.run();
