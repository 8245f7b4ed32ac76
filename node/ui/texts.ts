/** @file What the page can ask of a peer's texts: to see them with the labels the swarm gives, to add some, to correct them. */
import { UserError } from '../errors.ts';
import type { TextRow, TextsAnswer } from '../page/answers.ts';
import type { Participant } from '../participant.ts';
import type { NotedText } from '../train/notebook.ts';
import type { Notes } from './notes.ts';
import type { Actions } from './server.ts';

/** Rows that are given at once. */
const MAX_ROWS = 50;

type Given = Readonly<Record<string, unknown>>;

const FILTERS: Readonly<Record<string, (text: NotedText) => boolean>> = {
  all: () => true,
  labelled: ({ y }) => y !== null,
  unlabelled: ({ y }) => y === null,
  changed: ({ isNoted }) => isNoted,
};

export function textActions(notes: Notes, participant: Participant): Actions {
  const { texts } = notes;
  const nameOf = (y: number | null | undefined): string | null => (typeof y === 'number' ? texts.classes[y]! : null);
  return {
    texts: async ({ filter, search, offset }): Promise<TextsAnswer> => {
      const isWanted = FILTERS[textOf(filter ?? 'all', 'filter')] ?? FILTERS.all!;
      const words = textOf(search ?? '', 'search').toLowerCase();
      const found = texts.list().filter((one) => isWanted(one) && one.text.toLowerCase().includes(words));
      const begin = Math.max(0, Math.min(Number(offset) || 0, found.length));
      const page = found.slice(begin, begin + MAX_ROWS);
      const bare = page.filter(({ y }) => y === null).map(({ text }) => text);
      const probabilities = bare.length > 0 ? await texts.probabilities(bare, participant.adapter()) : [];
      const softly = texts.softly();
      const rows = page.map(({ text, y, given, isNoted }): TextRow => {
        const soft = y === null ? probabilities[bare.indexOf(text)]! : null;
        const confidence = soft && Math.max(...soft);
        return {
          text,
          label: nameOf(y),
          given: nameOf(given),
          isAdded: given === undefined,
          isNoted,
          soft: soft && { label: nameOf(soft.indexOf(confidence!))!, confidence: confidence! },
          isTrained: y === null && softly.has(text),
        };
      });
      return { total: found.length, offset: begin, rows, classes: texts.classes };
    },
    label: async (given) => notes.put({ text: textOf(given.text, 'text'), label: labelOf(given) }),
    forget: async ({ text }) => notes.forget(textOf(text, 'text')),
  };
}

function labelOf({ label }: Given): string | null {
  return label === null || label === undefined ? null : textOf(label, 'label');
}

export function textOf(value: unknown, name: string): string {
  if (typeof value === 'string') return value;
  throw new UserError('usage', `${name}: got ${JSON.stringify(value)}; wanted text`);
}
