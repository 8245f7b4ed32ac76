/** @file All attacks, by name; and names of many at once. */
import type { Attack } from './attack.ts';
import { FLOODS } from './floods.ts';
import { POISONS } from './poison.ts';
import { PROOFS } from './proofs.ts';
import { SILENT } from './silence.ts';
import { STRANGERS } from './strangers.ts';

export const GROUPS: Readonly<Record<string, Readonly<Record<string, Attack>>>> = {
  silence: SILENT,
  floods: FLOODS,
  proofs: PROOFS,
  strangers: STRANGERS,
  poison: POISONS,
};

export const ATTACKS: Readonly<Record<string, Attack>> = Object.assign({}, ...Object.values(GROUPS));
