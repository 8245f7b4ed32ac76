/** @file The server over loopback: whole and streamed replies, classes, and what it refuses, in OpenAI's form. */
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openClassifier } from '../../node/generate/classifier.ts';
import { openLanguageModel } from '../../node/generate/model.ts';
import { createModelServer } from '../../node/generate/server.ts';
import { temporaryFolder } from '../support.ts';
import { writingModel } from './parts/model.ts';

process.env.LORIKEET_CACHE = temporaryFolder();

const folder = writingModel();
const adapter = join(folder, 'adapter-trained');
const model = await openLanguageModel({ base: folder, adapter, threads: 1, isFast: false });
let classifier: ReturnType<typeof openClassifier> | null = null;
const errors: unknown[] = [];
const server = await createModelServer({
  name: 'mine',
  model,
  classifier: () => {
    const given = { base: folder, prompt: '{text} is {mask}', labels: 'bad=b,good=g', maxTokens: 60 };
    classifier ??= openClassifier({ adapter, given, device: 'cpu', threads: 1 });
    return classifier;
  },
  port: 0,
  maxTokens: 40,
  maxWaiting: 2,
  maxBytes: 4096,
  onError: (error) => errors.push(error),
});
const url = `http://127.0.0.1:${server.port}`;

// biome-ignore lint/suspicious/noExplicitAny: whatever the server replies is what is looked at
type Reply = any;

function post(path: string, body: unknown, init: RequestInit = {}): Promise<Response> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return fetch(`${url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: text,
    ...init,
  });
}

/** The pieces of a streamed reply. */
async function pieces(response: Response): Promise<Reply[]> {
  const lines = (await response.text()).split('\n\n').filter((line) => line !== '');
  assert.ok(lines.every((line) => line.startsWith('data: ')));
  assert.is(lines.at(-1), 'data: [DONE]');
  return lines.slice(0, -1).map((line) => JSON.parse(line.slice('data: '.length)));
}

test('a completion is what the model writes, whole or as it is written', async () => {
  const request = { model: 'gpt-4', prompt: 'Once upon', max_tokens: 12, temperature: 0 };
  const whole: Reply = await (await post('/v1/completions', request)).json();
  const direct = await model.answer(model.encode('Once upon'), {
    sampling: { temperature: 0, topP: 1, seed: 1 },
    maxTokens: 12,
  });
  assert.is(whole.object, 'text_completion');
  assert.is(whole.model, 'mine');
  assert.is(whole.choices[0].text, direct.text);
  assert.is(whole.choices[0].finish_reason, direct.finish);
  assert.is(whole.usage.prompt_tokens, model.encode('Once upon').length);
  assert.is(whole.usage.completion_tokens, direct.tokens);
  const streamed = await pieces(
    await post('/v1/completions', { ...request, stream: true, stream_options: { include_usage: true } }),
  );
  assert.is(streamed.map((piece) => piece.choices[0]?.text ?? '').join(''), direct.text);
  assert.is(streamed.at(-2).choices[0].finish_reason, direct.finish);
  assert.is(streamed.at(-1).usage.completion_tokens, direct.tokens);
  const tokens: Reply = await (await post('/v1/completions', { ...request, prompt: model.encode('Once upon') })).json();
  assert.is(tokens.choices[0].text, direct.text);
});

test('a chat goes through the template; its second turn reads only what is new; a stop ends it', async () => {
  const messages = [{ role: 'user', content: 'Hi' }];
  const request = { messages, max_completion_tokens: 8, temperature: 0 };
  const whole: Reply = await (await post('/v1/chat/completions', request)).json();
  const { content } = whole.choices[0].message;
  assert.is(whole.object, 'chat.completion');
  const written = '<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n';
  const direct = await model.answer(model.encode(written), {
    sampling: { temperature: 0, topP: 1, seed: 1 },
    maxTokens: 8,
  });
  assert.is(content, direct.text);
  const streamed = await pieces(await post('/v1/chat/completions', { ...request, stream: true }));
  assert.is(streamed[0].choices[0].delta.role, 'assistant');
  assert.is(streamed.map((piece) => piece.choices[0].delta.content ?? '').join(''), content);
  const more = [...messages, { role: 'assistant', content }, { role: 'user', content: [{ type: 'text', text: 'Yo' }] }];
  const next: Reply = await (await post('/v1/chat/completions', { ...request, messages: more, max_tokens: 2 })).json();
  const { prompt_tokens: prompt, prompt_tokens_details: details } = next.usage;
  assert.ok(details.cached_tokens >= whole.usage.prompt_tokens, `${details.cached_tokens} of ${prompt} were known`);
  const stop = content.slice(2, 4);
  const cut: Reply = await (await post('/v1/chat/completions', { ...request, stop })).json();
  assert.is(cut.choices[0].message.content, content.slice(0, content.indexOf(stop)));
  assert.is(cut.choices[0].finish_reason, 'stop');
});

test('a seed gives the same text again', async () => {
  const text = async (seed: number): Promise<string> => {
    const reply: Reply = await (await post('/v1/completions', { prompt: 'a', max_tokens: 20, seed })).json();
    return reply.choices[0].text;
  };
  assert.is(await text(5), await text(5));
  assert.is.not(await text(5), await text(6));
});

test('texts are classified, and it is said whether the model is as sure as it is right', async () => {
  const reply: Reply = await (await post('/classify', { input: ['one text', 'another'] })).json();
  assert.equal(reply.classes, ['bad', 'good']);
  assert.is(reply.calibrated, false);
  assert.is(reply.data.length, 2);
  for (const { label, probs, num_classes: count } of reply.data) {
    assert.is(count, 2);
    assert.ok(Math.abs(probs[0] + probs[1] - 1) < 1e-9);
    assert.is(label, probs[0] > probs[1] ? 'bad' : 'good');
  }
  const models: Reply = await (await fetch(`${url}/v1/models`)).json();
  assert.is(models.data[0].id, 'mine');
});

const MISTAKES: readonly [path: string, body: unknown, status: number, message: RegExp, param: string | null][] = [
  ['/v1/nothing', {}, 404, /wanted GET \/v1\/models, POST/, null],
  ['/v1/models', {}, 405, /wanted GET \/v1\/models$/, null],
  ['/v1/completions', '{', 400, /no JSON/, null],
  ['/v1/completions', '[]', 400, /no JSON object/, null],
  ['/v1/completions', {}, 400, /^prompt: wanted one text/, 'prompt'],
  ['/v1/completions', { prompt: ['a', 'b'] }, 400, /^prompt: wanted one text/, 'prompt'],
  ['/v1/completions', { prompt: [1, 999] }, 400, /token 999: the model has 128/, null],
  ['/v1/completions', { prompt: '' }, 400, /the prompt is 0 tokens/, null],
  ['/v1/completions', { prompt: 'a', n: 2 }, 400, /^n: is not supported/, 'n'],
  ['/v1/completions', { prompt: 'a', logit_bias: { 5: 1 } }, 400, /^logit_bias: is not/, 'logit_bias'],
  ['/v1/completions', { prompt: 'a', temperature: 'hot' }, 400, /^temperature: wanted 0 to 10/, 'temperature'],
  ['/v1/completions', { prompt: 'a', max_tokens: 0 }, 400, /^max_tokens: wanted a positive/, 'max_tokens'],
  ['/v1/completions', { prompt: 'x'.repeat(100) }, 400, /the prompt is 100 tokens; wanted 1 to 63/, null],
  ['/v1/completions', { prompt: 'x'.repeat(5000) }, 413, /larger than 4096 bytes/, null],
  ['/v1/chat/completions', { messages: [] }, 400, /^messages: wanted 1 to/, 'messages'],
  [
    '/v1/chat/completions',
    { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] },
    400,
    /text/,
    'messages[0]',
  ],
  ['/v1/chat/completions', { messages: [{ role: 'user', content: 'a' }], tools: [{}] }, 400, /^tools/, 'tools'],
  ['/classify', { input: [] }, 400, /^input: wanted a text/, 'input'],
];
for (const [path, body, status, message, param] of MISTAKES)
  test(`${path} ${JSON.stringify(body).slice(0, 60)} is refused with ${status}`, async () => {
    const response = await post(path, body);
    assert.is(response.status, status);
    const { error }: Reply = await response.json();
    assert.match(error.message, message);
    assert.is(error.type, 'invalid_request_error');
    assert.is(error.param, param);
  });

test('a page of the web cannot ask: neither by another name of this machine, nor with an innocent kind of body', async () => {
  const { request } = await import('node:http');
  const status = await new Promise((resolve) => {
    request({ port: server.port, path: '/v1/models', headers: { host: 'evil.example' } }, (r) =>
      resolve(r.statusCode),
    ).end();
  });
  assert.is(status, 403);
  const plain = await post('/v1/completions', { prompt: 'a' }, { headers: { 'content-type': 'text/plain' } });
  assert.is(plain.status, 415);
});

test('a few may wait, more are told to come back, and those who leave are not waited for', async () => {
  const body = { prompt: 'a', max_tokens: 40, temperature: 0 };
  const leaving = new AbortController();
  const replies = Array.from({ length: 8 }, () =>
    post('/v1/completions', body, { signal: leaving.signal }).then(
      (response) => response.status,
      () => 'left',
    ),
  );
  // Those who find no room hear of it at once.
  assert.is(
    await Promise.any(replies.map((reply) => reply.then((said) => (said === 429 ? said : Promise.reject())))),
    429,
  );
  leaving.abort();
  const statuses = await Promise.all(replies);
  assert.ok(statuses.includes('left') || statuses.includes(200), String(statuses));
  // The server may hear of those who left after who comes next.
  const later = async (tries: number): Promise<number> => {
    const { status } = await post('/v1/completions', body);
    return status === 429 && tries > 0 ? later(tries - 1) : status;
  };
  assert.is(await later(1000), 200);
});

test('nothing failed but what was asked wrongly', async () => {
  assert.equal(errors, []);
  await server.stop();
  await model.stop();
  await (await classifier)?.stop();
});

test.run();
