/** @file What the environment says of the Hub, by the names that Hugging Face's own tools read: cache, endpoint, token, offline. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { codeOf, messageOf, UserError } from '../errors.ts';

type Variables = Readonly<Record<string, string | undefined>>;

export interface HubEnvironment {
  /** Folder of the cache. */
  readonly cache: string;
  /** Without a slash at its end. */
  readonly endpoint: string;
  readonly token: string | null;
  /** Nothing is asked over the network. */
  readonly isOffline: boolean;
}

const ENDPOINT = 'https://huggingface.co';

/** Reads it. Throws a UserError for an endpoint or a token that cannot be used. */
export function hubEnvironment(variables: Variables = process.env): HubEnvironment {
  return {
    cache: cacheFolder(variables),
    endpoint: endpointOf(variables.HF_ENDPOINT || ENDPOINT),
    token: tokenOf(variables),
    isOffline: isTrue(variables.HF_HUB_OFFLINE) || isTrue(variables.TRANSFORMERS_OFFLINE),
  };
}

/** The folder of the cache that Python's tools use too. */
export function cacheFolder(variables: Variables = process.env): string {
  const own = variables.HF_HUB_CACHE || variables.HUGGINGFACE_HUB_CACHE;
  return own ? expanded(own) : join(home(variables), 'hub');
}

function home(variables: Variables): string {
  if (variables.HF_HOME) return expanded(variables.HF_HOME);
  return join(expanded(variables.XDG_CACHE_HOME || '~/.cache'), 'huggingface');
}

function expanded(path: string): string {
  return resolve(path.replace(/^~(?=$|[/\\])/, () => homedir()));
}

function isTrue(value: string | undefined): boolean {
  return ['1', 'ON', 'YES', 'TRUE'].includes(value?.toUpperCase() ?? '');
}

function endpointOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.search || url.hash)
    throw new UserError('usage', `HF_ENDPOINT: got ${JSON.stringify(text)}; wanted an address such as ${ENDPOINT}`);
  return url.href.replace(/\/+$/, '');
}

/** What is wrong with a token is said without the token. */
function tokenOf(variables: Variables): string | null {
  const given = variables.HF_TOKEN || variables.HUGGING_FACE_HUB_TOKEN;
  if (given) return checkedToken(given, 'HF_TOKEN');
  if (isTrue(variables.HF_HUB_DISABLE_IMPLICIT_TOKEN)) return null;
  const path = variables.HF_TOKEN_PATH ? expanded(variables.HF_TOKEN_PATH) : join(home(variables), 'token');
  try {
    return checkedToken(readFileSync(path, 'utf8'), path);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return null;
    if (error instanceof UserError) throw error;
    throw new UserError('usage', `${path}: the token cannot be read (${messageOf(error)}); mend it, or set HF_TOKEN`);
  }
}

function checkedToken(text: string, where: string): string | null {
  const token = text.trim();
  if (/^[\x21-\x7e]*$/.test(token)) return token || null;
  throw new UserError('usage', `${where}: holds spaces or other signs no token has; wanted one such as hf_AbC123`);
}
