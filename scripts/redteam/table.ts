/** @file All attacks that are made on a running swarm, by name. */
import type { Attack } from './attack.ts';
import { FLOODS } from './floods.ts';
import { SILENT } from './silence.ts';
import { STRANGERS } from './strangers.ts';

export const ATTACKS: Readonly<Record<string, Attack>> = { ...SILENT, ...FLOODS, ...STRANGERS };
