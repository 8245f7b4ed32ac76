/** @file Builds the page: node/page, its libraries in it, as one script and one style in dist/node/page. */
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { readArguments } from './arguments.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Writes page.js and page.css. Throws where a source cannot be built. */
export async function buildPage(): Promise<void> {
  await build({
    entryPoints: { page: join(ROOT, 'node', 'page', 'main.tsx') },
    outdir: join(ROOT, 'dist', 'node', 'page'),
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    charset: 'utf8',
    legalComments: 'eof',
    logLevel: 'warning',
    tsconfig: join(ROOT, 'node', 'page', 'tsconfig.json'),
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  readArguments({
    name: 'page',
    about: 'Builds the page of dist/node/page from node/page; "npm run build" does it after the rest.',
    options: {},
    examples: [''],
  });
  await buildPage();
}
