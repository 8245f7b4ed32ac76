/** @file `lorikeet models`: what the cache of the Hub holds on this disk, also what Python has downloaded. */
import { type CachedModel, listCached } from '../checkpoint/cache.ts';
import { cacheFolder } from '../checkpoint/environment.ts';
import { table } from '../display.ts';
import { bytesText } from '../figures.ts';
import type { Flags } from './flags.ts';

/** Hexadecimal digits of a commit that people tell it by. */
const SHORT = 12;

export function models(flags: Flags): void {
  const cache = cacheFolder();
  const found = listCached(cache);
  if (flags.json) return console.log(JSON.stringify({ cache, models: found }));
  if (found.length === 0) return console.log(`${cache}: no models`);
  const head = ['model', 'revision', 'size', 'formats', 'last used'];
  console.log(
    [...table([head, ...found.map(row)], 'left'), '', `in ${cache}; revisions share the files that are the same`].join(
      '\n',
    ),
  );
}

function row(model: CachedModel): string[] {
  const { name, commit, refs, bytes, formats, missing, lastUsed } = model;
  const revision = commit === null ? '-' : [...refs, commit.slice(0, SHORT)].join(' ');
  const gone = missing.length === 0 ? [] : [`${missing.length} files gone`];
  const kinds = commit === null ? 'unfinished' : [...formats, ...gone].join(' ') || 'no weights';
  return [name, revision, bytesText(bytes), kinds, lastUsed?.slice(0, 10) ?? '-'];
}
