/** @file A peer's texts of classes as they stand while it learns: those of its file, and what its user has added and corrected. */

import type { Task } from '../texts/task.ts';
import type { EncodedExample } from './learner.ts';
import { encodeTexts } from './learner.ts';
import type { UnlabelledText } from './pseudo.ts';

/** What a user says of a text: its class, or null for none; of one that is not in the file too. */
export interface Note {
  readonly text: string;
  readonly y: number | null;
}

export interface NotedText extends Note {
  /** As the file has it; undefined: it is not in the file. */
  readonly given: number | null | undefined;
  readonly isNoted: boolean;
}

export interface Notebook {
  readonly gold: readonly EncodedExample[];
  readonly unlabelled: readonly UnlabelledText[];
  /** Rises with every change. */
  readonly version: number;
  list(): readonly NotedText[];
  /** These notes and no others: what is trained on from the next round. */
  revise(notes: readonly Note[]): Promise<void>;
}

/** Opens it with the file's texts alone. */
export async function createNotebook(task: Task, items: readonly Note[]): Promise<Notebook> {
  const encoded = new Map<string, EncodedExample['sequence']>();
  let texts: NotedText[] = [];
  let [gold, unlabelled, version]: [EncodedExample[], UnlabelledText[], number] = [[], [], 0];
  const revise = async (notes: readonly Note[]): Promise<void> => {
    const noted = new Map(notes.map(({ text, y }) => [text, y]));
    const inFile = new Set(items.map(({ text }) => text));
    const next = [
      ...items.map(({ text, y }): NotedText => {
        const own = noted.get(text);
        return { text, given: y, y: own === undefined ? y : own, isNoted: own !== undefined };
      }),
      ...[...noted].flatMap(([text, y]): NotedText[] =>
        inFile.has(text) ? [] : [{ text, y, given: undefined, isNoted: true }],
      ),
    ];
    const labelled = next.filter(({ y }) => y !== null);
    // The same text in several rows is several examples.
    const times = new Map<string, number>();
    const keyed = labelled.map(({ text, y }) => {
      const time = times.get(text) ?? 0;
      times.set(text, time + 1);
      return { text, y: y!, key: `${time} ${text}` };
    });
    const missing = keyed.filter(({ key }) => !encoded.has(key));
    const sequences = await encodeTexts(
      task,
      missing.map(({ text }) => text),
    );
    for (const [i, { key }] of missing.entries()) encoded.set(key, sequences[i]!);
    texts = next;
    gold = keyed.map(({ key, y }) => ({ sequence: encoded.get(key)!, y }));
    unlabelled = next.filter(({ y }) => y === null).map(({ text }) => ({ text, truth: null }));
    version += 1;
  };
  await revise([]);
  return {
    get gold() {
      return gold;
    },
    get unlabelled() {
      return unlabelled;
    },
    get version() {
      return version;
    },
    list: () => texts,
    revise,
  };
}
