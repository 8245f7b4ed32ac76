/** @file Tokens as a reader expects them, whatever a vocabulary writes for a space and for bytes. */

/** The characters by which byte-level BPE writes bytes: those that can be seen as they are, the others from 256 on (GPT-2). */
const BYTES: ReadonlyMap<string, number> = (() => {
  const isSeen = (byte: number): boolean => (byte > 32 && byte < 127) || (byte > 160 && byte < 256 && byte !== 173);
  const bytes = new Map<string, number>();
  let next = 256;
  for (let byte = 0; byte < 256; byte++) bytes.set(String.fromCharCode(isSeen(byte) ? byte : next++), byte);
  return bytes;
})();

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A token as text; as it is where its bytes are no whole characters. `decoder`: as tokenizer.json describes it. */
export function readableToken(token: string, decoder: object | null): string {
  const { type } = (decoder ?? {}) as { type?: unknown };
  if (type !== 'ByteLevel') return token.replaceAll('\u2581', ' ');
  const bytes = [...token].map((character) => BYTES.get(character));
  if (bytes.some((byte) => byte === undefined)) return token;
  try {
    return UTF8.decode(Uint8Array.from(bytes as number[]));
  } catch {
    return token;
  }
}
