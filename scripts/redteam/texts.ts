/** @file The texts of the honest, of a newcomer and of who attacks, and those that all are scored on: reviews, drawn once. */
import type { Example } from '../../node/texts/data.ts';
import { type Reviews, splitReviews } from '../../node/texts/reviews.ts';

export const PEERS = 4;
const GOLD_PER_CLASS = 8;

/** Reviews of so many, and of one more. */
export function reviews(): Reviews {
  return splitReviews({ seed: 'redteam', peers: PEERS + 1, goldPerClass: GOLD_PER_CLASS });
}

/** The labelled texts of each; `few`: two each, so that a round is short. */
export function labelledTexts(few: boolean): readonly (readonly Example[])[] {
  return reviews().shares.map(({ gold }) => (few ? [gold[0]!, gold.at(-1)!] : gold));
}
