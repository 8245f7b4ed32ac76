/** @file What a model on the Hub is made of: its commit, and each file with size and hash, as the Hub's API tells. */
import { UserError } from '../errors.ts';
import { COMMIT } from './cache.ts';
import type { HubFile } from './download.ts';
import { isSafePath } from './names.ts';
import { type Asker, askJson, persist, unreachable } from './request.ts';

export interface Listing {
  readonly commit: string;
  readonly files: readonly HubFile[];
}

const MAX_PAGES = 100;
const MAX_SIZE = 2 ** 44;

/** Asks for it. Throws a UserError where the Hub cannot be reached, refuses, or tells what cannot be. */
export async function listModel(asker: Asker): Promise<Listing> {
  const [name, revision] = asker.model.split('@') as [string, string];
  const base = `${asker.hub.endpoint}/api/models/${name}`;
  const info = await persist(asker, () => askJson(asker, new URL(`${base}/revision/${encodeURIComponent(revision)}`)));
  const commit = (info.value as { sha?: unknown } | null)?.sha;
  if (typeof commit !== 'string' || !COMMIT.test(commit))
    throw unreachable(asker, `names no commit (sha: ${JSON.stringify(commit)?.slice(0, 60)}); check HF_ENDPOINT`);
  if (COMMIT.test(revision) && commit !== revision)
    throw unreachable(asker, `was asked for commit ${revision}, gives ${commit}; check HF_ENDPOINT`);
  const files: HubFile[] = [];
  let page: URL | null = new URL(`${base}/tree/${commit}?recursive=true`);
  for (let count = 0; page !== null; count++) {
    if (count === MAX_PAGES) throw unreachable(asker, `lists its files on more than ${MAX_PAGES} pages`);
    const here: URL = page;
    const { value, next } = await persist(asker, () => askJson(asker, here));
    if (!Array.isArray(value)) throw unreachable(asker, 'gives no list of files; check HF_ENDPOINT');
    files.push(...value.flatMap((entry) => fileOf(asker, entry)));
    page = next;
  }
  return { commit, files };
}

/** One entry of a tree; none for a folder. Where a file is stored apart, that place's size and hash count, not its pointer's. */
function fileOf(asker: Asker, entry: unknown): HubFile[] {
  const { type, path, oid, size, lfs } = (entry ?? {}) as Record<string, unknown>;
  if (type !== 'file') return [];
  if (typeof path !== 'string' || !isSafePath(path))
    throw new UserError(
      'incompatible',
      `${asker.model}: lists a file named ${JSON.stringify(path)?.slice(0, 100)}, which leads out of its folder or cannot be one here; choose another model`,
    );
  const large = lfs as { oid?: unknown; size?: unknown } | null | undefined;
  const [hash, length] = large ? [large.oid, large.size] : [oid, size];
  const isHash = typeof hash === 'string' && (large ? /^[0-9a-f]{64}$/ : /^[0-9a-f]{40}$/).test(hash);
  const isSize = Number.isSafeInteger(length) && Number(length) >= 0 && Number(length) <= MAX_SIZE;
  if (isHash && isSize) return [{ path, size: Number(length), hash }];
  throw unreachable(
    asker,
    `lists ${path} with hash ${JSON.stringify(hash)?.slice(0, 80)} and size ${JSON.stringify(length)?.slice(0, 40)}; wanted both; check HF_ENDPOINT`,
  );
}
