/** @file The page's HTML: as the server gives it, with its files beside it; and as one file that holds all it shows. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { codeOf, UserError } from '../errors.ts';

/** What the build has made of node/page. */
export interface PageFiles {
  readonly script: string;
  readonly style: string;
}

/** Throws a UserError where the page was not built. */
export function readPageFiles(): PageFiles {
  const read = (name: string): string =>
    readFileSync(fileURLToPath(new URL(`../page/${name}`, import.meta.url)), 'utf8');
  try {
    return { script: read('page.js'), style: read('page.css') };
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    throw new UserError('storage', 'the page is not built; "npm run build" does that');
  }
}

const ICON = `<link rel="icon" href="data:image/svg+xml,${encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7" fill="#0b8457"/><circle cx="6" cy="6" r="2" fill="#fff"/><path d="M9 7l5 1-4 3z" fill="#f08a24"/></svg>',
)}">`;

const head = (title: string, more: string): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>${ICON}${more}</head>`;

const BODY = '<div id="page"></div><noscript>This page needs JavaScript, which it brings along.</noscript>';

/** What the server gives. */
export function liveDocument(): string {
  const files = '<link rel="stylesheet" href="/page.css"><script type="module" src="/page.js"></script>';
  return `${head('Lorikeet', files)}<body>${BODY}</body></html>\n`;
}

/** One file that needs nothing else and asks nobody for anything: `data` is JSON that the page shows. */
export function wholeDocument(title: string, data: unknown, { script, style }: PageFiles): string {
  const policy = `<meta http-equiv="content-security-policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:">`;
  // "</script" would end the element, in a text as in a string of the script.
  const json = JSON.stringify(data).replaceAll('<', '\\u003c');
  const inline = script.replaceAll('</script', '<\\/script');
  return `${head(title, `${policy}<style>${style}</style>`)}<body>${BODY}
<script type="application/json" id="report">${json}</script>
<script type="module">${inline}</script></body></html>
`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
