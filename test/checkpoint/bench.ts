/** @file A small model, a fake Hub that serves it, and an empty cache to bring it into. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { type FetchOptions, fetchModel } from '../../node/checkpoint/hub.ts';
import { UserError } from '../../node/errors.ts';
import { temporaryFolder } from '../support.ts';
import { type FakeHub, fakeHub, hashOfBytes, type Trick } from './server.ts';

export const WEIGHTS = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 7919) % 251));
export const HASH = hashOfBytes(WEIGHTS, true);
export const FILES = {
  '.gitattributes': 'text',
  'README.md': '# small',
  'config.json': '{"model_type":"llama"}',
  'generation_config.json': '{}',
  'model.safetensors': WEIGHTS,
  'onnx/model.onnx': 'onnx',
  'pytorch_model.bin': 'pickle',
  'tokenizer.json': '{}',
  'tokenizer_config.json': '{}',
  'chat_template.jinja': '{{ x }}',
};

export const PATIENCE = { tries: 3, firstMs: 1, mostMs: 5000, silenceMs: 60_000 };

export const root = temporaryFolder();
let benches = 0;

export interface Bench {
  readonly hub: FakeHub;
  readonly cache: string;
  readonly repository: string;
  readonly fetch: (more?: FetchOptions, name?: string) => ReturnType<typeof fetchModel>;
}

/** Works with a fake Hub and an empty cache. */
export async function onBench(
  files: Record<string, string | Buffer>,
  work: (bench: Bench) => Promise<void>,
): Promise<void> {
  const hub = await fakeHub(files);
  const cache = join(root, String(benches++));
  mkdirSync(cache);
  const environment = { cache, endpoint: hub.endpoint, token: 'hf_secret', isOffline: false };
  try {
    await work({
      hub,
      cache,
      repository: join(cache, 'models--org--small'),
      fetch: (more, name = 'org/small') => fetchModel(name, { hub: environment, patience: PATIENCE, ...more }),
    });
  } finally {
    await hub.stop();
  }
}

/** The error of a promise that must not resolve. */
export async function refused(promise: Promise<unknown>): Promise<UserError> {
  const error = await promise.then(
    () => new Error('nothing was refused'),
    (thrown: Error) => thrown,
  );
  if (!(error instanceof UserError)) throw error;
  assert.not.match(error.message, /\n|hf_secret/);
  return error;
}

/** The ranges that were asked for of the weights, in order. */
export const weightsAsked = (hub: FakeHub) =>
  hub.asked.filter(({ kind }) => kind === 'cdn').map(({ range }) => range ?? 'all');

/** Does something in the place of every answer of a kind. */
export const on =
  (kind: string, answer: (response: Parameters<Trick>[1], bytes: Buffer) => void): Trick =>
  (asked, response, bytes) => {
    if (asked.kind !== kind) return false;
    answer(response, bytes ?? Buffer.alloc(0));
    return true;
  };

/** What a captive portal answers. */
export function page(response: Parameters<Trick>[1]): void {
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<html>Sign in');
}
