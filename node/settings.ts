/** @file The settings of a run as files give them: the table of protocol/settings.ts as schemas. */
import { MAX_TEXT, wantedOf } from '../protocol/config.ts';
import type { Setting } from '../protocol/setting.ts';
import { SETTINGS } from '../protocol/settings.ts';
import { described, either, fieldsOf, numberFrom, oneOf, type Schema, such, textLike, wholeFrom } from './schema.ts';

/** What each setting accepts in a file; numbers may be text there, and text numbers. */
export const SETTING_FIELDS: Readonly<Record<string, Schema>> = Object.fromEntries(
  (Object.entries(SETTINGS) as [string, Setting][]).map(([name, setting]) => [
    name,
    described(accepted(setting), setting.about, setting.default),
  ]),
);

/** A file of settings and of nothing else, for `lorikeet up --config`. */
export const SETTINGS_FILE = fieldsOf(SETTING_FIELDS, { kind: 'setting' });

function accepted(setting: Setting): Schema {
  const wanted = wantedOf(setting);
  switch (setting.type) {
    case 'choice':
      return oneOf(setting.choices, ' | ');
    case 'text': {
      const pattern = setting.pattern ?? /^/;
      const number = such(numberFrom(-Infinity, Infinity, wanted), (x) => pattern.test(String(x)), wanted);
      return either<string | number>([textLike(pattern, wanted, MAX_TEXT), number], wanted);
    }
    case 'integer':
    case 'number': {
      const { min, max } = setting;
      const number = (setting.type === 'integer' ? wholeFrom : numberFrom)(min, max, wanted);
      const text = such(textLike(/\S/, wanted), (x) => number.safeParse(Number(x)).success, wanted);
      return either<string | number>([number, text], wanted);
    }
  }
}
