/** @file A way to pack of one's own: the upper halves of float32 numbers (bfloat16), cut off and not rounded. */
import { createSwarm, joinSwarm, type OwnCodec } from 'lorikeet';

/** Gives the number at a place, from what is packed. */
const reading = (bytes: Uint8Array) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const room = new DataView(new ArrayBuffer(4));
  return (at: number): number => {
    room.setUint16(0, view.getUint16(2 * at, true));
    return room.getFloat32(0);
  };
};

const bfloat: OwnCodec = {
  name: 'own-bfloat16',
  id: 128,
  exact: false,
  size: (count) => 2 * count,
  encode: (x, rest) => {
    const view = new DataView(new ArrayBuffer(2 * x.length));
    const room = new DataView(new ArrayBuffer(4));
    for (const [i, value] of x.entries()) {
      room.setFloat32(0, value);
      room.setUint16(2, 0);
      view.setUint16(2 * i, room.getUint16(0), true);
      if (rest) rest[i] = value - room.getFloat32(0);
    }
    return new Uint8Array(view.buffer);
  },
  // Bytes of strangers: null, and nothing thrown, where they are of another length or not finite.
  norm: (bytes, count) => {
    if (bytes.length !== 2 * count) return null;
    const read = reading(bytes);
    let sum = 0;
    for (let i = 0; i < count; i++) sum += read(i) ** 2;
    return Number.isFinite(sum) ? Math.sqrt(sum) : null;
  },
  read: (bytes, _count, begin, out) => {
    const read = reading(bytes);
    for (let i = 0; i < out.length; i++) out[i] = read(begin + i);
  },
};

const rows = [
  { text: 'a warm and funny film', label: 'positive' },
  { text: 'dull from start to end', label: 'negative' },
];
await using anna = await createSwarm({ data: rows, settings: { rounds: 2, localSteps: 1 }, codec: bfloat });
await using bert = await joinSwarm(anna.invite(), { data: rows, codec: bfloat });
await Promise.all([anna.finished, bert.finished]);
console.log(
  `${anna.run.settings.codec}: ${Object.values(anna.view.mixedWith)} mixed, ${anna.view.sentBytes} bytes sent`,
);
