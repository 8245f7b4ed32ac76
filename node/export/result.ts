/** @file What a peer's state keeps of how its run ended, for the card: sizes of data and scores, no text. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../atomic.ts';
import type { Score } from '../train/score.ts';
import type { Facts, Scores } from './card.ts';

const FILE = 'result.json';

type Result = Pick<Facts, 'labelled' | 'unlabelled' | 'scores'>;

/** What of a run's end a card tells; `compared` on texts that nobody here trained on. */
export function resultOf(
  { labelled, unlabelled }: { labelled: number; unlabelled: number },
  compared: Readonly<Record<'base' | 'alone' | 'swarm', Score | null>> | null,
  texts: number,
): Result {
  const sizes = { labelled, unlabelled };
  if (!compared) return sizes;
  const figure = (score: Score | null): number | null =>
    score && (score.type === 'accuracy' ? score.share : score.perplexity);
  const [base, alone, swarm] = [compared.base, compared.alone, compared.swarm].map(figure);
  const measure = compared.swarm?.type === 'loss' ? 'perplexity' : 'accuracy';
  return { ...sizes, scores: { measure, texts, base: base!, alone: alone!, swarm: swarm! } };
}

export async function writeResult(folder: string, runId: string, result: Result): Promise<void> {
  await writeFileAtomic(join(folder, FILE), `${JSON.stringify({ runId, ...result }, null, 2)}\n`);
}

/** Null where the run has not ended here, or the file is of another. */
export function readResult(folder: string, runId: string): Result | null {
  const path = join(folder, FILE);
  if (!existsSync(path)) return null;
  try {
    const { runId: of, labelled, unlabelled, scores } = JSON.parse(readFileSync(path, 'utf8'));
    if (of !== runId || ![labelled, unlabelled].every(Number.isFinite)) return null;
    return { labelled, unlabelled, ...(isScores(scores) ? { scores } : {}) };
  } catch {
    return null; // the card leaves out what is not known
  }
}

function isScores(value: unknown): value is Scores {
  const { measure, texts, base, alone, swarm } = (value ?? {}) as Partial<Scores>;
  const isFigure = (x: unknown): boolean => x === null || Number.isFinite(x);
  return (measure === 'accuracy' || measure === 'perplexity') && [texts, base, alone, swarm].every(isFigure);
}
