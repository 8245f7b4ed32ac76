/** @file What docs/deploy holds fits the program, and the tools that read such files accept it, where they are installed. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse, parseAllDocuments } from 'yaml';
import { createChronicle } from '../node/chronicle/chronicle.ts';
import { serveMetrics } from '../node/metrics.ts';
import { SIGHT } from './node/parts/sight.ts';
import { ROOT, temporaryFolder } from './support.ts';

const deploy = (name: string): string => join(ROOT, 'docs', 'deploy', name);
const read = (name: string): string => readFileSync(deploy(name), 'utf8');

interface Dashboard {
  readonly panels: readonly { readonly targets: readonly { readonly expr: string }[] }[];
}

const TOOLS: readonly [tool: string, args: readonly string[]][] = [
  ['hadolint', [deploy('Dockerfile')]],
  ['docker-compose', ['-f', deploy('compose.yaml'), 'config', '-q']],
  ['promtool', ['check', 'config', deploy('prometheus.yaml')]],
  ['kubernetes-validate', ['--strict', deploy('kubernetes.yaml'), join(ROOT, 'sim/cluster/kubernetes.yaml')]],
];
for (const [tool, args] of TOOLS)
  test(`${tool} accepts its file`, () => {
    if (spawnSync('which', [tool]).status !== 0) return console.log(`skipped: ${tool} is not installed`);
    const { status, stdout, stderr } = spawnSync(tool, args, { encoding: 'utf8', cwd: temporaryFolder() });
    assert.is(status, 0, `${stdout}${stderr}`);
  });

test('the dashboard asks for metrics that a peer tells, and Prometheus can read both', async () => {
  const { scribe, ...chronicle } = createChronicle(SIGHT);
  scribe.refused('x', 'malformed');
  const server = await serveMetrics('0', chronicle);
  const text = await (await fetch(server.url)).text();
  await server.stop();
  const told = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1]));
  const { panels } = JSON.parse(read('grafana.json')) as Dashboard;
  const asked = panels.flatMap(({ targets }) =>
    targets.flatMap(({ expr }) => expr.match(/\b(?:lorikeet|process|nodejs)_\w+/g) ?? []),
  );
  assert.ok(asked.length > 15);
  const missing = asked.filter((name) => !told.has(name) && !told.has(name.replace(/_(bucket|sum|count)$/, '')));
  assert.equal(missing, []);
  if (spawnSync('which', ['promtool']).status !== 0) return console.log('skipped: promtool is not installed');
  const lint = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
  const said = lint.stderr.split('\n').filter((line) => /lorikeet_/.test(line));
  assert.equal(said, [], 'names and units as Prometheus wants them');
});

test('flags in containers are flags of the program', () => {
  const commands = Object.values(
    parse(read('compose.yaml'), { merge: true }).services as Record<string, { command?: string[] }>,
  )
    .flatMap(({ command }) => (command ? [command] : []))
    .map((command) => [command[0]!, command.join(' ')] as const);
  const scripts = parseAllDocuments(read('kubernetes.yaml'))
    .map((document) => document.toJS())
    .flatMap(({ spec }) => spec.template?.spec.containers ?? [])
    .flatMap(({ args }: { args: string[] }) =>
      ['up', 'join'].map((name) => [name, sharedWith(args[0]!, name)] as const),
    );
  assert.is(commands.length, 3);
  assert.is(scripts.length, 4);
  for (const [name, text] of [...commands, ...scripts]) {
    const help = execFileSync(process.execPath, [join(ROOT, 'dist/node/main.js'), name, '--help-all'], {
      encoding: 'utf8',
    });
    for (const [, flag] of text.matchAll(/(--[a-z][a-z-]+)/g))
      assert.match(help, new RegExp(`${flag}\\b`), `${name} ${flag}`);
  }
});

/** Of a script that starts one or the other, what is of that command. */
function sharedWith(script: string, name: string): string {
  return script
    .split('\n')
    .filter((line) => !/exec lorikeet/.test(line) || line.includes(`exec lorikeet ${name}`))
    .join('\n');
}

test.run();
