/** @file Entries that a program adds to a table of the protocol, for its own process. */

/** Told from the names of this and of later versions by how it begins. */
const NAME = /^own-[a-z0-9][a-z0-9-]{0,27}$/;

/** Adds one entry and its name. Throws a RangeError where the name is none, or stands for another entry already. */
export function addOwn<Entry>(table: Record<string, Entry>, names: Set<string>, name: string, entry: Entry): void {
  if (!NAME.test(name))
    throw new RangeError(`got the name ${JSON.stringify(name)}; wanted own- and then small letters, digits, hyphens`);
  if (names.has(name) && table[name] !== entry)
    throw new RangeError(`${name}: stands for another object in this process; wanted the same one, or another name`);
  table[name] = entry;
  names.add(name);
}
