/**
 * @file A process of `npm run chaos`: a real peer with host, disk and exchange, which kills itself (-9) at the point it is
 * told. Training adds 1 to every fourth number, those of this peer: whatever is lost or mixed in twice shows in the sums. How
 * often it has trained by each snapshot it is about to save stands in a journal.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { generateKey, idOfKey } from '../../node/admission/identity.ts';
import { createRuntime } from '../../node/runtime.ts';
import { openStore } from '../../node/store.ts';
import { sha256 } from '../../node/train/run.ts';
import type { RunSettings } from '../../protocol/config.ts';
import type { Effect } from '../../protocol/events.ts';
import { decodeFrame } from '../../protocol/frame.ts';
import { createPeer, restorePeer } from '../../protocol/peer.ts';
import { encodeSnapshot } from '../../protocol/snapshot.ts';
import { writeLine } from './journal.ts';
import { isAt, type Moment, type PointName } from './points.ts';

/** Run by every peer of chaos. */
export const RUN_ID = '00c4a05000c4a05000c4a05000c4a050';

export interface Start {
  readonly folder: string;
  /** Which numbers are its own. */
  readonly place: number;
  readonly peers: number;
  readonly size: number;
  readonly settings: RunSettings;
  /** 0: any that is free. */
  readonly port: number;
  readonly bootstrap: readonly string[];
  readonly trainMs: number;
}

export type Order =
  | { readonly type: 'start'; readonly start: Start }
  | { readonly type: 'arm'; readonly point: PointName }
  | { readonly type: 'tell' }
  | { readonly type: 'stop' };

export type Report =
  | { readonly type: 'ready'; readonly addresses: readonly string[] }
  | { readonly type: 'saved'; readonly round: number; readonly exchanged: number; readonly boot: number }
  | { readonly type: 'mixed'; readonly round: number; readonly mixed: number }
  | { readonly type: 'abandoned' }
  | { readonly type: 'finished' }
  | { readonly type: 'adapter'; readonly adapter: readonly number[]; readonly open: number };

let armed: PointName | null = null;
let limits = { runId: RUN_ID, count: 0, codec: 'f32' as const };

/** The end, if this is the moment. */
function pass(moment: Moment): void {
  if (armed !== null && isAt(armed, moment, limits, sha256)) process.kill(process.pid, 'SIGKILL');
}

/** Lets the writing of snapshots be cut off anywhere. */
function watchDisk(): void {
  const { open, rename } = fs.promises;
  const isSnapshot = (path: unknown): boolean => /snapshot\.bin\..*tmp$/.test(String(path));
  fs.promises.open = async (path, ...rest) => {
    const file = await open(path, ...rest);
    if (!isSnapshot(path)) return file;
    const { writeFile } = file;
    file.writeFile = async (bytes, ...more) => {
      if (armed !== null && isAt(armed, { type: 'half-written' }, limits, sha256)) {
        await file.write((bytes as Uint8Array).subarray(0, (bytes as Uint8Array).length / 2));
        pass({ type: 'half-written' });
      }
      await writeFile.call(file, bytes, ...more);
      pass({ type: 'written' });
    };
    return file;
  };
  fs.promises.rename = async (from, to) => {
    await rename(from, to);
    if (isSnapshot(from)) pass({ type: 'renamed' });
  };
  syncBuiltinESMExports();
}

async function run({ folder, place, peers, size, settings, port, bootstrap, trainMs }: Start): Promise<void> {
  const tell = (report: Report): void => {
    process.send!(report);
  };
  limits = { ...limits, count: size };
  const store = openStore(folder);
  const key = await store.key(() => generateKey());
  const id = idOfKey(key)!;
  const snapshot = store.readSnapshot(RUN_ID, 'f32');
  let [trainings, hasSent] = [0, false];
  const isData = (effect: Effect): boolean => {
    if (effect.type !== 'send') return false;
    const decoded = decodeFrame(effect.bytes, limits, sha256);
    return decoded.ok && decoded.frame.message.type === 'data';
  };
  const peer = snapshot
    ? restorePeer({ id, settings, snapshot })
    : createPeer({ id, runId: RUN_ID, settings, adapter: new Float32Array(size) });
  const runtime = await createRuntime({
    peer,
    key,
    listen: [`/ip4/127.0.0.1/tcp/${port}`],
    describeRun: () => JSON.stringify(settings),
    save: store.writeSnapshot,
    train: async (_round, adapter) => {
      await sleep(trainMs / 2);
      pass({ type: 'training' });
      await sleep(trainMs / 2);
      return { adapter: adapter.map((x, i) => (i % peers === place ? x + 1 : x)), stats: { loss: null } };
    },
    onMetric: (metric) => {
      if (metric.type === 'mixed') tell({ type: 'mixed', round: metric.round, mixed: metric.mixed });
      if (metric.type === 'abandoned') tell({ type: 'abandoned' });
    },
    onEvent: (event) => {
      if (hasSent) pass({ type: 'sent' });
      hasSent = false;
      if (event.type === 'trained' && peer.phase === 'training' && event.round === peer.round) trainings += 1;
      pass({ type: 'event', event });
    },
    onEffect: (when, effect) => {
      if (when === 'before' && effect.type === 'save') {
        const digest = Buffer.from(sha256(encodeSnapshot(effect.snapshot, sha256))).toString('hex');
        writeLine(folder, digest, trainings);
      }
      pass({ type: when, effect });
      if (isData(effect)) hasSent = true;
      if (when !== 'after' || effect.type !== 'save') return;
      const { round, exchanged, boot } = effect.snapshot;
      tell({ type: 'saved', round, exchanged, boot });
    },
  });
  tell({ type: 'ready', addresses: runtime.host.addresses() });
  runtime.finished.then(() => tell({ type: 'finished' }));
  process.on('message', (order: Order) => {
    const open = peer.exchanges.reduce((sum, { edges }) => sum + Object.keys(edges).length, 0);
    if (order.type === 'tell') tell({ type: 'adapter', adapter: [...peer.adapter], open });
    if (order.type !== 'stop') return;
    runtime
      .stop()
      .then(store.release)
      .finally(() => process.exit());
  });
  if (bootstrap.length > 0) await runtime.host.dial(bootstrap).catch(() => {}); // it may be the one that is down
}

if (process.send) {
  watchDisk();
  process.on('disconnect', () => process.exit());
  process.on('message', (order: Order) => {
    if (order.type === 'arm') armed = order.point;
    if (order.type !== 'start') return;
    run(order.start).catch((error) => {
      console.error(error instanceof Error ? error.message : error);
      process.exit(5);
    });
  });
}
