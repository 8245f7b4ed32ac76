/** @file Attacks against rules, crossed: what a scenario's honest peers get right under each, where both vary. */
import type { Simulated } from '../world/records.ts';
import type { ScenarioRun } from '../world/run.ts';

/**
 * A row an attack, a column a rule: texts or points got right in %, honest peers on average / the worst of them, means over
 * seeds; and of texts with a backdoor's trigger those that are taken for its class. null where not both vary, or the measure
 * is no share.
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
      const right = (of: (one: Simulated) => number): string => (100 - 100 * averageOf(group.map(of))).toFixed(1);
      const cell = `${right(({ result }) => result.lossOfPeers)} / ${right(({ result }) => result.lossOfWorst)}`;
      const misled = group.flatMap(({ result }) => result.triggered ?? []);
      return misled.length > 0 ? `${cell}; ${(100 * averageOf(misled)).toFixed(1)}` : cell;
    }),
  ]);
  const isMisled = all.some(({ result }) => typeof result.triggered === 'number');
  return { head: [`right in %: mean / worst${isMisled ? '; misled by the trigger' : ''}`, ...rules], rows };
}

function attackOf({ scenario: { trainer, dirichlet, learning, liars } }: ScenarioRun): string {
  const alike = trainer === 'lora' ? (learning.partition ?? 'iid') : 'alike';
  const dealt = dirichlet > 0 ? `Dirichlet ${dirichlet}` : alike;
  return liars.share > 0 ? `${dealt}, ${Math.round(100 * liars.share)} % ${liars.kind}` : `${dealt}, no attack`;
}

function averageOf(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
