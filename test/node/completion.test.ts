/** @file Completion as shells do it: each script is read by its own shell, where that is here, and asked what comes next. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SHELLS } from '../../node/program/completion.ts';
import { createProgram } from '../../node/program/program.ts';
import { wordsOf } from '../../node/program/words.ts';
import { startIn } from '../processes.ts';
import { temporaryFolder } from '../support.ts';

const folder = temporaryFolder();
const program = wordsOf(createProgram());
mkdirSync(join(folder, 'data folder'));
writeFileSync(join(folder, 'data file.tsv'), '');
for (const [shell, write] of Object.entries(SHELLS)) writeFileSync(join(folder, shell), write(program));

/** Runs a shell that may not be here; null: it is not. */
function run(shell: string, ...args: string[]): string | null {
  const { error, status, stdout, stderr } = spawnSync(shell, args, { cwd: folder, encoding: 'utf8', timeout: 30_000 });
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') {
    console.log(`skipped: ${shell} is not on this machine`);
    return null;
  }
  assert.is(status, 0, `${shell}: ${stderr}${stdout}`);
  return stdout;
}

/** What is offered after the words, the last of which is being typed. */
const CASES: readonly [words: string[], offered: string[]][] = [
  [
    ['lorikeet', 'peers', ''],
    ['allow', 'ban'],
  ],
  [['lorikeet', 'compl'], ['completion']],
  [['lorikeet', 'up', '--base-p'], ['--base-precision']],
  [
    ['lorikeet', 'up', '--codec', ''],
    ['f16', 'f32', 'int8'],
  ],
  [
    ['lorikeet', 'export', '--format', 'merged'],
    ['merged', 'merged-gguf'],
  ],
  [
    ['lorikeet', 'up', '--data', 'data'],
    ['data file.tsv', 'data folder'],
  ],
  [['lorikeet', 'export', '--state', 'data'], ['data folder']],
  [['lorikeet', 'sim', 'replay', '--r'], ['--run']],
  [['lorikeet', 'completion', 'z'], ['zsh']],
];

test('bash offers commands, options, choices, files and folders', () => {
  const tries = CASES.map(([words]) => `try ${words.map((word) => `'${word}'`).join(' ')}`);
  const script = [
    'source ./bash',
    'try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _lorikeet; (IFS="|"; echo "' + '$' + '{COMPREPLY[*]}"); }',
    ...[...tries, 'try lorikeet up --codec = f'],
  ];
  const out = run('bash', '-c', script.join('\n'));
  if (out === null) return;
  const offered = out.split('\n').map((line) => line.split('|').filter(Boolean).sort());
  CASES.forEach(([words, wanted], i) => {
    assert.equal(offered[i], wanted, words.join(' '));
  });
  assert.equal(offered[CASES.length], ['f16', 'f32'], '--codec=f');
});

test('bash knows every command and every option of the program', () => {
  const script = SHELLS.bash!(program);
  const count = (of: typeof program, path: string[]): number => {
    const line = script.split('\n').find((one) => one.trim().startsWith(`'${path.join(' ')}') if`))!;
    for (const { flags } of of.options) for (const flag of flags) assert.ok(line.includes(flag), `${path} ${flag}`);
    return of.options.length + of.commands.reduce((sum, one) => sum + count(one, [...path, one.name]), 0);
  };
  assert.ok(count(program, []) > 200);
});

test('fish offers the same', () => {
  for (const [words, wanted] of CASES) {
    const line = words.join(' ');
    const out = run('fish', '--no-config', '-c', `source ./fish; complete -C '${line}'`);
    if (out === null) return;
    const offered = out.split('\n').flatMap((row) => row.split('\t')[0] || []);
    for (const word of wanted) {
      const shown = word.replace(' ', '\\ ');
      assert.ok(
        offered.some((one) => one.replace(/\/$/, '') === shown || one.replace(/\/$/, '') === word),
        `${line}: ${offered}`,
      );
    }
  }
});

test('zsh completes a command, an option and a choice', () => {
  writeFileSync(
    join(folder, 'try'),
    [
      'zmodload zsh/zpty && zpty z zsh -f -i',
      `zpty -w z "PROMPT='> '; autoload -Uz compinit; compinit -u -D; source ./zsh; print READ''Y"`,
      "zpty -r -m z out '*READY*'",
      'zpty -w -n z "$1"$\'\\t\'',
      'zpty -r -m z out "*$2*" && print found',
    ].join('\n'),
  );
  for (const [typed, completed] of [
    ['lorikeet compl', 'completion'],
    ['lorikeet up --base-pr', 'base-precision'],
    ['lorikeet peers all', 'allow'],
    ['lorikeet up --codec=int', 'int8'],
  ] as const) {
    const out = run('zsh', '-f', './try', typed, completed);
    if (out === null) return;
    assert.match(out, /found/, typed);
  }
});

test('a shell that is not known is refused', async () => {
  const { code, err } = await startIn(folder, ['completion', 'csh']).done;
  assert.is(code, 2);
  assert.match(err, /completion: got "csh"; wanted bash, zsh, fish/);
});

test.run();
