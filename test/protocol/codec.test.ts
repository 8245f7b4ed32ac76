/** @file The codec law, frames, snapshots: what is packed comes back, and any other byte is refused, never thrown at. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { addCodec, CODEC_NAMES, CODECS, type CodecName, codecById, decode } from '../../protocol/codec.ts';
import { openExchange } from '../../protocol/exchange.ts';
import {
  decodeFrame,
  encodeFrame,
  type Frame,
  type FrameLimits,
  HASH_BYTES,
  HEADER_BYTES,
  maxFrameBytes,
} from '../../protocol/frame.ts';
import { createPrng, type Prng } from '../../protocol/prng.ts';
import { decodeSnapshot, encodeSnapshot, type Snapshot } from '../../protocol/snapshot.ts';
import { quickHash } from '../../sim/world/digest.ts';
import { settingsWith } from '../support.ts';

const SEED = process.env.SEED ?? '1';
const REPLAY = `replay with SEED=${SEED} npm test -- codec`;
const RUN = '00112233445566778899aabbccddeeff';

/** Vectors of many sizes and magnitudes, zeros and subnormals among them. */
function drawVector(prng: Prng, count = prng.below(400)): Float32Array {
  const magnitude = 10 ** (prng.below(12) - 8);
  return Float32Array.from({ length: count }, () => (prng.random() < 0.1 ? 0 : prng.normal() * magnitude));
}

/** The stated bound on |decode(encode(x)) - x| of each element. */
const BOUNDS: Record<CodecName, (x: Float32Array, i: number) => number> = {
  f32: () => 0,
  f16: (x, i) => (Math.abs(x[i]!) > 65504 ? Math.abs(x[i]!) : Math.max(2 ** -11 * Math.abs(x[i]!), 2 ** -25)),
  int8: (x, i) => {
    const block = x.subarray(i - (i % 128), i - (i % 128) + 128);
    return (block.reduce((m, v) => Math.max(m, Math.abs(v)), 0) / 254) * (1 + 1e-5) + 1e-44;
  },
};

for (const name of CODEC_NAMES) {
  const codec = CODECS[name];
  test(`${name}: what comes back is within the stated bound, at the stated size`, () => {
    const prng = createPrng(SEED).fork(name);
    for (let trial = 0; trial < 200; trial++) {
      const x = drawVector(prng);
      const bytes = codec.encode(x);
      assert.is(bytes.length, codec.size(x.length));
      const back = decode(name, bytes, x.length)!;
      x.forEach((value, i) => {
        assert.ok(
          Math.abs(back[i]! - value) <= BOUNDS[name](x, i),
          `${value} came back as ${back[i]}; trial ${trial}, ${REPLAY}`,
        );
      });
    }
  });

  test(`${name}: another length is refused, random bytes never give a number that is not finite`, () => {
    const prng = createPrng(SEED).fork(`${name}/random`);
    for (let trial = 0; trial < 300; trial++) {
      const count = 1 + prng.below(300);
      const size = codec.size(count);
      assert.is(decode(name, new Uint8Array(size + 1), count), null);
      assert.is(decode(name, new Uint8Array(size - 1), count), null);
      const decoded = decode(
        name,
        Uint8Array.from({ length: size }, () => prng.below(256)),
        count,
      );
      assert.ok(decoded === null || decoded.every(Number.isFinite), REPLAY);
    }
  });

  test(`${name}: what rounding leaves over is sent later, so the mean of what is sent comes to what was meant`, () => {
    const prng = createPrng(SEED).fork(`${name}/feedback`);
    const adapter = drawVector(prng, 300);
    const sum = new Float64Array(300);
    let residual: Float32Array = new Float32Array(300);
    const rounds = 64;
    for (let round = 0; round < rounds; round++) {
      const opened = openExchange({
        round,
        neighbours: ['a'],
        settings: settingsWith({ codec: name }),
        adapter,
        residual,
      });
      residual = opened.residual;
      const sent = decode(name, opened.exchange.payload, 300)!;
      sent.forEach((value, i) => {
        sum[i]! += value;
      });
    }
    const scale = Math.max(...adapter.map(Math.abs));
    adapter.forEach((value, i) => {
      assert.ok(Math.abs(sum[i]! / rounds - value) <= (2 * scale) / 254 / rounds + 1e-6 * scale, REPLAY);
    });
  });
}

test('what a codec says it leaves over is what unpacking lacks, also in place', () => {
  for (const name of CODEC_NAMES) {
    const x = drawVector(createPrng(SEED).fork(`${name}/rest`), 300).fill(0, 128, 256);
    const rest = new Float32Array(300);
    const bytes = CODECS[name].encode(x, rest);
    const lacking = x.map((value, i) => value - decode(name, bytes, 300)![i]!);
    assert.equal(rest, lacking, `${name}; ${REPLAY}`);
    assert.equal(CODECS[name].encode(x, x), bytes, name);
    assert.equal(x, lacking, name);
  }
});

test('f16 keeps what it can hold exactly', () => {
  const exact = Float32Array.of(0, 1, -2, 0.5, 65504, -65504, 2 ** -24, 2 ** -14, 1.5 * 2 ** -20, 0.333251953125);
  assert.equal(decode('f16', CODECS.f16.encode(exact), exact.length), exact);
});

const limits: FrameLimits = { runId: RUN, count: 5, codec: 'f32' };
const payload = CODECS.f32.encode(Float32Array.of(1, 2, 3, 4, 5));
const FRAMES: readonly Frame[] = [
  {
    sequence: 2 ** 40 + 7,
    message: { type: 'announce', round: 3, state: 'joined', addresses: ['/ip4/127.0.0.1/tcp/1'] },
  },
  {
    sequence: 1,
    message: {
      type: 'peers',
      round: 0,
      peers: [
        { id: 'b', addresses: [] },
        { id: 'c', addresses: ['x', 'y'] },
      ],
    },
  },
  { sequence: 2, message: { type: 'data', round: 9, degree: 4, radius: 0.5, codec: 'f32', count: 5, payload } },
  ...(['ack', 'nack', 'have', 'want', 'ask', 'cancel'] as const).map(
    (type): Frame => ({ sequence: 3, message: { type, round: 2 ** 31 } }),
  ),
];

for (const frame of FRAMES) {
  test(`a ${frame.message.type} frame comes back as it was, and no cut or flip of it passes`, () => {
    const bytes = encodeFrame(frame, RUN, quickHash);
    assert.equal(decodeFrame(bytes, limits, quickHash), { ok: true, frame });
    for (let length = 0; length < bytes.length; length++)
      assert.not.ok(decodeFrame(bytes.subarray(0, length), limits, quickHash).ok);
    for (let at = 0; at < bytes.length; at++) {
      const flipped = Uint8Array.from(bytes, (b, i) => (i === at ? b ^ 0x41 : b));
      const decoded = decodeFrame(flipped, limits, quickHash);
      assert.not.ok(decoded.ok, `byte ${at}`);
    }
  });
}

test('random bytes are refused with a code', () => {
  const prng = createPrng(SEED).fork('frames');
  const good = encodeFrame(FRAMES[2]!, RUN, quickHash);
  for (let trial = 0; trial < 2000; trial++) {
    const length = prng.below(200);
    const bytes = Uint8Array.from({ length }, (_, i) =>
      i < HEADER_BYTES && prng.random() < 0.9 ? good[i]! : prng.below(256),
    );
    const decoded = decodeFrame(bytes, limits, quickHash);
    assert.ok(!decoded.ok && decoded.code.length > 0, REPLAY);
  }
});

test('another run, another shape, a number that is not finite and a frame too long each have their code', () => {
  const code = (bytes: Uint8Array, l = limits): string => {
    const decoded = decodeFrame(bytes, l, quickHash);
    return decoded.ok ? 'ok' : decoded.code;
  };
  const data = encodeFrame(FRAMES[2]!, RUN, quickHash);
  assert.is(code(data, { ...limits, runId: 'f'.repeat(32) }), 'wrong-run');
  assert.is(code(data, { ...limits, count: 6 }), 'wrong-shape');
  assert.is(code(data, { ...limits, codec: 'f16' }), 'wrong-shape');
  assert.is(code(new Uint8Array(maxFrameBytes(limits) + 1)), 'oversized');
  assert.is(code(Uint8Array.from(data, (b, i) => (i === HASH_BYTES + 2 ? 9 : b))), 'wrong-version');
});

const snapshot: Snapshot = {
  runId: RUN,
  boot: 3,
  round: 7,
  exchanged: 6,
  phase: 'training',
  adapter: Float32Array.of(1, 2, 3),
  residual: Float32Array.of(0, 0.5, 0),
  reach: { moved: 0.5, distances: [1, 0.25] },
  declined: [['e', 9]],
  acquaintances: [{ id: 'b', addresses: ['/ip4/127.0.0.1/tcp/1'], mixed: true }],
  exchanges: [
    {
      round: 6,
      payload: CODECS.f32.encode(Float32Array.of(1, 2, 4)),
      edges: Object.assign(Object.create(null), {
        b: {
          degree: 2,
          radius: Number.POSITIVE_INFINITY,
          received: true,
          acknowledged: false,
          cancelling: false,
          isUnsent: false,
        },
        c: { degree: 8, radius: 0, received: false, acknowledged: true, cancelling: false, isUnsent: true },
        d: { degree: 8, radius: 1.5, received: false, acknowledged: false, cancelling: true, isUnsent: false },
      }),
    },
  ],
};

test('a snapshot comes back as it was; torn, cut or altered it is refused', () => {
  const bytes = encodeSnapshot(snapshot, quickHash);
  assert.equal(decodeSnapshot(bytes, 'f32', quickHash), snapshot);
  for (let length = 0; length < bytes.length; length++)
    assert.is(decodeSnapshot(bytes.subarray(0, length), 'f32', quickHash), null);
  for (let at = 0; at < bytes.length; at++) {
    assert.is(
      decodeSnapshot(
        Uint8Array.from(bytes, (b, i) => (i === at ? b ^ 1 : b)),
        'f32',
        quickHash,
      ),
      null,
      `byte ${at}`,
    );
  }
});

test('a codec of a program is known by its byte, and takes no name or byte of another', () => {
  const own = { ...CODECS.f32, id: 200 };
  addCodec('own-plain', own);
  addCodec('own-plain', own);
  assert.is(codecById(200), 'own-plain');
  assert.is(settingsWith({ codec: 'own-plain' }).codec, 'own-plain');
  assert.throws(() => addCodec('own-other', own), /its id 200 is that of own-plain/);
  assert.throws(() => addCodec('own-low', { ...own, id: 3 }), /wanted 128 to 255/);
  assert.throws(() => addCodec('own-plain', { ...own }), /stands for another object/);
  assert.throws(() => addCodec('f32', { ...own, id: 201 }), /wanted own-/);
  assert.is(codecById(201), null);
});

test.run();
