/** @file What there is to know of a peer's texts before a model learns to write as they do. */
import type { DataFile, Row } from '../texts/data.ts';
import { learnedCount, type Piece, type WritingTask } from '../texts/pieces.ts';
import type { Form } from '../texts/writings.ts';
import { badLines, countRepeats, many, unreadText } from './inspect.ts';
import type { Inspected } from './objective.ts';

/** Where what is learned stands. */
const READ: Readonly<Record<Form, (column: string) => string>> = {
  text: (column) => `texts from "${column}", learned as a whole`,
  completion: () => 'completions are learned, each after its prompt',
  chat: () => 'of each chat the turns of the assistant are learned',
};

/** Counts; `encoded` are the pieces of each row. */
export function inspectWritings(
  task: WritingTask,
  file: DataFile,
  rows: readonly Row[],
  encoded: readonly (readonly Piece[])[],
): Inspected {
  const { path, form, columns, notes, bad } = file;
  const { maxTokens } = task.source;
  const pieces = encoded.flat();
  const tokens = pieces.reduce((sum, { ids }) => sum + ids.length, 0);
  const unknown = pieces.reduce((sum, { ids }) => sum + ids.filter((id) => id === task.unknownId).length, 0);
  const learned = pieces.reduce((sum, piece) => sum + learnedCount(piece), 0);
  const cut = pieces.filter(({ isCut }) => isCut).length;
  const divided = encoded.filter((own) => own.length > 1).length;
  const empty = encoded.filter((own) => own.length === 0).length;
  const { duplicates } = countRepeats(rows.map(({ text }) => ({ text, y: null })));
  const unknownShare = tokens === 0 ? null : unknown / tokens;
  const [first] = pieces;
  const sample = first ? sampleOf(task, first) : { seen: '', learned: '' };
  const fields = { path, rows: rows.length, form, columns, notes, bad, duplicates };
  const lines = [
    `${path}: ${many(rows.length, 'text')}, ${many(learned, 'token')} to learn`,
    `  ${READ[form](columns.text)}${unreadText(columns.others)}`,
    ...notes.map((note) => `  the file: ${note}`),
    ...badLines(bad),
    ...(duplicates > 0 ? [`  ${many(duplicates, 'text')} repeated`] : []),
    ...(divided > 0 ? [`  ${divided} longer than ${maxTokens} tokens, learned in pieces`] : []),
    ...(cut > 0 ? [`  ${cut} cut at ${maxTokens} tokens`] : []),
    ...(empty > 0 ? [`  ${empty} with nothing left to learn`] : []),
    ...(unknown > 0 ? [`  ${(100 * unknownShare!).toFixed(1)} % of the tokens unknown to the base`] : []),
    `  as the model sees it: ${sample.seen}`,
    ...(form === 'text' ? [] : [`  learned of that: ${sample.learned}`]),
  ];
  return {
    path,
    lines,
    fields: { ...fields, tokens, learned, divided, cut, empty, maxTokens, unknownShare, sample },
    unknownShare,
  };
}

const SHOWN_CHARS = 300;

function sampleOf(task: WritingTask, { ids, learned }: Piece): { seen: string; learned: string } {
  const short = (text: string): string => (text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)} ...` : text);
  const runs = learned.map(([from, to]) => task.show(ids.slice(from, to)));
  return { seen: short(task.show(ids)), learned: short(runs.join(' / ')) };
}
