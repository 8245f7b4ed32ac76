/** @file An invite handed over in a file: two peers that are started at once find each other by it. */
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../node/errors.ts';
import { formatInvite } from '../../node/invite.ts';
import { leaveInvite, waitForInvite } from '../../node/invite-file.ts';
import { MACHINE, startIn, writeTexts } from '../processes.ts';
import { temporaryFolder } from '../support.ts';

const folder = temporaryFolder();
const INVITE = {
  addresses: ['/ip4/127.0.0.1/tcp/1/p2p/12D3KooWJXtosp4crb1NvZ2AaLfdVAz6egKvC7BQULUrBGWpeYeo'],
  runId: '00112233445566778899aabbccddeeff',
  ticket: null,
};

test("it is its owner's alone, and read as soon as it is there", async () => {
  const path = join(folder, 'invite');
  const waiting = waitForInvite(path, 0);
  await leaveInvite(path, formatInvite(INVITE));
  assert.equal(await waiting, INVITE);
  if (process.platform !== 'win32') assert.is(statSync(path).mode & 0o777, 0o600);
});

test('what does not come, and what is none, is told by its path', async () => {
  const wrong = join(folder, 'wrong');
  writeFileSync(wrong, 'hello');
  for (const [path, mistake, said] of [
    [join(folder, 'nothing'), 'unreachable', /nothing: nobody left an invite there in 1 s/],
    [wrong, 'usage', /got "hello"/],
    [folder, 'storage', /cannot be read/],
  ] as const) {
    const failure = await waitForInvite(path, 1).catch((error) => error);
    assert.instance(failure, UserError);
    assert.is(failure.mistake, mistake);
    assert.match(failure.message, said);
  }
  const denied = await leaveInvite(join(folder, 'no', 'folder'), 'x').catch((error) => error);
  assert.match(String(denied), /cannot be written/);
});

test('two that are started at once with the same file train together', async () => {
  writeTexts(folder, 'a.tsv', ['a dull film', 'a warm film']);
  writeTexts(folder, 'b.tsv', ['cold food', 'kind staff']);
  const common = ['--invite-file', 'shared', '--anyway', '--json', ...MACHINE];
  const joiner = startIn(folder, ['join', '--data', 'b.tsv', ...common]);
  const first = startIn(folder, ['up', '--data', 'a.tsv', '--rounds', '3', '--local-steps', '1', ...common]);
  for (const { code, out, err } of await Promise.all([first.done, joiner.done])) {
    assert.is(code, 0, err);
    assert.is(Object.keys(JSON.parse(out).mixedWith).length, 1);
  }
  assert.ok(existsSync(join(folder, 'b.tsv.lorikeet', 'adapter')));
});

test.run();
