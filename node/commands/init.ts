/** @file `lorikeet init`: asks what a run is to be, or takes it from flags, and writes the file that `up --config` reads. */
import { existsSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { createInterface, type Interface } from 'node:readline/promises';
import { SETTINGS } from '../../protocol/settings.ts';
import { codeOf, EXIT, messageOf, UserError } from '../errors.ts';
import { described, mistakesOf, type Schema, such, textLike } from '../schema.ts';
import { SETTING_FIELDS } from '../settings.ts';
import type { Flags } from './flags.ts';

interface Question {
  readonly name: string;
  readonly ask: string;
  readonly accepts: Schema;
  readonly fallback: string;
  /** Whether it is worth asking, by what has been answered. */
  readonly isFor?: (answers: Answers) => boolean;
}

type Answers = Readonly<Record<string, string>>;

function ofRun(name: keyof typeof SETTINGS, ask: string, isFor?: Question['isFor']): Question {
  const accepts = SETTING_FIELDS[name]!;
  return { name, ask, accepts, fallback: String(SETTINGS[name].default), ...(isFor ? { isFor } : {}) };
}

/** In the order they are asked, and written. */
const QUESTIONS: readonly Question[] = [
  {
    name: 'data',
    ask: 'your texts, a file (.tsv, .csv, .jsonl, .txt)',
    accepts: such(textLike(/\S/, 'a file that is there'), existsSync, 'a file that is there'),
    fallback: '',
  },
  ofRun('objective', 'what is learned: classify | next-token (to write as your texts do)'),
  ofRun('base', 'base model: the bundled one, a folder, a .gguf file, or org/name of the Hub'),
  ofRun('labels', 'classes, and a word that stands for each', ({ objective }) => objective === 'classify'),
  ofRun('minPeers', 'peers to wait for before the first round'),
  ofRun('rounds', 'rounds of training'),
  {
    name: 'host',
    ask: 'who can reach this peer: 127.0.0.1 (this machine alone) | 0.0.0.0 (others too)',
    accepts: described(
      such(textLike(/\S/, 'an IP address'), (text) => isIP(text) !== 0, 'an IP address'),
      'address to listen on; 0.0.0.0 for other machines',
    ),
    fallback: '127.0.0.1',
  },
];

/** Throws a UserError where the file is there already, or a flag is wrong. */
export async function init(flags: Flags): Promise<void> {
  const path = String(flags.out);
  refuseThere(path);
  const given = Object.fromEntries(
    QUESTIONS.flatMap(({ name }) => (flags[name] === undefined ? [] : [[name, String(flags[name])]])),
  );
  for (const question of QUESTIONS) {
    const wrong = given[question.name] !== undefined && mistakeIn(question, given[question.name]!);
    if (wrong) throw new UserError('usage', `init: ${question.name}: ${wrong}`);
  }
  const isAsking = process.stdin.isTTY && process.stderr.isTTY && !flags.yes;
  const answers = isAsking ? await askAll(given) : fill(given);
  if (!answers) {
    console.error('nothing was written');
    process.exitCode = EXIT.interrupted;
    return;
  }
  try {
    writeFileSync(path, textOf(answers), { flag: 'wx' });
  } catch (error) {
    if (codeOf(error) === 'EEXIST') refuseThere(path);
    throw new UserError('storage', `${path}: cannot be written (${messageOf(error)}); --out names another`);
  }
  console.error(`${path}: written; the next step:`);
  console.log(`lorikeet up --config ${path}${answers.data ? '' : ' --data FILE'}`);
}

function refuseThere(path: string): void {
  if (existsSync(path))
    throw new UserError('usage', `${path}: is there already, and is left as it is; --out names another`);
}

function mistakeIn({ accepts }: Question, text: string): string | null {
  return mistakesOf(accepts, text)[0]?.problem ?? null;
}

function fill(given: Answers): Answers {
  const answers: Record<string, string> = {};
  for (const { name, fallback, isFor } of QUESTIONS)
    if (isFor?.(answers) ?? true) answers[name] = given[name] ?? fallback;
  return answers;
}

/** Null where the user ends it. */
async function askAll(given: Answers): Promise<Answers | null> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const ended = new Promise<null>((resolve) => lines.once('close', () => resolve(null)));
  const answers: Record<string, string> = {};
  try {
    console.error('Enter takes what stands in brackets, Ctrl-C writes nothing.');
    for (const question of QUESTIONS) {
      if (!(question.isFor?.(answers) ?? true)) continue;
      const known = given[question.name];
      const answer = known ?? (await Promise.race([ask(lines, question), ended]));
      if (answer === null) return null;
      answers[question.name] = answer;
    }
    return answers;
  } finally {
    lines.close();
  }
}

async function ask(lines: Interface, question: Question): Promise<string> {
  for (;;) {
    const said = (await lines.question(`${question.ask} [${question.fallback}]: `)).trim();
    const answer = said === '' ? question.fallback : said;
    const wrong = answer === question.fallback ? null : mistakeIn(question, answer);
    if (wrong === null) return answer;
    console.error(`  ${wrong}`);
  }
}

/** YAML with a line on each option, and the others by name. */
function textOf(answers: Answers): string {
  const lines = QUESTIONS.flatMap(({ name, ask }) => {
    const value = answers[name];
    if (value === undefined) return [];
    const shown = value !== '' && !Number.isNaN(Number(value)) ? value : JSON.stringify(value);
    return ['', `# ${ask}`, value === '' ? `# ${name}: FILE` : `${name}: ${shown}`];
  });
  return [
    '# A run, for: lorikeet up --config FILE',
    '# All it may say: lorikeet fields settings; lorikeet up --help-all',
    ...lines,
    '',
  ].join('\n');
}
