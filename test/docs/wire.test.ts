/** @file docs/wire.md tells the truth: its bytes are those of real frames, and mean what stands beside them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeAnnouncement, encodeAnnouncement } from '../../node/admission/announcement.ts';
import { sha256 } from '../../node/train/run.ts';
import { CODEC_NAMES, CODECS } from '../../protocol/codec.ts';
import { encodeFrame, frameType, HEADER_BYTES, type Message } from '../../protocol/frame.ts';
import { ROOT } from '../support.ts';

const page = readFileSync(join(ROOT, 'docs', 'wire.md'), 'utf8');
const RUN = '00112233445566778899aabbccddeeff';
const ADDRESS = '/ip4/192.0.2.7/tcp/4001';

interface Row {
  readonly bytes: Uint8Array;
  readonly type: string;
  readonly here: string;
}

/** The rows of bytes under a heading of the page. */
function rowsUnder(heading: string): Row[] {
  const section = page.split(/^#{2,3} /m).find((text) => text.startsWith(`${heading}\n`));
  assert.ok(section, heading);
  return [...section!.matchAll(/^\| `((?:[0-9a-f]{2} ?)+)` \| (\S+) \| .* \| (.*) \|$/gm)].map(
    ([, hex, type, here]) => ({ bytes: Buffer.from(hex!.replaceAll(' ', ''), 'hex'), type: type!, here: here!.trim() }),
  );
}

/** What bytes say, by the type that the page gives them; null: nothing that can be written in a cell. */
function meaningOf({ bytes, type }: Row): string | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const readers: Readonly<Record<string, () => number | string | null>> = {
    u8: () => view.getUint8(0),
    i8: () => view.getInt8(0),
    u16: () => view.getUint16(0, true),
    u32: () => view.getUint32(0, true),
    u53: () => Number(view.getBigUint64(0, true)),
    f32: () => view.getFloat32(0, true),
    f16: () => {
      const out = new Float32Array(1);
      CODECS.f16.read(bytes, 1, 0, out);
      return out[0]!;
    },
    ascii: () => Buffer.from(bytes).toString('latin1'),
    raw: () => null,
    digest: () => null,
  };
  assert.ok(readers[type], `no type ${type}`);
  const value = readers[type]!();
  return value === null ? null : String(value);
}

function check(heading: string, wanted: Uint8Array): void {
  const rows = rowsUnder(heading);
  assert.equal(Buffer.concat(rows.map(({ bytes }) => bytes)).toString('hex'), Buffer.from(wanted).toString('hex'));
  for (const row of rows) {
    const value = meaningOf(row);
    if (value !== null) assert.is(row.here, value, `${heading}: ${row.type}`);
  }
}

const frameOf = (message: Message): Uint8Array => encodeFrame({ message, sequence: 7 }, RUN, sha256);
const payload = CODECS.f32.encode(Float32Array.of(1, -0.5));
const BODIES: readonly Message[] = [
  { type: 'announce', round: 3, state: 'joined', addresses: [ADDRESS] },
  { type: 'peers', round: 3, peers: [{ id: '12D3KooWA', addresses: [ADDRESS] }] },
  { type: 'data', round: 3, degree: 4, radius: 1.5, codec: 'f32', count: 2, payload },
  { type: 'adapter', round: 3, codec: 'f32', count: 2, payload },
];

test('the header is as the page has it', () => {
  check('Header', frameOf({ type: 'want', round: 3 }));
  assert.is(HEADER_BYTES, 52);
  assert.match(page, /52 bytes, before every body/);
});

for (const message of BODIES)
  test(`the body of ${message.type} is as the page has it`, () => {
    check(message.type, frameOf(message).subarray(HEADER_BYTES));
  });

for (const codec of CODEC_NAMES)
  test(`numbers packed as ${codec} are as the page has them`, () => {
    check(codec, CODECS[codec].encode(Float32Array.of(1, -0.5, 0.25)));
  });

test('an announcement is as the page has it', () => {
  const proof = Uint8Array.of(1, 2, 3);
  const bytes = encodeAnnouncement({ proof, bans: [], frame: frameOf({ type: 'want', round: 3 }) });
  check('announcement', bytes);
  assert.equal(decodeAnnouncement(bytes)?.proof, proof);
});

test('every kind of message has its number on the page', () => {
  const kinds = [...page.matchAll(/^\| (\d+) \| `(\w+)` \|/gm)].map(([, number, name]) => [Number(number), name]);
  const real = Array.from({ length: 256 }, (_, k) => [k, frameType(new Uint8Array(HEADER_BYTES).fill(k, 19, 20))]);
  assert.equal(
    kinds,
    real.filter(([, name]) => name !== null),
  );
});

test.run();
