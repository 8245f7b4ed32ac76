/** @file What a user has said of texts on the page, beside the state: kept apart from the user's own file, which nobody alters. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../atomic.ts';
import { codeOf, messageOf, UserError } from '../errors.ts';
import type { Note } from '../train/notebook.ts';
import type { CorrectableTexts } from '../train/objective.ts';

/** A peer's texts with what its user says of them, kept from one life of the peer to the next. */
export interface Notes {
  readonly texts: CorrectableTexts;
  /** Takes in a text, new or known, with the name of its class or null. Throws a UserError on another class, or no room. */
  put(note: NamedNote): Promise<void>;
  /** Back to what the file says of it, which may be nothing. */
  forget(text: string): Promise<void>;
}

/** Reads the notes of a state folder into a peer's texts. Throws a UserError where they cannot be read. */
export async function openNotes(folder: string, texts: CorrectableTexts): Promise<Notes> {
  let notes: readonly NamedNote[] = readNotes(folder);
  let last: Promise<void> = Promise.resolve();
  const { classes } = texts;
  // A class of another run is none of this one's: the note waits for its own.
  const known = (): Note[] =>
    notes.flatMap(({ text, label }) => {
      const y = label === null ? null : classes.indexOf(label);
      return y === -1 ? [] : [{ text, y }];
    });
  const change = (next: (before: readonly NamedNote[]) => readonly NamedNote[]): Promise<void> => {
    const mine = last.then(async () => {
      const after = next(notes);
      await writeNotes(folder, after);
      notes = after;
      await texts.revise(known());
    });
    last = mine.catch(() => {});
    return mine;
  };
  if (notes.length > 0) await texts.revise(known());
  return {
    texts,
    put: async (note) => {
      if (note.label !== null && !classes.includes(note.label))
        throw new UserError(
          'usage',
          `label: got ${JSON.stringify(note.label)}; wanted one of ${classes.join(', ')}, or none`,
        );
      await change((before) => withNote(before, note));
    },
    forget: (text) => change((before) => before.filter((note) => note.text !== text)),
  };
}

interface NamedNote {
  readonly text: string;
  /** The name of a class; null: it has none. */
  readonly label: string | null;
}

const FILE = 'labels.json';
/** Texts, characters of one, and bytes of all. */
const [MAX_NOTES, MAX_CHARACTERS, MAX_BYTES] = [10_000, 20_000, 64_000_000];

/** What a state folder says. Throws a UserError where the file cannot be read as such. */
function readNotes(folder: string): NamedNote[] {
  const path = join(folder, FILE);
  try {
    if (statSync(path).size > MAX_BYTES) throw new Error('too large to be labels given by hand');
    const read: unknown = JSON.parse(readFileSync(path, 'utf8'));
    const isNote = ({ text, label }: NamedNote): boolean =>
      typeof text === 'string' && (label === null || typeof label === 'string');
    if (!Array.isArray(read) || !read.every((one) => one !== null && isNote(one)))
      throw new Error('not a list of labels');
    return read.map(({ text, label }: NamedNote) => ({ text, label }));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw new UserError(
      'storage',
      `${path}: ${messageOf(error)}; mend it, or remove it to go by the labels of your file alone`,
    );
  }
}

/** The notes with one more, in the place of what was said of that text before. Throws a UserError where there is no room. */
function withNote(notes: readonly NamedNote[], note: NamedNote): NamedNote[] {
  if (note.text.trim() === '') throw new UserError('usage', 'text: got nothing; wanted some text');
  if (note.text.length > MAX_CHARACTERS)
    throw new UserError('usage', `text: got ${note.text.length} characters; wanted at most ${MAX_CHARACTERS}`);
  const others = notes.filter(({ text }) => text !== note.text);
  if (others.length >= MAX_NOTES)
    throw new UserError('usage', `${MAX_NOTES} texts are noted; put more of them in your file, and start again`);
  return [...others, note];
}

/** Resolves when durable. Throws what the system throws. */
function writeNotes(folder: string, notes: readonly NamedNote[]): Promise<void> {
  return writeFileAtomic(join(folder, FILE), `${JSON.stringify(notes, null, 1)}\n`);
}
