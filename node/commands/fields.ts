/** @file `lorikeet fields`: what the files of experiments and scenarios, and of settings, may say. */
import { UserError } from '../errors.ts';
import { nearest } from '../nearest.ts';
import type { Flags } from './flags.ts';

/** The kinds of file. */
const KINDS = ['experiment', 'scenario', 'settings'] as const;

/** Prints the fields of a kind of file as lines, or as JSON Schema. */
export async function fields(given: string, flags: Flags): Promise<void> {
  const kind = KINDS.find((name) => name === given);
  if (!kind) {
    const like = nearest(given, KINDS);
    throw new UserError(
      'usage',
      `fields: got "${given}"; wanted ${KINDS.join(', ')}${like ? `; did you mean ${like}?` : ''}`,
    );
  }
  const { EXPERIMENT_FIELDS, EXPERIMENT_FILE, rowsOf, SCENARIO_FIELDS, SCENARIO_FILE, SETTINGS_FIELDS } = await import(
    '../../sim/fields.ts'
  );
  const { jsonSchemaOf } = await import('../schema.ts');
  const { SETTINGS_FILE } = await import('../settings.ts');
  const [rows, file] = {
    experiment: [EXPERIMENT_FIELDS, EXPERIMENT_FILE] as const,
    scenario: [SCENARIO_FIELDS, SCENARIO_FILE] as const,
    settings: [SETTINGS_FIELDS, SETTINGS_FILE] as const,
  }[kind];
  if (flags.json) {
    console.log(JSON.stringify(jsonSchemaOf(file, `Lorikeet: ${kind}`), null, 2));
    return;
  }
  for (const { name, default: fallback, accepts, about } of rowsOf(rows))
    console.log(`${name}${fallback === '' ? '' : ` (default: ${fallback})`}\n    ${about}; ${accepts}`);
}
