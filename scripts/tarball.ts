/**
 * @file `npm run tarball`: packs what would be published, installs it into an empty folder, and runs the demo from there on several
 * versions of Node (the npm package `node` has them). Exit code 1 where one of them does not work.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../node/errors.ts';
import { packageRoot } from '../node/package.ts';
import { readArguments, refuse, type Usage } from './arguments.ts';

const USAGE: Usage = {
  name: 'tarball',
  about: 'Packs the package, installs it into an empty folder, and runs the demo there on several versions of Node.',
  options: {
    node: { value: 'LIST', about: 'versions of Node, separated by commas (20,22,24)' },
    keep: { about: 'leave the folder' },
  },
  examples: ['', '--node 22'],
};

/** A demo of a few rounds: it is to work, not to learn. */
const DEMO = ['demo', '--peers', '3', '--rounds', '2', '--gold', '2', '--out', 'shared', '--device', 'cpu', '--json'];

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly unpackedSize: number;
  readonly entryCount: number;
}

const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' };

/** What npm prints on stdout. */
function npm(cwd: string, ...args: string[]): string {
  return execFileSync('npm', args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

/** Packs as for publishing, what is built before included; gives the file and npm's word on it. */
function pack(folder: string): Packed {
  npm(packageRoot(), 'run', '-s', 'build');
  const said = npm(packageRoot(), 'pack', '--json', '--ignore-scripts', '--pack-destination', folder);
  return (JSON.parse(said) as Packed[])[0]!;
}

/** Whether the demo works on a version of Node in the folder where the package is installed; says how it went. */
function tryOn(version: string, place: { readonly root: string; readonly installed: string }): boolean {
  const home = join(place.root, `node-${version}`);
  mkdirSync(home);
  npm(home, 'install', '--no-audit', '--no-fund', '--prefix', home, `node@${version}`);
  const bin = join(home, 'node_modules', 'node', 'bin');
  const path = `${bin}:${process.env.PATH}`;
  const named = execFileSync(join(bin, 'node'), ['--version'], { encoding: 'utf8' }).trim();
  const begin = performance.now();
  const ran = spawnSync('npx', ['--no-install', 'lorikeet', ...DEMO], {
    cwd: place.installed,
    env: { ...env, PATH: path, LORIKEET_CACHE: join(place.root, 'cache') },
    encoding: 'utf8',
  });
  const seconds = ((performance.now() - begin) / 1000).toFixed(0);
  const isWell = ran.status === 0 && typeof JSON.parse(ran.stdout) === 'object';
  console.log(`Node ${named}: npx lorikeet demo ${isWell ? `ends well after ${seconds} s` : `fails (${ran.status})`}`);
  if (!isWell) console.log(ran.stderr.trim());
  return isWell;
}

function main(): void {
  const { values } = readArguments(USAGE);
  const versions = String(values.node ?? '20,22,24').split(',');
  if (!versions.every((version) => /^\d+(\.\d+)*$/.test(version)))
    throw new UserError('usage', `--node: got ${JSON.stringify(values.node)}; wanted versions such as 20,22.12.0`);
  const root = mkdtempSync(join(tmpdir(), 'lorikeet-tarball-'));
  try {
    const { filename, size, unpackedSize, entryCount } = pack(root);
    const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
    console.log(`${filename}: ${megabytes(size)}, unpacked ${megabytes(unpackedSize)}, ${entryCount} files`);
    const installed = join(root, 'empty');
    mkdirSync(installed);
    npm(installed, 'install', '--no-audit', '--no-fund', '--prefix', installed, join(root, filename));
    console.log(
      `installed beside ${npm(installed, 'ls', '--all', '--parseable').trim().split('\n').length - 2} packages`,
    );
    const works = versions.filter((version) => tryOn(version, { root, installed }));
    process.exitCode = works.length === versions.length ? 0 : 1;
  } finally {
    if (values.keep) console.log(root);
    else rmSync(root, { recursive: true, force: true });
  }
}

try {
  main();
} catch (error) {
  refuse(USAGE.name, error);
}
