/** @file Where the page begins: live from a peer, or from the report that the file holds. */
import { render } from 'preact';
import './page.css';
import { App } from './app.tsx';

// The token is kept as a cookie; in the address it would be copied and shared.
if (location.search.includes('token=')) history.replaceState(null, '', `/${location.hash}`);
render(<App />, document.getElementById('page')!);
