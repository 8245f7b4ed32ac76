/** @file What a peer tells Prometheus is what has happened to it, and its address is read or refused. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createChronicle } from '../../node/chronicle/chronicle.ts';
import { UserError } from '../../node/errors.ts';
import { readAddress, serveMetrics } from '../../node/metrics.ts';
import { OTHER, SIGHT } from './parts/sight.ts';

test('rounds, refusals and exchanges are told in units that their names say', async () => {
  let ms = 0;
  const { scribe, ...chronicle } = createChronicle(SIGHT, () => ms);
  const server = await serveMetrics('0', chronicle);
  scribe.training(6);
  ms = 2000;
  scribe.metric({ type: 'trained', round: 6, loss: 0.25 });
  ms = 5000;
  const edge = { id: OTHER, round: 6, distance: 0.5, isClipped: true };
  scribe.metric({
    ...{ type: 'mixed', round: 6, neighbours: 1, mixed: 1, late: 0, distance: 0.5, crossTerm: null },
    ...{ with: [edge], adapter: new Float32Array() },
  });
  for (let i = 0; i < 3; i++) scribe.refused(OTHER, 'malformed');
  chronicle.compared({ texts: 40, base: 0.5, alone: null, swarm: 0.75, at: null });
  for (let reading = 0; reading < 2; reading++) {
    const text = await (await fetch(server.url)).text();
    for (const line of [
      'lorikeet_info{peer_id="me",name="lab \\"3\\"",run_id="ab",base="b",version=',
      'lorikeet_rounds_planned 14',
      'lorikeet_round 7',
      'lorikeet_phase{phase="exchanging"} 1',
      'lorikeet_phase{phase="training"} 0',
      'lorikeet_awaited_peers 1',
      'lorikeet_training_loss 0.25',
      'lorikeet_training_duration_seconds_sum 2',
      'lorikeet_round_duration_seconds_sum 5',
      'lorikeet_round_duration_seconds_count 1',
      'lorikeet_exchanges_total{outcome="mixed"} 1',
      'lorikeet_exchanges_total{outcome="clipped"} 1',
      'lorikeet_refused_total{code="malformed"} 3',
      'lorikeet_diverged_rounds_total 1',
      'lorikeet_score{whose="swarm"} 0.75',
      'process_resident_memory_bytes ',
    ])
      assert.ok(text.includes(`\n${line}`), `${line} in:\n${text}`);
    assert.not.match(text, /whose="alone"/);
  }
  assert.is((await fetch(server.url.replace('/metrics', '/'))).status, 404);
  assert.is((await fetch(server.url, { method: 'POST' })).status, 405);
  await server.stop();
  await fetch(server.url).then(
    () => assert.unreachable('it answers no more'),
    () => {},
  );
});

test('an address is a host and a port, or a port of this machine', () => {
  assert.equal(readAddress('9464'), { host: '127.0.0.1', port: 9464 });
  assert.equal(readAddress('0.0.0.0:1'), { host: '0.0.0.0', port: 1 });
  assert.equal(readAddress('[::1]:9464'), { host: '::1', port: 9464 });
  for (const text of ['', 'x', 'host:', '1.2.3.4:70000', 'a:b'])
    assert.throws(
      () => readAddress(text),
      (error: unknown) => error instanceof UserError && /wanted HOST:PORT/.test(error.message),
    );
});

test('a port that is taken is named', async () => {
  const { scribe: _, ...chronicle } = createChronicle(SIGHT);
  const server = await serveMetrics('127.0.0.1:0', chronicle);
  const taken = new URL(server.url).host;
  const failure = await serveMetrics(taken, chronicle).catch((error) => error);
  assert.match(String(failure), /--metrics .*: cannot listen there \(listen EADDRINUSE/);
  await server.stop();
});

test.run();
