/**
 * @file What a model gets right, class by class: confusion, accuracy, and balanced accuracy (Brodersen et al. 2010); and how well
 * it says what comes next.
 */

/** Counts of examples: [true class, class they were given]. */
export type Confusion = readonly (readonly number[])[];

export interface Accuracy {
  readonly type: 'accuracy';
  readonly correct: number;
  readonly count: number;
  /** Null where there was nothing to score. */
  readonly share: number | null;
  /** Mean over the classes that occur of the share of each that is right; null where there was nothing to score. */
  readonly balanced: number | null;
  readonly confusion: Confusion;
}

/** How well next tokens are said. */
export interface TokenLoss {
  readonly type: 'loss';
  /** How many were. */
  readonly tokens: number;
  /** Mean of -ln p a token; null where there was nothing to score. */
  readonly loss: number | null;
  /** e^loss: of how many tokens, all as likely, each might have been. */
  readonly perplexity: number | null;
}

/** What held-out texts say of an adapter. */
export type Score = Accuracy | TokenLoss;

/** What base, alone (null: it has not trained yet) and swarm write on after the same words. */
export interface Samples {
  readonly prompt: string;
  readonly base: string;
  readonly alone: string | null;
  readonly swarm: string;
  /** After how many rounds. */
  readonly at: { readonly alone: number; readonly swarm: number };
}

/** The one number a score stands for: the share that is right, or loss a token; null where there was nothing to score. */
export function figureOf(score: Score): number | null {
  return score.type === 'accuracy' ? score.share : score.loss;
}

export function tokenLossOf(logProbabilities: readonly ArrayLike<number>[]): TokenLoss {
  let [tokens, total] = [0, 0];
  for (const list of logProbabilities) {
    tokens += list.length;
    for (let i = 0; i < list.length; i++) total -= list[i]!;
  }
  const loss = tokens === 0 ? null : total / tokens;
  return { type: 'loss', tokens, loss, perplexity: loss === null ? null : Math.exp(loss) };
}

/** Counts what became of each example, by its true class. */
export function confusionOf(
  examples: readonly { readonly y: number }[],
  given: readonly number[],
  classes: number,
): Confusion {
  const counts = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (const [i, { y }] of examples.entries()) counts[y]![given[i]!]! += 1;
  return counts;
}

export function accuracyOf(confusion: Confusion): Accuracy {
  const counts = classCounts(confusion);
  const count = sum(counts);
  const correct = sum(confusion.map((row, y) => row[y]!));
  const recalls = confusion.flatMap((row, y) => (counts[y]! > 0 ? row[y]! / counts[y]! : []));
  return {
    type: 'accuracy',
    correct,
    count,
    share: count === 0 ? null : correct / count,
    balanced: averageOf(recalls),
    confusion,
  };
}

/** How many examples are of each class. */
export function classCounts(confusion: Confusion): number[] {
  return confusion.map(sum);
}

/** Several tables added up, cell by cell; of one size each. */
export function sumConfusions(tables: readonly Confusion[]): Confusion {
  return (tables[0] ?? []).map((row, y) => row.map((_, k) => sum(tables.map((table) => table[y]![k]!))));
}

/** A largest class so many times the smallest makes accuracy alone mislead. */
const UNEVEN = 1.1;

export function isUneven(counts: readonly number[]): boolean {
  return Math.max(...counts) > UNEVEN * Math.min(...counts);
}

/** What answering the most frequent class for everything gets right; null of nothing. */
export function majorityShare(counts: readonly number[]): number | null {
  const count = sum(counts);
  return count === 0 ? null : Math.max(...counts) / count;
}

/** Null of nothing: a mean that nothing was measured for is no number. */
export function averageOf(values: readonly number[]): number | null {
  return values.length === 0 ? null : sum(values) / values.length;
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
