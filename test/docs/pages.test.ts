/** @file The pages tell of the program that is here: its commands and options, its messages, and files that exist. */
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createProgram } from '../../node/program/program.ts';
import { MACHINE, startIn } from '../processes.ts';
import { ROOT, temporaryFolder } from '../support.ts';

const names = ['README.md', ...readdirSync(join(ROOT, 'docs')).map((name) => join('docs', name))];
const pages = names.filter((name) => name.endsWith('.md'));
const read = (name: string): string => readFileSync(join(ROOT, name), 'utf8');

interface Line {
  readonly page: string;
  readonly words: readonly string[];
}

/** The words of a shell line: quotes hold them together. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, single, double, bare]) => single ?? double ?? bare!);
}

/** Lines of ```sh blocks that call the program. */
const lines: readonly Line[] = pages.flatMap((page) =>
  [...read(page).matchAll(/^```sh\n(.*?)^```/gms)].flatMap(([, block]) =>
    block!
      .replaceAll(/\\\n\s*/g, '')
      .split('\n')
      .map((line) => line.replace(/^(\w+=\S+ )+/, '').replace(/\s[|>&#].*$/, ''))
      .filter((line) => /^(npx )?lorikeet /.test(line))
      .map((line) => ({ page, words: wordsOf(line.replace(/^(npx )?lorikeet /, '')) })),
  ),
);

/** Parses as the program does, and does nothing. */
async function parse(words: readonly string[]): Promise<void> {
  const program = createProgram();
  const commands = [...program.commands];
  for (const command of commands) {
    commands.push(...command.commands);
    command.action(() => {});
  }
  await program.parseAsync(['node', 'lorikeet', ...words]);
}

test('every command line of the pages is one of the program', async () => {
  assert.ok(lines.length > 60, `only ${lines.length} lines were read`);
  const wrong: string[] = [];
  for (const { page, words } of lines)
    await parse(words).catch((error: Error) => wrong.push(`${page}: lorikeet ${words.join(' ')}: ${error.message}`));
  assert.equal(wrong, []);
});

test('the parser sees an option, and a command, that there is not', async () => {
  for (const words of [['up', '--data', 'x', '--rouns', '3'], ['jion'], ['check']])
    assert.ok(await parse(words).then(() => null, String), words.join(' '));
});

test('messages of the troubleshooting page stand in the program', () => {
  const sources = ['node', 'protocol']
    .flatMap((room) => readdirSync(join(ROOT, room), { recursive: true, encoding: 'utf8' }).map((f) => join(room, f)))
    .filter((file) => /\.tsx?$/.test(file))
    .map((file) => read(file).replaceAll("\\'", "'"))
    .join('\n');
  const quoted = [...read('docs/troubleshooting.md').matchAll(/^\| `([^`]+)` \|/gm)].map(([, message]) => message!);
  assert.ok(quoted.length > 20);
  const pieces = (message: string): string[] => message.split('...').filter((piece) => piece.trim().length > 3);
  const gone = quoted.filter((message) => {
    const all = pieces(message);
    return all.length === 0 || !all.every((piece) => sources.includes(piece));
  });
  assert.equal(gone, []);
});

test('links between pages lead to files and headings that are there', () => {
  const wrong = pages.flatMap((page) =>
    [...read(page).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)].flatMap(([whole, path, heading]) => {
      const file = path === '' ? page : join(dirname(page), path!);
      if (!existsSync(join(ROOT, file))) return [`${page}: ${whole}`];
      if (heading === undefined) return [];
      const anchors = [...read(file).matchAll(/^#+ (.*)$/gm)].map(([, text]) =>
        text!
          .toLowerCase()
          .replace(/[^\w\s-]/g, '')
          .replace(/\s/g, '-'),
      );
      return anchors.includes(heading) ? [] : [`${page}: ${whole}`];
    }),
  );
  assert.equal(wrong, []);
});

test('the index names every page', () => {
  const index = read('docs/README.md');
  assert.equal(
    pages.filter(
      (page) => page.startsWith('docs/') && page !== 'docs/README.md' && !index.includes(`(${page.slice(5)})`),
    ),
    [],
  );
});

test('the first five minutes go as the page has them', async () => {
  const folder = temporaryFolder();
  const [table] = [...read('docs/start.md').matchAll(/^```\n(text,label\n.*?)^```/gms)].map(([, rows]) => rows!);
  writeFileSync(join(folder, 'mine.csv'), table!);
  writeFileSync(join(folder, 'theirs.csv'), table!);
  const run = async (...args: string[]): Promise<string> => {
    const { code, out, err } = await startIn(folder, args).done;
    assert.is(code, 0, err);
    return out;
  };
  assert.match(await run('check', '--data', 'mine.csv'), /mine\.csv/);
  const up = startIn(folder, [
    'up',
    '--data',
    'mine.csv',
    '--rounds',
    '2',
    '--json',
    '--follow',
    '--no-ui',
    ...MACHINE,
  ]);
  const invite = await new Promise<string>((resolve) => {
    up.child.stdout!.on('data', () => {
      const found = /"invite":"([^"]+)"/.exec(up.out());
      if (found) resolve(found[1]!);
    });
  });
  await run('join', invite, '--data', 'theirs.csv', '--no-ui', ...MACHINE);
  assert.is((await up.done).code, 0);
  await run('predict', '--adapter', 'mine.csv.lorikeet/adapter', 'what a lovely evening', ...MACHINE);
  await run('export', '--state', 'mine.csv.lorikeet', '-o', 'shared');
  assert.ok(existsSync(join(folder, 'shared', 'adapter_model.safetensors')));
  assert.match(
    await run('eval', '--adapter', 'mine.csv.lorikeet/adapter', '--data', 'mine.csv', ...MACHINE),
    /adapter/,
  );
});

test('commands of the pages that need nobody else are run', async () => {
  const folder = temporaryFolder();
  const cheap = ['inspect lorikeet-mini', 'fields scenario', 'fields experiment'];
  for (const command of cheap) {
    assert.ok(
      lines.some(({ words }) => words.join(' ') === command),
      command,
    );
    const { code, out, err } = await startIn(folder, command.split(' ')).done;
    assert.is(code, 0, err);
    assert.ok(out.length > 100);
  }
});

/** What is added to what a page has, so that it ends at once. */
const SHORT: Readonly<Record<string, readonly string[]>> = {
  up: ['--port', '0', '--min-peers', '1', '--local-steps', '1', '--no-ui', ...MACHINE],
};

test('commands of the pages on running and simulating are run, one after the other, but experiments', async () => {
  const folder = temporaryFolder();
  symlinkSync(join(ROOT, 'sim'), join(folder, 'sim'));
  const rows = 'text,label\na warm and funny film,positive\ndull from start to end,negative\n';
  for (const name of ['mine.csv', 'held-out.csv']) writeFileSync(join(folder, name), rows);
  const [scenario] = [...read('docs/simulating.md').matchAll(/^```yaml\n(.*?)^```/gms)].map(([, yaml]) => yaml!);
  writeFileSync(join(folder, 'mine.yaml'), scenario!);
  let rounds = 0;
  for (const { page, words } of lines) {
    const [command] = words;
    if (!/(running|simulating)\.md$/.test(page) || command === 'experiment') continue;
    const more = command === 'up' ? ['--rounds', String(words.includes('--from') ? 1 : ++rounds)] : [];
    const { code, err } = await startIn(folder, [...words, ...(SHORT[command!] ?? []), ...more]).done;
    assert.is(code, 0, `lorikeet ${words.join(' ')}: ${err}`);
  }
  assert.is(rounds, 2);
});

test.run();
