/** @file Files and folders that are not what they should be, and two that want the same. */
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type Found, type Local, lorikeet, refusalProblems } from './local.ts';

const ROWS = 'text\tlabel\nwarm and lovely\t1\ndull and slow\t0\n';
const UP = ['up', '--data', 'texts.tsv', '--label-prior', 'off', '--anyway', '--local-steps', '1'];
const ALONE = [...UP, '--min-peers', '1', '--closing-rounds', '0'];
const STATE = 'texts.tsv.lorikeet';
const OPEN_MODE = 0o644;
/** Unpacked size of a bomb, and what reading it may take above what a start takes (MB). */
const [BOMB_MB, MOST_MB] = [1024, 400];

/** A folder with two texts. */
export function begin(folder: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'texts.tsv'), ROWS);
}

export const FILES: Readonly<Record<string, Local>> = {
  'lock-race': {
    about: 'some processes want the same state at once',
    run: async (folder, isShort) => {
      begin(folder);
      const count = isShort ? 3 : 8;
      const enough = new AbortController();
      let ended = 0;
      const all = await Promise.all(
        Array.from({ length: count }, async () => {
          const ran = await lorikeet(folder, [...UP, '--min-peers', '9'], { signal: enough.signal });
          ended += 1;
          if (ended === count - 1) enough.abort();
          return ran;
        }),
      );
      const inside = all.filter(({ code }) => code === null).length;
      const problems = all.filter(({ code }) => code !== null).flatMap((ran) => refusalProblems('a late one', ran, 5));
      if (inside !== 1) problems.push(`${inside} went on, wanted one`);
      return { text: `${inside} of ${count} went on`, problems };
    },
  },
  key: {
    about: 'a key that others on the machine may read',
    run: async (folder) => {
      begin(folder);
      await lorikeet(folder, [...ALONE, '--rounds', '1']);
      const key = join(folder, STATE, 'key');
      const made = statSync(key).mode & 0o777;
      chmodSync(key, OPEN_MODE);
      const { err } = await lorikeet(folder, [...ALONE, '--rounds', '2']);
      const mended = statSync(key).mode & 0o777;
      const problems = [
        ...(made === 0o600 ? [] : [`made with ${made.toString(8)}`]),
        ...(mended === 0o600 ? [] : [`left at ${mended.toString(8)}`]),
        ...(/key: others could read it/.test(err) ? [] : ['no line about it']),
      ];
      return {
        text: `made with ${made.toString(8)}, opened by hand, ${mended.toString(8)} after the next start`,
        problems,
      };
    },
  },
  'proc-state': {
    about: 'a state folder where there can be none',
    run: async (folder) => {
      begin(folder);
      const places = ['/proc/1/state', '/dev/null/state', '/proc/self/fd/state'];
      const all = await Promise.all(places.map((place) => lorikeet(folder, [...ALONE, '--state', place])));
      return { text: `${places.join(', ')}`, problems: all.flatMap((ran, i) => refusalProblems(places[i]!, ran, 5)) };
    },
  },
  'torn-snapshot': {
    about: 'a snapshot that is cut in half',
    run: async (folder) => {
      begin(folder);
      await lorikeet(folder, [...ALONE, '--rounds', '3']);
      const snapshot = join(folder, STATE, 'snapshot.bin');
      truncateSync(snapshot, Math.floor(statSync(snapshot).size / 2));
      const { code, err } = await lorikeet(folder, [...ALONE, '--rounds', '3']);
      const problems = [
        ...(code === 0 || code === 3 ? [] : [`exit code ${code}`]),
        ...(/snapshot/.test(err) ? [] : ['no line about it']),
      ];
      return { text: `went on from the one before (exit code ${code})`, problems };
    },
  },
  'gzip-bomb': {
    about: 'a file of texts that unpacks to a gigabyte',
    run: (folder) =>
      bomb(folder, ['check', '--data', 'bomb.tsv.gz'], (path) => {
        writeFileSync(join(path, 'bomb.tsv.gz'), gzipSync(Buffer.alloc(BOMB_MB * 2 ** 20), { level: 9 }));
        return statSync(join(path, 'bomb.tsv.gz')).size;
      }),
  },
  'yaml-bomb': {
    about: 'a file of settings whose aliases stand for billions of words',
    run: (folder) =>
      bomb(folder, [...ALONE, '--config', 'bomb.yaml'], (path) => {
        const lines = Array.from({ length: 9 }, (_, i) => {
          const word = i === 0 ? 'word' : `*a${i - 1}`;
          return `a${i}: &a${i} [${new Array(10).fill(word).join(', ')}]`;
        });
        writeFileSync(join(path, 'bomb.yaml'), `${lines.join('\n')}\n`);
        return statSync(join(path, 'bomb.yaml')).size;
      }),
  },
};

/** Reads what swells; refused as a mistake of the user's, in little memory. */
async function bomb(folder: string, args: readonly string[], lay: (folder: string) => number): Promise<Found> {
  begin(folder);
  const bytes = lay(folder);
  const ran = await lorikeet(folder, args);
  const problems = refusalProblems('it', ran, 2);
  if (ran.peakMb > MOST_MB) problems.push(`it took ${ran.peakMb.toFixed(0)} MB`);
  return { text: `${bytes.toLocaleString('en')} bytes, read in ${ran.peakMb.toFixed(0)} MB`, problems };
}

/** Whether a start has left anything of a run. */
export function hasRun(folder: string): boolean {
  return existsSync(join(folder, STATE, 'run.json'));
}

/** The settings a start has taken over. */
export function settingsIn(folder: string): Readonly<Record<string, unknown>> {
  return JSON.parse(readFileSync(join(folder, STATE, 'run.json'), 'utf8')).settings;
}
