/**
 * @file Runs every test file, a few at a time, each in a process of its own under a deadline; ends with `N passed, N failed`.
 * uvu passes silently without `.run()` and waits for ever on an open handle, so a file without tests or past its deadline
 * counts as failed; a line `skipped: WHY` of a test is shown. `npm test -- PATTERN` runs the files whose path holds the pattern.
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readArguments } from './arguments.ts';

/** A hang, and not a busy machine. */
const FILE_DEADLINE_MS = 900_000;
/** Files at a time: one more than there are cores, since some wait rather than compute. */
const AT_ONCE = Math.min(4, availableParallelism() + 1);
/** Begun first, since they take longest. */
const LONG = ['scripts/', 'node/'];
const folder = fileURLToPath(new URL('../test', import.meta.url));

interface Outcome {
  readonly passed: number;
  readonly failed: number;
}

function runFile(path: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [path], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, FORCE_COLOR: '0' },
    });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        text += chunk;
      });
    }
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, FILE_DEADLINE_MS);
    const began = performance.now();
    child.on('close', (code) => {
      clearTimeout(timer);
      const sum = (pattern: RegExp): number =>
        [...text.matchAll(pattern)].reduce((total, match) => total + Number(match[1]), 0);
      const [all, passed] = [sum(/^\s*Total:\s+(\d+)/gm), sum(/^\s*Passed:\s+(\d+)/gm)];
      const broken = late || all === 0 || (code !== 0 && all === passed);
      const outcome = { passed, failed: all - passed + (broken ? 1 : 0) };
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      console.log(
        `${outcome.failed ? 'FAILED' : 'ok'}  ${relative(folder, path).replace(/\.js$/, '.ts')}  ${passed} of ${all}, ${seconds} s`,
      );
      for (const [line] of text.matchAll(/skipped: .*$/gm)) console.log(line);
      if (outcome.failed) console.log(text);
      if (late) console.log(`stopped after ${FILE_DEADLINE_MS / 1000} s: something is left open`);
      if (all === 0 && !late) console.log('ran no test: does the file end with .run()?');
      resolve(outcome);
    });
  });
}

function placeOf(file: string): number {
  const place = LONG.findIndex((begin) => file.startsWith(begin));
  return place < 0 ? LONG.length : place;
}

const { positionals } = readArguments({
  name: 'test',
  about: 'Runs every test file, or those whose path holds one of the patterns.',
  positionals: '[PATTERN...]',
  options: {},
  examples: ['', 'node/cli', 'protocol sim/world'],
});
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter(
    (name) =>
      name.endsWith('.test.js') && (positionals.length === 0 || positionals.some((pattern) => name.includes(pattern))),
  )
  .sort((a, b) => placeOf(a) - placeOf(b) || (a < b ? -1 : 1));
let [passed, failed] = [0, 0];
const queue = [...files];
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const outcome = await runFile(join(folder, file));
      passed += outcome.passed;
      failed += outcome.failed;
    }
  }),
);
if (passed + failed === 0) {
  console.log(`no test file matches "${positionals.join('" or "')}"`);
  failed = 1;
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
