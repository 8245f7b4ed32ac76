/** @file What `npm pack` puts into the package: all that its commands and its library need, and nothing of the workshop. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT, temporaryFolder } from './support.ts';

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
}

const manifest: Manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const entries = Object.values(manifest.exports).flatMap((entry) => (typeof entry === 'string' ? [] : [entry]));

/** Files of the package, paths from the checkout; what is built must be there already. */
const packed: readonly string[] = (() => {
  const args = ['pack', '--dry-run', '--json', '--ignore-scripts', '--offline'];
  const said = execFileSync('npm', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const [found] = JSON.parse(said) as { readonly files: readonly { readonly path: string }[] }[];
  return found!.files.map(({ path }) => normalize(path));
})();

/** Files that some files load, and so on: imports, lazy ones, workers. Those of a declaration are declarations. */
function loadedBy(starts: readonly string[], suffix: '.js' | '.d.ts'): Set<string> {
  const seen = new Set<string>();
  for (let open = starts.map((path) => normalize(path)); open.length > 0; ) {
    const file = open.pop()!;
    if (seen.has(file)) continue;
    seen.add(file);
    const paths = [...codeOf(file).matchAll(/(?:\bfrom|\bimport|\bnew URL)\s*\(?\s*['"](\.[^'"]+)\.(?:js|ts)['"]/g)];
    open = open.concat(paths.map((match) => join(dirname(file), match[1]! + suffix)));
  }
  return seen;
}

/** A built file without its comments. */
function codeOf(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8').replace(/\/\*.*?\*\//gs, '');
}

/** A module of types alone is empty once it is built. */
function isEmpty(file: string): boolean {
  return codeOf(file).trim() === 'export {};';
}

test('the package holds what is built, its bundled base, examples and documents, and no other kind', () => {
  const kinds = [
    /^(package\.json|README\.md|LICENSE|CHANGELOG\.md|sim\/README\.md)$/,
    /^dist\/(node|protocol|sim)\/.*\.(js|css)$/,
    /^dist\/(node|protocol)\/.*\.d\.ts$/,
    /^node\/base\/[^/]+\/(config|reference|tokenizer|tokenizer_config)\.json$/,
    /^node\/base\/[^/]+\/(model\.safetensors|README\.md)$/,
    /^sim\/(experiments|scenarios|cluster)\/[^/]+\.(yaml|txt|sh)$/,
    /^docs\/[^/]+\.(md|svg|webp)$/,
    /^docs\/examples\/([^/]+\.ts|tsconfig\.json)$/,
    /^docs\/schema\/[^/]+\.json$/,
    /^docs\/deploy\/([^/]+\.(yaml|json)|Dockerfile)$/,
  ];
  assert.equal(
    packed.filter((path) => !kinds.some((kind) => kind.test(path))),
    [],
  );
  for (const kind of kinds)
    assert.ok(
      packed.some((path) => kind.test(path)),
      `nothing packed is like ${kind}`,
    );
  assert.equal(
    packed.filter((path) => /\.map$|\.test\.|(^|\/)(test|scripts|coverage|results)\//.test(path)),
    [],
  );
});

test('no file that a command or the library loads is missing, and nothing of the simulator lies idle', () => {
  const starts = [...Object.values(manifest.bin), ...entries.map((entry) => entry.default)];
  const loaded = loadedBy(starts, '.js');
  assert.ok(loaded.size > 50, `only ${loaded.size} files were followed`);
  assert.equal(
    [...loaded].filter((file) => !packed.includes(file)),
    [],
  );
  assert.equal(
    packed.filter((path) => /^dist\/(sim|protocol)\/.*\.js$/.test(path) && !loaded.has(path) && !isEmpty(path)),
    [],
  );
});

test('the types of the library are whole', () => {
  const types = loadedBy(
    entries.map((entry) => entry.types),
    '.d.ts',
  );
  assert.ok(types.size > 30, `only ${types.size} files were followed`);
  assert.equal(
    [...types].filter((file) => !packed.includes(file)),
    [],
  );
});

test('links in the README lead to files of the package', () => {
  const links = [...readFileSync(join(ROOT, 'README.md'), 'utf8').matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)];
  assert.ok(links.length > 5);
  assert.equal(
    links
      .map(([, path]) => path!)
      .filter((path) => !packed.some((file) => file === path || file.startsWith(`${path}/`))),
    [],
  );
});

test('command and library work from the files of the package alone', () => {
  const folder = temporaryFolder();
  for (const path of packed) cpSync(join(ROOT, path), join(folder, path));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  const run = (...args: string[]): string =>
    execFileSync(process.execPath, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  const bin = manifest.bin.lorikeet!;
  assert.is(run(bin, '--version').trim(), manifest.version);
  writeFileSync(join(folder, 'mine.csv'), 'text,label\na good film,positive\na bad film,negative\n');
  assert.is(JSON.parse(run(bin, 'check', '--data', 'mine.csv', '--json')).rows, 2);
  run(bin, 'sim', 'sim/scenarios/consensus.yaml', '--until', '1');
  const api = `import * as all from '${manifest.name}'; import '${manifest.name}/protocol'; import '${manifest.name}/graph';`;
  assert.match(run('--input-type=module', '--eval', `${api} console.log(typeof all.openRun)`), /^function$/m);
  assert.not.ok(existsSync(join(folder, 'results')));
});

test.run();
