/** @file Where models lie on this machine: the bundled one, a path, a name of the Hub in its cache; and where ours are kept. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { messageOf, UserError } from '../errors.ts';
import { packageRoot } from '../package.ts';
import { hubEnvironment } from './environment.ts';
import { cachedModel, type HubModel } from './hub.ts';
import { type ModelName, readModelName } from './names.ts';

export const BUNDLED = 'lorikeet-mini';

/**
 * The folder or GGUF file of a base by name: the bundled one, a path, or org/name[@revision][:FILE.gguf] as the cache of the Hub
 * has it. Throws a UserError where it is in none of them; the network is not asked.
 */
export function basePath(name: string): string {
  if (name === BUNDLED) return join(packageRoot(), 'node', 'base', BUNDLED);
  const hub = hubName(name);
  if (!hub) return name;
  const found = cachedModel(hubEnvironment(), hub, hub.gguf);
  if (found) return modelPath(found);
  throw new UserError(
    'usage',
    `base ${name}: no folder or file here, and not in the cache of the Hub; "lorikeet fetch ${name}" downloads it`,
  );
}

/** A name that means a model of the Hub: one of its form that is no path here. Null: it is none. */
export function hubName(name: string): ModelName | null {
  return name === BUNDLED || existsSync(name) ? null : readModelName(name);
}

/** The folder, or the GGUF file in it. Throws a UserError where that is in parts. */
export function modelPath({ folder, weights }: HubModel): string {
  const gguf = weights.filter((file) => /\.gguf$/i.test(file));
  if (gguf.length === 0) return folder;
  if (gguf.length === 1) return join(folder, gguf[0]!);
  throw new UserError(
    'usage',
    `${join(folder, gguf[0]!)}: one of ${gguf.length} parts; wanted one file, which llama-gguf-split --merge makes`,
  );
}

/** The folder of what is made of models: expanded weights, graphs, hashes. */
export function cacheRoot(): string {
  const { LORIKEET_CACHE: own, XDG_CACHE_HOME: shared } = process.env;
  // A relative XDG_CACHE_HOME is to be ignored, says its specification.
  const root = own || (shared && isAbsolute(shared) ? shared : '');
  if (root) return join(root, 'lorikeet');
  let problem = 'HOME is empty';
  try {
    const home = homedir();
    if (home !== '') return join(home, '.cache', 'lorikeet');
  } catch (error) {
    // A user without an entry in passwd, as in many containers.
    problem = messageOf(error);
  }
  throw new UserError('storage', `no home folder for the cache (${problem}); set LORIKEET_CACHE to a folder with room`);
}
