/** @file Which of a peer's own texts it does not train on, so that they tell whether joining helps: by their hashes, the same ones each time. */
import { sha256 } from './run.ts';

/** Without a number given: about this share, of texts that are enough, up to so many and never more than the other share. */
const [SHARE, ENOUGH, MOST, MOST_SHARE] = [1 / 5, 40, 100, 1 / 4];

/** Tells held-out texts from the others. `count`: how many; null: a share, where there are enough; texts that are alike go together. */
export function heldOut(texts: readonly string[], count: number | null): (text: string) => boolean {
  const places = [...new Set(texts)].map(placeOf).sort((a, b) => a - b);
  if (count === null && texts.length < ENOUGH) return () => false;
  const share = Math.min(MOST, Math.floor(MOST_SHARE * places.length));
  const wanted = count ?? Math.min(share, places.filter((place) => place < SHARE).length);
  const last = places[wanted - 1] ?? -1;
  return (text) => placeOf(text) <= last;
}

/** From 0 to 1. A text's place stays, whichever others come and go. */
function placeOf(text: string): number {
  const digest = sha256(new TextEncoder().encode(`held out ${text}`));
  return new DataView(digest.buffer, digest.byteOffset).getUint32(0) / 2 ** 32;
}
