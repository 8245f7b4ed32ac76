/** @file Runs the command line in processes of its own, which end with the test; hears what they say. */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './support.ts';

const children = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

export interface Ended {
  /** -1 where a signal ended it. */
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly text: () => string;
  /** What came on stdout so far. */
  readonly out: () => string;
  readonly done: Promise<Ended>;
}

/** Flags of a test's peer: one thread, no GPU. */
export const MACHINE = ['--device', 'cpu', '--threads', '1'];

/** Writes texts as a TSV in a folder, labelled 0 and 1 in turn. */
export function writeTexts(folder: string, name: string, texts: readonly string[]): void {
  const rows = texts.map((text, i) => `${text}\t${i % 2}\n`);
  writeFileSync(join(folder, name), `text\tlabel\n${rows.join('')}`);
}

/** Starts `lorikeet ARGS` in a folder, by another command where one is given. */
export function startIn(
  folder: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  by: readonly string[] = [],
): Running {
  const [command, ...words] = [...by, process.execPath, join(ROOT, 'dist', 'node', 'main.js'), ...args];
  const child = spawn(command!, words, {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  children.add(child);
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  const done = new Promise<Ended>((resolve) => {
    child.on('close', (code) => {
      children.delete(child);
      resolve({ code: code ?? -1, out, err });
    });
  });
  return { child, text: () => out + err, out: () => out, done };
}

/** Resolves once the process has said something that matches. Rejects if it ends before. */
export function said(running: Running, pattern: RegExp): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const match = pattern.exec(running.text());
      if (match) resolve(match);
    };
    running.child.stdout!.on('data', look);
    running.child.stderr!.on('data', look);
    running.done.then(({ err }) => reject(new Error(`ended without saying ${pattern}: ${err}`)));
    look();
  });
}
