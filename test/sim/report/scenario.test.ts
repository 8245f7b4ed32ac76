/** @file What a report of scenarios says of runs that never came together, of graphs in parts, and of runs that are not there. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { simulationMarkdown, simulationReport } from '../../../sim/report/scenario.ts';
import type { Simulated } from '../../../sim/world/records.ts';
import { readScenario } from '../../../sim/world/scenario.ts';
import { type SimulationResult, simulate } from '../../../sim/world/simulate.ts';

const { runs } = readScenario({ name: 'x', peers: 4, size: 4, seeds: [1, 2, 3], settings: { rounds: 3 } }, 'x.yaml');
const whole = await Promise.all(runs.map(async (run) => ({ run, result: (await simulate(run)).result })));
const spec = { name: 'x', about: '', runs };

/** The columns of the only row, by title. */
function figuresOf(all: readonly Simulated[]): Map<string, string> {
  const rows = simulationMarkdown(spec, all, 'cmd').split('\n');
  const cellsOf = (line: string): string[] => line.split('|').map((cell) => cell.trim());
  const [head, row] = [rows.find((line) => /^\| point/.test(line))!, rows.findLast((line) => /^\|/.test(line))!];
  return new Map(cellsOf(head).map((title, i) => [title, cellsOf(row)[i]!]));
}

const withResults = (parts: readonly Partial<SimulationResult>[]): Simulated[] =>
  whole.map(({ run, result }, i) => ({ run, result: { ...result, ...parts[i] } }));

test('a run that never came close counts as longer than any, not as none', () => {
  const rounds = (...each: (number | null)[]): string | undefined =>
    figuresOf(withResults(each.map((roundsToThousandth) => ({ roundsToThousandth })))).get('rounds to 1e-3');
  assert.equal([rounds(5, 7, null), rounds(5, null, null), rounds(null, null, null)], ['7', '-', '-']);
});

test('graphs in parts say so, fresh from the run as from a file', () => {
  const stays = { contraction: 1, diameter: Number.POSITIVE_INFINITY };
  const exact = { contraction: 0, diameter: Number.POSITIVE_INFINITY };
  const drawn = { contraction: 0.7, diameter: Number.POSITIVE_INFINITY };
  for (const [result, bound] of [
    [stays, 'never'],
    [exact, 'exact'],
    [drawn, '20'],
  ] as const) {
    const fresh = withResults([result, result, result]);
    for (const all of [fresh, JSON.parse(JSON.stringify(fresh)) as Simulated[]]) {
      const figures = figuresOf(all);
      assert.equal([figures.get('by the spectrum'), figures.get('diameter')], [bound, 'in parts']);
    }
  }
});

test('where everybody meets everybody one round is foretold', () => {
  const full = { contraction: 0, diameter: 1 };
  assert.is(figuresOf(withResults([full, full, full])).get('by the spectrum'), '1');
});

test('a report of some of the runs says of how many', () => {
  assert.match(simulationMarkdown(spec, whole, 'cmd'), /3 seeds; medians, counts summed\. Trace/);
  for (const report of [
    simulationMarkdown(spec, whole.slice(1, 2), 'cmd'),
    simulationReport(spec, whole.slice(1, 2), 'cmd').footing,
  ])
    assert.match(report, /1 seed; medians, counts summed\. Only 1 of 3 runs are here\./);
});

test.run();
