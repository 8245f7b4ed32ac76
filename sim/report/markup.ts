/** @file What both reports are written with: the head of a Markdown section, tables, and text made safe for SVG. */

/** A section that says what it is about, the command that made it, what it rests on, and a table. */
export function markdownSection(section: {
  name: string;
  about: string;
  command: string;
  footing: string;
  head: readonly string[];
  rows: readonly (readonly string[])[];
}): string {
  const { name, about, command, footing, head, rows } = section;
  return [
    `## ${name}`,
    '',
    ...(about ? [about, ''] : []),
    '```sh',
    command,
    '```',
    '',
    footing,
    '',
    ...markdownTable(head, rows),
    '',
  ].join('\n');
}

/** Lines of a table with one row of titles. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.map((c) => c.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)];
}

export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
