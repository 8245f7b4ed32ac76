/** @file Attacks against rules, crossed: what a scenario's honest peers get right under each, where both vary. */
import type { Simulated } from '../world/records.ts';
import type { ScenarioRun } from '../world/run.ts';

/**
 * A row an attack, a column a rule: texts or points got right in %, honest peers on average / the worst of them, medians over
 * seeds. null where not both vary, or the measure is no share.
 */
export function attackTable(all: readonly Simulated[]): { head: string[]; rows: string[][] } | null {
  const rules = [...new Set(all.map(({ run }) => run.settings.rule))];
  const attacks = [...new Set(all.map(({ run }) => attackOf(run)))];
  const isShare = all.every(({ run }) => run.scenario.trainer === 'logistic' || run.scenario.trainer === 'lora');
  if (!isShare || rules.length < 2 || attacks.length < 2) return null;
  const rows = attacks.map((attack) => [
    attack,
    ...rules.map((rule) => {
      const group = all.filter(({ run }) => attackOf(run) === attack && run.settings.rule === rule);
      if (group.length === 0) return '-';
      const right = (of: (one: Simulated) => number): string => (100 - 100 * median(group.map(of))).toFixed(1);
      return `${right(({ result }) => result.lossOfPeers)} / ${right(({ result }) => result.lossOfWorst)}`;
    }),
  ]);
  return { head: ['right in %: mean / worst', ...rules], rows };
}

function attackOf({ scenario: { dirichlet, liars } }: ScenarioRun): string {
  const dealt = dirichlet > 0 ? `Dirichlet ${dirichlet}` : 'alike';
  return liars.share > 0 ? `${dealt}, ${Math.round(100 * liars.share)} % ${liars.kind}` : `${dealt}, no attack`;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
