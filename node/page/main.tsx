/** @file Where the page begins: live from a peer, or from the report that its file holds. */
import { render } from 'preact';
import './page.css';
import { App } from './app.tsx';
import type { ReportFile } from './report.ts';
import { ReportPage } from './views/report.tsx';

const place = document.getElementById('page')!;
const report = document.getElementById('report')?.textContent;
// The token is kept as a cookie; in the address it would be copied and shared.
if (location.search.includes('token=')) history.replaceState(null, '', `/${location.hash}`);
if (report) render(<ReportPage {...(JSON.parse(report) as ReportFile)} />, place);
else render(<App />, place);
