/** @file Attacks against rules, crossed: what a scenario's honest peers get right under each, where both vary, as a table and as a picture. */
import type { Simulated } from '../world/records.ts';
import type { ScenarioRun } from '../world/run.ts';
import { escaped } from './markup.ts';

interface Crossed {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/**
 * A row an attack, a column a rule: texts or points got right in %, honest peers on average / the worst of them, means over
 * seeds; and of texts with a backdoor's trigger those that are taken for its class. null where not both vary, or the measure
 * is no share.
 */
export function attackTable(all: readonly Simulated[]): Crossed | null {
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

/** Of a picture: a cell, the names of the rows, the titles (pixels). */
const [CELL_WIDTH, CELL_HEIGHT, NAME_WIDTH, TITLE_HEIGHT] = [96, 20, 210, 26];
/** Right in %: what a coin knows is white, all of it is the darkest. */
const [WHITE, DARK] = [50, 100];

/** The table as an SVG: the darker a cell, the more is right on average. */
export function attackPicture({ head, rows }: Crossed): string {
  const text = (x: number, y: number, what: string, more = ''): string =>
    `<text x="${x}" y="${y}" dominant-baseline="middle"${more}>${escaped(what)}</text>`;
  const middle = (column: number): number => NAME_WIDTH + CELL_WIDTH * (column + 0.5);
  const titles = head.slice(1).map((rule, k) => text(middle(k), TITLE_HEIGHT / 2, rule, ' text-anchor="middle"'));
  const cells = rows.flatMap(([name, ...row], r) => {
    const y = TITLE_HEIGHT + CELL_HEIGHT * r;
    const drawn = row.map((cell, k) => {
      const share = Math.min(1, Math.max(0, (Number.parseFloat(cell) - WHITE) / (DARK - WHITE))) || 0;
      const box = `<rect x="${NAME_WIDTH + CELL_WIDTH * k}" y="${y}" width="${CELL_WIDTH}" height="${CELL_HEIGHT}" fill="#0072b2" fill-opacity="${share.toFixed(2)}"/>`;
      const colour = share > 0.6 ? '#fff' : '#222';
      return box + text(middle(k), y + CELL_HEIGHT / 2, cell, ` text-anchor="middle" fill="${colour}"`);
    });
    return [text(4, y + CELL_HEIGHT / 2, name!), ...drawn];
  });
  const [width, height] = [NAME_WIDTH + CELL_WIDTH * (head.length - 1), TITLE_HEIGHT + CELL_HEIGHT * rows.length];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif" font-size="12" fill="#222">
<title>${escaped(head[0]!)}</title>
<rect width="${width}" height="${height}" fill="#fff"/>
${[...titles, ...cells].join('\n')}
</svg>
`;
}
