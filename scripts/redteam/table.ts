/** @file All attacks, by name; and names of many at once. */
import type { Attack } from './attack.ts';
import { EAVESDROPPERS } from './eavesdrop.ts';
import { FILES } from './files.ts';
import { FLOODS } from './floods.ts';
import { INVITERS } from './inviters.ts';
import type { Local } from './local.ts';
import { POISONS } from './poison.ts';
import { PROOFS } from './proofs.ts';
import { SILENT } from './silence.ts';
import { STRANGERS } from './strangers.ts';

/** On one that starts. */
export const LOCALS: Readonly<Record<string, Local>> = { ...FILES, ...INVITERS };

/** On a swarm, by an attacker's process. */
export const ATTACKS: Readonly<Record<string, Attack>> = {
  ...SILENT,
  ...FLOODS,
  ...PROOFS,
  ...STRANGERS,
  ...POISONS,
  ...EAVESDROPPERS,
};

export const GROUPS: Readonly<Record<string, readonly string[]>> = {
  silence: Object.keys(SILENT),
  floods: Object.keys(FLOODS),
  proofs: Object.keys(PROOFS),
  strangers: Object.keys(STRANGERS),
  poison: Object.keys(POISONS),
  privacy: Object.keys(EAVESDROPPERS),
  files: Object.keys(FILES),
  inviters: Object.keys(INVITERS),
};

/** What an attack is, by its name. */
export function aboutOf(name: string): string {
  return (ATTACKS[name] ?? LOCALS[name])!.about;
}

/** The attacks that names of attacks and groups mean; those that need a whole run of their own only where there is time. */
export function attacksOf(names: readonly string[], isShort: boolean): string[] {
  const all = names.flatMap((name) => GROUPS[name] ?? [name]);
  return [...new Set(all)].filter((name) => !isShort || (ATTACKS[name]?.course?.isShort ?? true));
}
