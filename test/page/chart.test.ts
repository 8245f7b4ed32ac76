/** @file What charts are made of: lines over one axis, curves over seeds with their bands, an SVG of its own, CSV. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { chartSvg } from '../../node/page/parts/chart-svg.ts';
import { csvOf, fileName } from '../../node/page/parts/download.ts';
import { aligned } from '../../node/page/parts/series.ts';
import { overSeeds } from '../../sim/report/spread.ts';

test('lines with points at other places share one axis, without what a logarithm has no place for', () => {
  const lines = [
    { name: 'a', points: [[0, 1] as const, [2, 0] as const], band: [[2, -1, 4] as const] },
    { name: 'b', points: [[1, 10] as const, [2, Number.NaN] as const] },
  ];
  const { xs, columns, bands } = aligned(lines, false);
  assert.equal(
    [xs, columns],
    [
      [0, 1, 2],
      [
        [1, null, 0],
        [null, 10, null],
      ],
    ],
  );
  assert.equal(bands, [
    [
      [null, null, 4],
      [null, null, -1],
    ],
    null,
  ]);
  assert.equal(aligned(lines, true).columns[0], [1, null, null]);
});

test("the mean over seeds lies in its band, as wide as Student's t has it, and one seed has none", () => {
  const { points, band } = overSeeds([[[1, 2]], [[1, 4]], [[1, 6]]]);
  assert.equal(points, [[1, 4]]);
  const reach = (4.303 * 2) / Math.sqrt(3);
  assert.ok(Math.abs(band![0]![1] - (4 - reach)) < 1e-9 && Math.abs(band![0]![2] - (4 + reach)) < 1e-9);
  assert.equal(overSeeds([[[1, 2]]]), { points: [[1, 2]] });
});

test('on a logarithmic axis the mean is of the logarithms, and the band stays above zero', () => {
  const { points, band } = overSeeds([[[1, 1e-6]], [[1, 1e-2]]], true);
  assert.ok(Math.abs(points[0]![1]! - 1e-4) < 1e-12);
  assert.ok(band![0]![1] > 0);
});

test('long curves are thinned to what can be seen, and keep their ends', () => {
  const curve = Array.from({ length: 5001 }, (_, i) => [i, i] as const);
  const { points } = overSeeds([curve]);
  assert.ok(points.length <= 402, String(points.length));
  assert.equal(
    [points[0], points.at(-1)],
    [
      [0, 0],
      [5000, 5000],
    ],
  );
});

test('an SVG draws lines, bands and names, safe whatever they are, and nothing of nothing', () => {
  const line = { name: 'a < b', points: [[0, 1] as const, [1, 2] as const], band: [[0, 0.5, 1.5] as const] };
  const svg = chartSvg({ title: 'x & y', x: 'round', y: 'loss', lines: [line] });
  assert.match(svg, /a &lt; b/);
  assert.match(svg, /x &amp; y/);
  assert.match(svg, /<polyline points="[\d., ]+"/);
  assert.match(svg, /<polygon points="[\d., ]+"/);
  for (const points of [[], [[3, 3] as const], [[0, 0] as const, [1, -1] as const]])
    for (const isLogarithmic of [false, true])
      assert.not.match(
        chartSvg({ title: '', x: '', y: '', lines: [{ name: 's', points }], isLogarithmic }),
        /NaN|Infinity/,
      );
});

test('CSV quotes what would break a row; a title becomes the name of a file', () => {
  assert.is(
    csvOf([
      ['a,b', 'say "x"'],
      [1.5, null],
    ]),
    '"a,b","say ""x"""\r\n1.5,\r\n',
  );
  assert.is(fileName('Loss of local steps!'), 'loss-of-local-steps');
});

test.run();
